// The needs of people who use a keyboard, a screen reader, a small screen or colours of their own, in every state.

import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, describe, test } from "node:test";

import { askIn, assertAccessible, assertClean, DESKTOP, NARROW, openPage, PHONE, startBrowser } from "./browser.mjs";
import { startMock } from "./mock-server.mjs";

let browser;
let mock;
let opened;

before(async () => {
  browser = await startBrowser();
});
after(() => browser?.close());
beforeEach(async () => {
  mock = await startMock();
  mock.look.contact = "Write to help@pellamoor.example or see https://pellamoor.example/contact.";
});
afterEach(async () => {
  await opened?.context.close();
  opened = undefined;
  await mock.close();
});

async function openChat(options = {}) {
  opened = await openPage(browser, [mock.chat], options);
  await opened.page.goto(`${mock.chat}/embed/${mock.site}`);
  await opened.page.locator(".starter").first().waitFor();
  return opened.page;
}

const called = (path) => mock.requests.filter((request) => request.path === path);

describe("for everyone", () => {
  const STATES = {
    welcome: async () => {},
    answer: (page) => askIn(page, "canada"),
    rich: async (page) => {
      const answer = await askIn(page, "descale");
      await answer.getByRole("button", { name: "Not helpful" }).click();
      await answer.locator(".reason-input").waitFor();
    },
    limit: async (page) => {
      await page.locator("#question").fill("limit");
      await page.locator("#question").press("Enter");
      await page.locator("#notice").waitFor();
    },
    cut: (page) => askIn(page, "cut"),
    several: (page) => askIn(page, "several"),
    nothing: async (page) => {
      await askIn(page, "nothing");
      await page.locator(".contact").waitFor();
    },
    error: async (page) => {
      await page.locator("#question").fill("oops");
      await page.locator("#question").press("Enter");
      await page.locator("#notice").waitFor();
    },
    offline: async (page) => {
      await opened.context.setOffline(true);
      await page.locator("#offline").waitFor();
    },
    toolong: (page) => page.locator("#question").fill("x".repeat(1200)),
    streaming: async (page) => {
      await page.locator("#question").fill("hold");
      await page.locator("#question").press("Enter");
      await page.getByText("first part").waitFor();
    },
  };
  for (const [name, reach] of Object.entries(STATES)) {
    for (const [size, viewport] of Object.entries({ desktop: DESKTOP, phone: PHONE })) {
      test(`axe finds nothing, in light and dark: ${name}, ${size}`, async () => {
        const page = await openChat({ viewport, reducedMotion: "reduce" });
        await reach(page);
        // The colours are the style sheet's alone: no script asks for the scheme, so a state can be looked at in both.
        for (const colorScheme of ["light", "dark"]) {
          await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
          await assertAccessible(page, `${name} ${colorScheme} ${size}`);
        }
        assertClean(opened.seen);
      });
    }
  }

  test("nothing is wider than 320 pixels, and the field stays in sight", async () => {
    const page = await openChat({ viewport: NARROW });
    for (const question of ["descale", "hostile", "x".repeat(900)]) {
      await askIn(page, question);
      assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 320, question);
      assert.equal(await page.locator("#log").evaluate((log) => log.scrollWidth <= log.clientWidth), true, question);
      assert.equal(await page.locator("#question").evaluate((field) => field.getBoundingClientRect().bottom <= window.innerHeight), true);
    }
  });

  test("the keyboard alone reaches and does everything, with a visible focus", async () => {
    const page = await openChat();
    const focused = () => page.evaluate(() => document.activeElement.getAttribute("aria-label") || document.activeElement.textContent.trim() || document.activeElement.id);
    assert.equal(await page.evaluate(() => document.activeElement.id), "question");
    await page.keyboard.type("canada");
    await page.keyboard.press("Enter");
    await page.locator(".rating").waitFor();
    assert.equal(await page.evaluate(() => document.activeElement.id), "question", "the focus stays in the field");
    const reached = [];
    for (let step = 0; step < 12; step += 1) {
      await page.keyboard.press("Shift+Tab");
      reached.push(await focused());
      const ring = await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
      if (reached.at(-1) === "Your privacy") break;
      assert.notEqual(ring, "none", `focus is seen on ${reached.at(-1)}`);
    }
    for (const wanted of ["Not helpful", "Helpful", "Conversation", "Your privacy"]) assert.ok(reached.includes(wanted), `${wanted} in ${reached}`);
    await page.keyboard.press("Enter");
    await page.locator("#privacy h2").waitFor();
    assert.equal(await focused(), "Get a copy of your data");
    await page.keyboard.press("Escape");
    assert.equal(await page.locator("#privacy").isVisible(), false);
    assert.equal(await focused(), "Your privacy", "the focus returns");
  });

  test("Shift and Enter make a new line; Enter that ends a word of an input method does not send", async () => {
    const page = await openChat();
    await page.keyboard.type("one");
    await page.keyboard.press("Shift+Enter");
    await page.keyboard.type("two");
    assert.equal(await page.locator("#question").inputValue(), "one\ntwo");
    await page.locator("#question").evaluate((field) => field.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", isComposing: true, bubbles: true })));
    assert.equal(called("/messages").length, 0);
  });

  test("a screen reader hears the whole answer once, not its pieces", async () => {
    const page = await openChat();
    await page.evaluate(() => {
      window.said = [];
      new MutationObserver(() => {
        const text = document.getElementById("announcer").textContent;
        if (text !== "") window.said.push(text);
      }).observe(document.getElementById("announcer"), { childList: true, characterData: true, subtree: true });
    });
    await askIn(page, "canada");
    await page.waitForFunction(() => window.said.some((text) => text.includes("14.50")));
    const said = await page.evaluate(() => window.said.filter((text) => text.includes("Shipping to Canada")));
    assert.equal(said.length, 1);
    assert.match(said[0], /business days.*1 source\./);
    assert.equal(await page.locator("#log").getAttribute("aria-live"), "off");
  });

  test("less motion means none, and forced colours keep every edge", async () => {
    const page = await openChat({ reducedMotion: "reduce", forcedColors: "active" });
    await page.locator("#question").fill("hold");
    await page.locator("#question").press("Enter");
    await page.getByText("first part").waitFor();
    assert.equal(await page.evaluate(() => document.getAnimations().length), 0);
    assert.notEqual(await page.locator("#stop").evaluate((button) => getComputedStyle(button).borderTopWidth), "0px");
    assert.equal(await page.locator(".bubble").evaluate((bubble) => getComputedStyle(bubble).borderTopStyle), "solid");
  });
});
