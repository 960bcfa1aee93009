// What the visitor can do about their data, and what happens to it without their doing: nothing before they agree,
// a copy of everything, erasure with a receipt.

import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, describe, test } from "node:test";

import { askIn, assertAccessible, assertClean, NARROW, openPage, startBrowser } from "./browser.mjs";
import { startMock } from "./mock-server.mjs";

let browser;
let mock;
let opened;
let page;

before(async () => {
  browser = await startBrowser();
});
after(() => browser?.close());
beforeEach(async () => {
  mock = await startMock();
});
afterEach(async () => {
  await opened?.context.close();
  await mock.close();
});

async function openChat(options = {}) {
  opened = await openPage(browser, [mock.chat], { reducedMotion: "reduce", ...options });
  page = opened.page;
  await page.goto(`${mock.chat}/embed/${mock.site}`);
  await page.locator("html:not([data-starting]) #greeting").waitFor();
}

const called = (path) => mock.requests.filter((request) => request.path === path);
const stored = () => page.evaluate(() => [localStorage.length, sessionStorage.length, document.cookie]);
const click = (name) => page.locator("#privacy").getByRole("button", { name, exact: true }).click();

async function openPrivacy() {
  await page.getByRole("button", { name: "Your privacy" }).click();
  await page.locator("#privacy h2").waitFor();
}

describe("the visitor's own data", () => {
  test("what is kept, for how long, and by whose policy", async () => {
    mock.look.privacy_url = "https://pellamoor.example/privacy";
    await openChat();
    await askIn(page, "canada");
    await openPrivacy();
    const words = await page.locator("#privacy").innerText();
    assert.match(words, /Pellamoor keeps your questions, the answers and your ratings/);
    assert.match(words, /this conversation ends on Jan 1, 2030/);
    assert.equal(await page.locator("#privacy a.link").getAttribute("href"), "https://pellamoor.example/privacy");
    await assertAccessible(page, "privacy");
    assertClean(opened.seen);
  });

  test("a copy of everything: shown, copied, saved", async () => {
    await openChat();
    await opened.context.grantPermissions(["clipboard-read", "clipboard-write"]);
    await askIn(page, "canada");
    await openPrivacy();
    mock.options.failExport = true;
    await click("Get a copy of your data");
    await page.getByText("The copy could not be made just now.").first().waitFor();
    mock.options.failExport = false;
    await click("Get a copy of your data");
    await page.locator("#privacy textarea").waitFor();
    const shown = JSON.parse(await page.locator("#privacy textarea").inputValue());
    assert.deepEqual(shown.messages.map((message) => message.text.slice(0, 18)), ["canada", "Shipping to Canada"]);
    await assertAccessible(page, "copy");
    await click("Copy");
    await page.getByRole("button", { name: "Copied" }).waitFor();
    assert.deepEqual(JSON.parse(await page.evaluate(() => navigator.clipboard.readText())), shown);
    const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("link", { name: "Save as a file" }).click()]);
    assert.equal(download.suggestedFilename(), "conversation.json");
    assertClean(opened.seen);
  });

  test("where the clipboard is refused, the text is selected", async () => {
    await openChat();
    await page.evaluate(() => {
      navigator.clipboard.writeText = () => Promise.reject(new DOMException("denied", "NotAllowedError"));
      document.execCommand = () => false;
    });
    await askIn(page, "descale");
    await page.locator(".answer button.copy").click();
    await page.getByRole("button", { name: "Selected. Copy it with your keyboard." }).waitFor();
    assert.equal(await page.evaluate(() => String(window.getSelection())), "2 spoons to 1 litre");
  });

  test("erasing asks first, erases on the server, and shows the receipt", async () => {
    await openChat();
    await askIn(page, "canada");
    await openPrivacy();
    await click("Erase this conversation");
    await assertAccessible(page, "erase");
    await click("Keep it");
    assert.equal(called("/session").length, 0);
    await click("Erase this conversation");
    mock.options.failDelete = true;
    await click("Erase");
    await page.getByText("It could not be erased just now").first().waitFor();
    assert.equal(await page.locator(".answer").count(), 1);
    mock.options.failDelete = false;
    await click("Erase");
    await page.getByText("2 messages were erased from the server on Mar 4, 2026", { exact: false }).first().waitFor();
    const receipt = JSON.parse(await page.locator("#privacy textarea").inputValue());
    assert.deepEqual(Object.keys(receipt), ["id", "session", "erased_at", "messages", "signature"]);
    await assertAccessible(page, "receipt");
    assert.equal(mock.sessions.size, 0);
    assert.deepEqual(await stored(), [0, 0, ""]);
    await click("Done");
    assert.equal(await page.locator(".message").count(), 0);
    await page.waitForFunction(() => document.activeElement.id === "question");
    assert.equal(called("/sessions").length, 1, "nothing is begun until the next question");
    await askIn(page, "canada");
    assert.equal(called("/sessions").at(-1).body.resume, undefined);
    assert.equal(mock.opened, 2);
    assertClean(opened.seen);
  });

  test("a session that has ended already is no obstacle", async () => {
    await openChat();
    await askIn(page, "canada");
    mock.sessions.clear();
    mock.resumes.clear();
    await openPrivacy();
    await click("Erase this conversation");
    await click("Erase");
    await page.getByRole("heading", { name: "Erased" }).waitFor();
    await page.keyboard.press("Escape");
    assert.equal(await page.locator(".message").count(), 0);
  });
});

describe("the agreement", () => {
  for (const [size, options] of Object.entries({ desktop: {}, narrow: { viewport: NARROW }, dark: { colorScheme: "dark" } })) {
    test(`where the owner asks for one, nothing is kept or sent before it: ${size}`, async () => {
      mock.look.consent = true;
      mock.look.privacy_url = "https://pellamoor.example/privacy";
      await openChat(options);
      await page.getByRole("heading", { name: "Before you start" }).waitFor();
      assert.match(await page.locator("#consent").innerText(), /chat server of Pellamoor/);
      assert.equal(await page.locator("#question").isVisible(), false);
      assert.equal(await page.locator(".starter").first().isVisible(), false);
      assert.deepEqual(await stored(), [0, 0, ""]);
      assert.equal(called("/messages").length, 0);
      await assertAccessible(page, `consent, ${size}`);
      assert.equal(await page.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth), true);
      await page.getByRole("button", { name: "Agree and start" }).click();
      assert.equal(await page.evaluate(() => document.activeElement.id), "question", "the focus goes on to the field");
      const answer = await askIn(page, "canada");
      assert.match(await answer.innerText(), /14\.50/);
      assertClean(opened.seen);
    });
  }

  test("it is asked once in a conversation, and again after that was erased", async () => {
    mock.look.consent = true;
    await openChat();
    await page.getByRole("button", { name: "Agree and start" }).click();
    await askIn(page, "canada");
    await page.reload();
    await page.locator(".answer .sources").waitFor();
    assert.equal(await page.locator("#consent").isVisible(), false);
    await openPrivacy();
    await click("Erase this conversation");
    await click("Erase");
    await page.getByRole("heading", { name: "Erased" }).waitFor();
    await click("Done");
    await page.getByRole("button", { name: "Agree and start" }).waitFor();
    assert.equal(await page.locator("#question").isVisible(), false);
  });
});
