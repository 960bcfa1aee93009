// The demo as a visitor meets it: the real program (CHATWARD_BIN), its sample shop, its crawl and
// the chat in a real browser. Without the program these tests fail; they never skip.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, afterEach, before, describe, test } from "node:test";

import { askIn, assertAccessible, assertClean, DESKTOP, NARROW, openPage, PHONE, startBrowser } from "./browser.mjs";
import { startDemo } from "./program.mjs";

const CANADA = "What does shipping to Canada cost?";

let browser;
let demo;
let opened;

before(async () => {
  demo = await startDemo();
  browser = await startBrowser();
});
after(async () => {
  await browser?.close();
  await demo?.stop();
});
afterEach(async () => {
  await opened?.context.close();
  opened = undefined;
});

async function openSample(options = {}) {
  opened = await openPage(browser, [demo.chat, demo.sample], options);
  await opened.page.goto(demo.samplePage);
  await launcher().waitFor();
  return opened.page;
}

const launcher = () => opened.page.locator("button[part=launcher]");

async function openChat() {
  await launcher().click();
  const handle = await opened.page.locator("iframe").elementHandle();
  const frame = await handle.contentFrame();
  await frame.locator("#question").waitFor();
  await frame.locator("#greeting:not(:empty)").waitFor();
  return frame;
}

describe("the demo", () => {
  test("what shipping to Canada costs is answered from the shipping page, which the source opens", async () => {
    await openSample();
    const frame = await openChat();
    await frame.evaluate(() => {
      window.growth = 0;
      new MutationObserver(() => (window.growth += 1)).observe(document.getElementById("messages"), { childList: true, subtree: true, characterData: true });
    });
    const answer = await askIn(frame, CANADA);
    assert.match(await answer.locator(".body").innerText(), /\$14\.50/);
    const cite = answer.locator(".body a.cite").first();
    const address = new URL(await cite.getAttribute("href"));
    assert.equal(address.origin + address.pathname, `${demo.sample}/shipping`);
    assert.match(await answer.locator(".sources").innerText(), /Shipping[\s\S]*14\.50/);
    const [opening] = await Promise.all([opened.context.waitForEvent("page"), cite.click()]);
    await opening.waitForLoadState();
    assert.equal(new URL(opening.url()).pathname, "/shipping");
    assert.match(await opening.locator("main").innerText(), /Shipping to Canada costs \$14\.50/);
    assert.equal(await opening.evaluate(() => window.opener), null);
    assertClean(opened.seen);
  });

  test("the answer travels as a stream of events that ends with done", async () => {
    opened = await openPage(browser, [demo.chat]);
    await opened.page.goto(`${demo.chat}/embed/${demo.site}`);
    const wire = await opened.page.evaluate(async ([site, message]) => {
      const post = (path, body, headers) => fetch(`/api/v1/widget/${path}`, { method: "POST", headers: { "Content-Type": "application/json", ...headers }, body: JSON.stringify(body) });
      const { ticket } = await (await post("tickets", { site })).json();
      const { token } = await (await post("sessions", { ticket })).json();
      const response = await post("messages", { message }, { Authorization: `Bearer ${token}`, Accept: "text/event-stream" });
      return { type: response.headers.get("content-type"), text: await response.text() };
    }, [demo.site, CANADA]);
    assert.match(wire.type, /^text\/event-stream/);
    const events = [...wire.text.matchAll(/^event: ?(.+)$/gm)].map(([, name]) => name.trim());
    assert.equal(events.at(-1), "done");
    assert.ok(events.includes("delta") && events.includes("citations"), events.join(" "));
  });

  test("what the site does not say is said to be missing, and nothing is invented", async () => {
    await openSample();
    const frame = await openChat();
    const answer = await askIn(frame, "Who won the chess world championship in 1972?");
    assert.equal(await answer.locator("a.cite, .sources").count(), 0);
    assert.doesNotMatch(await answer.locator(".body").innerText(), /Fischer|Spassky/);
    assert.match(await answer.locator(".body").innerText(), /site|website/i);
    assertClean(opened.seen);
  });

  test("other questions find their pages", async () => {
    await openSample();
    const frame = await openChat();
    for (const [question, path, words] of [
      ["How do I descale a kettle?", "/care", /citric acid|vinegar/],
      ["Can I return opened tea?", "/returns", /Opened tea cannot be returned/],
      ["Do gift cards expire?", "/gift-cards", /never expire/i],
    ]) {
      const answer = await askIn(frame, question);
      const opens = await answer.locator("a.source-link").evaluateAll((links) => links.map((link) => new URL(link.href).pathname));
      assert.ok(opens.includes(path), `${question}: ${opens}`);
      assert.match(await answer.innerText(), words, question);
    }
  });

  test("markup in a question is shown as text", async () => {
    await openSample();
    const frame = await openChat();
    await askIn(frame, `<img src=x onerror="window.hacked=1"> shipping to Canada`);
    assert.equal(await frame.evaluate(() => window.hacked), undefined);
    assert.equal(await frame.locator(".messages img").count(), 0);
    assertClean(opened.seen);
  });

  test("a rating is taken, a reload resumes, and deleting erases", async () => {
    opened = await openPage(browser, [demo.chat]);
    const { page } = opened;
    await page.goto(`${demo.chat}/embed/${demo.site}`);
    const answer = await askIn(page, CANADA);
    await answer.getByRole("button", { name: "Helpful", exact: true }).click();
    await answer.getByText("Thank you.").waitFor();
    await page.reload();
    await page.locator(".answer .sources").waitFor();
    assert.equal(await page.locator(".message").count(), 2);
    await page.getByRole("button", { name: "Your privacy" }).click();
    await page.getByRole("button", { name: "Erase this conversation" }).click();
    const [response] = await Promise.all([page.waitForResponse((one) => one.request().method() === "DELETE"), page.getByRole("button", { name: "Erase", exact: true }).click()]);
    assert.equal(response.status(), 200);
    await page.getByRole("heading", { name: "Erased" }).waitFor();
    const receipt = JSON.parse(await page.locator("#privacy textarea").inputValue());
    assert.equal(receipt.messages, 2);
    await page.getByRole("button", { name: "Done" }).click();
    await page.locator("#welcome").waitFor();
    assert.equal(await page.locator(".message").count(), 0);
    assertClean(opened.seen);
  });

  for (const colorScheme of ["light", "dark"]) {
    for (const [size, viewport] of Object.entries({ desktop: DESKTOP, phone: PHONE, narrow: NARROW })) {
      test(`axe finds nothing: ${colorScheme}, ${size}`, async () => {
        const page = await openSample({ colorScheme, viewport });
        await assertAccessible(page, "sample page");
        assert.equal(await page.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth), true);
        const frame = await openChat();
        await assertAccessible(frame, "empty chat");
        await askIn(frame, CANADA);
        await assertAccessible(frame, "answer");
        assert.equal(await frame.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth), true);
        assertClean(opened.seen);
      });
    }
  }

  test("the keyboard alone opens the chat, asks, opens the source and closes", async () => {
    const page = await openSample();
    for (let step = 0; step < 60; step += 1) {
      await page.keyboard.press("Tab");
      if (await page.evaluate(() => document.activeElement.shadowRoot?.activeElement?.getAttribute("part") === "launcher")) break;
    }
    await page.keyboard.press("Enter");
    const handle = await page.locator("iframe").elementHandle();
    const frame = await handle.contentFrame();
    await frame.waitForFunction(() => document.hasFocus() && document.activeElement.id === "question");
    await page.keyboard.type(CANADA);
    await page.keyboard.press("Enter");
    await frame.locator(".answer .rating").waitFor();
    let isAtSource = false;
    for (let step = 0; step < 12 && !isAtSource; step += 1) {
      await page.keyboard.press("Shift+Tab");
      isAtSource = await frame.evaluate(() => document.activeElement.matches("a.source-link"));
    }
    assert.equal(isAtSource, true);
    const [opening] = await Promise.all([opened.context.waitForEvent("page"), page.keyboard.press("Enter")]);
    await opening.waitForLoadState();
    assert.equal(new URL(opening.url()).pathname, "/shipping");
    await opening.close();
    await page.bringToFront();
    await frame.locator("#question").focus();
    await page.keyboard.press("Escape");
    await page.waitForFunction(() => document.activeElement.shadowRoot?.activeElement?.getAttribute("aria-expanded") === "false");
  });

  test("a page that is not of the site can neither frame the chat nor start a session", async () => {
    const foreign = createServer((_, response) => {
      response.writeHead(200, { "content-type": "text/html" });
      response.end(`<!doctype html><title>x</title><iframe src="${demo.chat}/embed/${demo.site}"></iframe>`);
    });
    await new Promise((resolve) => foreign.listen(0, "127.0.0.1", resolve));
    try {
      const origin = `http://127.0.0.1:${foreign.address().port}`;
      opened = await openPage(browser, [demo.chat, origin]);
      const started = [];
      opened.context.on("request", (request) => request.url().includes("/api/") && started.push(request.url()));
      await opened.page.goto(origin);
      await opened.page.waitForLoadState("load");
      const handle = await opened.page.locator("iframe").elementHandle();
      const frame = await handle.contentFrame();
      assert.match(frame.url(), /^chrome-error:/);
      assert.deepEqual(started, []);
      const outcome = await opened.page.evaluate(async ([chat, site]) => {
        try {
          const response = await fetch(`${chat}/api/v1/widget/sessions`, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ site }) });
          return response.status;
        } catch {
          return "blocked";
        }
      }, [demo.chat, demo.site]);
      assert.equal(outcome, "blocked");
    } finally {
      foreign.closeAllConnections();
      await new Promise((resolve) => foreign.close(resolve));
    }
  });

  test("the chat page's policy names everything and allows nothing inline", async () => {
    opened = await openPage(browser, [demo.chat]);
    const response = await opened.page.goto(`${demo.chat}/embed/${demo.site}`);
    const policy = response.headers()["content-security-policy"];
    for (const part of ["default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'", "img-src 'self'", "base-uri 'none'", "form-action 'none'", `frame-ancestors`, "require-trusted-types-for 'script'", "trusted-types 'none'"]) {
      assert.ok(policy.includes(part), part);
    }
    assert.doesNotMatch(policy, /unsafe/);
    assert.ok(policy.includes(demo.sample), "the sample site may frame it");
    assert.equal(response.headers()["x-content-type-options"], "nosniff");
    assert.equal(response.headers()["x-frame-options"], undefined);
  });

  test("the API's documentation shows every operation, loads nothing remote, and is accessible", async () => {
    opened = await openPage(browser, [demo.chat]);
    const { page } = opened;
    await page.goto(`${demo.chat}/docs`);
    await page.locator(".operation").first().waitFor();
    const paths = await page.evaluate(async () => Object.keys((await (await fetch("/openapi.json")).json()).paths));
    for (const path of paths) assert.ok((await page.locator(".operation .address code", { hasText: path }).count()) > 0, path);
    await assertAccessible(page, "documentation");
    assertClean(opened.seen);
  });
});
