// The preview: the chat on a page of our own that stands in for the owner's, before anything is installed.

import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, test } from "node:test";

import { askIn, assertAccessible, assertClean, DESKTOP, openPage, PHONE, startBrowser } from "./browser.mjs";
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

async function openPreview(options = {}) {
  opened = await openPage(browser, [mock.chat], { reducedMotion: "reduce", ...options });
  page = opened.page;
  await page.goto(`${mock.chat}/preview/${mock.site}`);
  await page.locator("button[part=launcher]").waitFor();
}

async function openChat() {
  await page.getByRole("button", { name: "Open the chat" }).click();
  const frame = await (await page.locator("iframe").elementHandle()).contentFrame();
  await frame.locator("html:not([data-starting]) .starter").first().waitFor();
  return frame;
}

for (const [size, viewport] of Object.entries({ desktop: DESKTOP, phone: PHONE })) {
  for (const colorScheme of ["light", "dark"]) {
    test(`the chat answers on it, and axe finds nothing: ${size}, ${colorScheme}`, async () => {
      await openPreview({ viewport, colorScheme });
      await assertAccessible(page, "preview");
      assert.equal(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), true);
      const frame = await openChat();
      assert.match(frame.url(), /\?preview$/);
      assert.match(await (await askIn(frame, "canada")).innerText(), /14\.50/);
      await assertAccessible(page, "preview with the chat");
      assertClean(opened.seen);
    });
  }
}

test("theme and language change while it is open", async () => {
  await openPreview();
  const frame = await openChat();
  await page.getByRole("button", { name: "Dark" }).click();
  await frame.locator('html[data-theme="dark"]').waitFor();
  await page.getByLabel("Language").selectOption("he");
  await frame.locator('html[lang="he"][dir="rtl"]').waitFor();
  assert.equal(await page.getByRole("button", { name: "Dark" }).getAttribute("aria-pressed"), "true");
  assertClean(opened.seen);
});

test("the window of a phone's width shows the same page", async () => {
  await openPreview();
  const [popup] = await Promise.all([page.waitForEvent("popup"), page.getByRole("button", { name: "Phone width" }).click()]);
  await popup.locator("button[part=launcher]").waitFor();
  assert.equal(popup.url(), page.url());
});
