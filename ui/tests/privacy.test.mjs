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
    Object.assign(mock.look, { privacy_url: "https://pellamoor.example/privacy", kept_hours: 48, recipients: ["Example AI", "Other AI"] });
    await openChat();
    await askIn(page, "canada");
    await openPrivacy();
    const words = await page.locator("#privacy").innerText();
    assert.match(words, /Pellamoor keeps your questions, the answers and your ratings/);
    assert.match(words, /kept for 48 hours after your last question, then erased/);
    assert.match(words, /passed to Example AI and Other AI\./);
    assert.deepEqual(await page.locator("#privacy a.link").evaluateAll((links) => links.map((link) => [link.getAttribute("href"), link.target, link.textContent])), [
      [`/privacy/${mock.site}?language=en`, "_blank", "What this chat stores of you"],
      ["https://pellamoor.example/privacy", "_blank", "Privacy policy"],
    ]);
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

  test("a conversation that had ended already is not called erased, and nothing is opened to be erased", async () => {
    await openChat();
    await askIn(page, "canada");
    mock.sessions.clear();
    mock.resumes.clear();
    await openPrivacy();
    await click("Erase this conversation");
    await click("Erase");
    await page.getByRole("heading", { name: "Already ended" }).waitFor();
    assert.match(await page.locator("#privacy").innerText(), /can no longer reach/);
    assert.equal(mock.requests.filter(({ method }) => method === "DELETE").length, 1);
    await page.keyboard.press("Escape");
    assert.equal(await page.locator(".message").count(), 0);
  });

  test("a copy of a conversation that is gone is refused in plain words", async () => {
    await openChat();
    await askIn(page, "canada");
    mock.sessions.clear();
    mock.resumes.clear();
    await openPrivacy();
    await click("Get a copy of your data");
    await page.locator("#privacy .failure").filter({ hasText: "had already ended" }).waitFor();
    assert.equal(await page.locator("#privacy textarea").count(), 0);
  });

  test("messages of an earlier session are not counted to a copy or an erasure", async () => {
    await openChat();
    await askIn(page, "canada");
    await askIn(page, "expired");
    await openPrivacy();
    await click("Get a copy of your data");
    await page.locator("#privacy textarea").waitFor();
    assert.match(await page.locator("#privacy").innerText(), /or a part of it, had already ended/);
    await click("Back");
    await click("Erase this conversation");
    await click("Erase");
    await page.getByRole("heading", { name: "Erased" }).waitFor();
    assert.match(await page.locator("#privacy").innerText(), /or a part of it, had already ended/);
  });

  test("copying twice in a row leaves the button as it was", async () => {
    await openChat();
    await opened.context.grantPermissions(["clipboard-read", "clipboard-write"]);
    await page.clock.install();
    await askIn(page, "descale");
    const copy = page.locator(".answer button.copy");
    await copy.click();
    await page.getByRole("button", { name: "Copied" }).waitFor();
    await page.clock.runFor(1_000);
    await copy.click();
    await page.clock.runFor(5_000);
    assert.equal(await copy.innerText(), "Copy");
  });
});

describe("the agreement", () => {
  for (const [size, options] of Object.entries({ desktop: {}, narrow: { viewport: NARROW }, dark: { colorScheme: "dark" } })) {
    test(`where the owner asks for one, nothing is kept or sent before it: ${size}`, async () => {
      Object.assign(mock.look, { consent: true, privacy_url: "https://pellamoor.example/privacy", kept_hours: 24, recipients: ["Example AI"] });
      await openChat(options);
      await page.getByRole("heading", { name: "Before you start" }).waitFor();
      assert.match(await page.locator("#consent").innerText(), /chat server of Pellamoor/);
      assert.match(await page.locator("#consent").innerText(), /24 hours after your last question, then erased\.\s+To answer, your questions are passed to Example AI\./);
      assert.equal(mock.opened, 0, "there is no session");
      assert.equal(mock.sessions.size, 0);
      assert.ok(called("/sessions").every(({ body }) => body.agreed === undefined));
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
      assert.equal(mock.opened, 1);
      assert.equal(called("/sessions").at(-1).body.agreed, true);
      assertClean(opened.seen);
    });
  }

  test("from right to left: the question, the erasure and its receipt can be read by everybody", async () => {
    Object.assign(mock.look, { consent: true, kept_hours: 2, recipients: ["Example AI"] });
    opened = await openPage(browser, [mock.chat], { locale: "ar", reducedMotion: "reduce" });
    page = opened.page;
    await page.goto(`${mock.chat}/embed/${mock.site}`);
    await page.locator("#consent-accept").waitFor();
    assert.equal(await page.locator("html").getAttribute("dir"), "rtl");
    await assertAccessible(page, "consent, ar");
    await page.locator("#consent-accept").click();
    await askIn(page, "canada");
    await page.locator("#privacy-open").click();
    await page.locator("#privacy .danger").click();
    await page.locator("#privacy .filled").waitFor();
    await assertAccessible(page, "erase, ar");
    await page.locator("#privacy .filled").click();
    await page.locator("#privacy textarea").waitFor();
    await assertAccessible(page, "receipt, ar");
  });

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
