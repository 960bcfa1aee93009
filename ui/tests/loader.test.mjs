// The loader on a host page with a strict policy: the launcher, the frame, the keyboard, and
// control CORS-05 as a browser sees it: only the site's own origins can frame the chat.

import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, test } from "node:test";

import { askIn, assertAccessible, assertClean, NARROW, openPage, PHONE, startBrowser } from "./browser.mjs";
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

async function openHost(options = {}, origin = mock.host) {
  opened = await openPage(browser, [mock.chat, origin], options);
  page = opened.page;
  await page.goto(origin);
  await launcher().waitFor();
}

const launcher = () => page.locator("button[part=launcher]");

async function openChat() {
  await launcher().click();
  return chatFrame();
}

async function chatFrame() {
  const handle = await page.locator("iframe").elementHandle();
  const frame = await handle.contentFrame();
  await frame.locator(".starter").first().waitFor();
  return frame;
}

test("nothing is called, framed or stored before the first opening", async () => {
  await openHost();
  assert.equal(await page.locator("iframe").count(), 0);
  assert.equal(mock.requests.length, 0);
  await openChat();
  assert.deepEqual(await page.evaluate(() => [localStorage.length, sessionStorage.length, document.cookie]), [0, 0, ""]);
  assertClean(opened.seen);
});

test("a question is answered in the frame, under the host's strict policy and Trusted Types", async () => {
  await openHost();
  const frame = await openChat();
  const answer = await askIn(frame, "canada");
  assert.match(await answer.innerText(), /14\.50/);
  const [popup] = await Promise.all([opened.context.waitForEvent("page"), answer.locator(".body a.cite").click()]);
  await popup.waitForLoadState();
  assert.equal(new URL(popup.url()).origin, mock.host, "a source opens outside the sandbox");
  await popup.getByRole("heading", { name: "A shop" }).waitFor();
  assertClean(opened.seen);
});

test("the launcher says whether it is open, and Escape closes from either side", async () => {
  await openHost();
  assert.equal(await launcher().getAttribute("aria-expanded"), "false");
  await page.keyboard.press("Tab");
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  const frame = await chatFrame();
  assert.equal(await launcher().getAttribute("aria-expanded"), "true");
  await frame.waitForFunction(() => document.hasFocus() && document.activeElement.id === "question");
  await page.keyboard.press("Escape");
  await page.waitForFunction(() => document.activeElement.shadowRoot?.activeElement?.getAttribute("aria-expanded") === "false");
  assert.equal(await page.locator(".panel").isVisible(), false);
  await page.keyboard.press("Enter");
  await frame.waitForFunction(() => document.hasFocus() && document.activeElement.id === "question");
  await launcher().focus();
  await page.keyboard.press("Escape");
  assert.equal(await page.locator(".panel").isVisible(), false);
  assertClean(opened.seen);
});

test("the conversation survives closing and opening", async () => {
  await openHost();
  const frame = await openChat();
  await askIn(frame, "canada");
  await launcher().click();
  await launcher().click();
  assert.equal(await frame.locator(".answer").count(), 1);
  assert.equal(mock.requests.filter((request) => request.path === "/sessions").length, 1);
});

for (const [name, viewport] of Object.entries({ phone: PHONE, narrow: NARROW })) {
  test(`on a ${name} the chat fills the screen and closes by its own button`, async () => {
    await openHost({ viewport });
    const frame = await openChat();
    const box = await page.locator(".panel").boundingBox();
    assert.deepEqual(box, { x: 0, y: 0, ...viewport });
    assert.equal(await launcher().isVisible(), false);
    await frame.getByRole("button", { name: "Close the chat" }).click();
    await launcher().waitFor();
    assert.equal(await page.locator(".panel").isVisible(), false);
  });
}

for (const colorScheme of ["light", "dark"]) {
  test(`axe finds nothing on the host page or in the frame: ${colorScheme}`, async () => {
    await openHost({ colorScheme });
    await assertAccessible(page, "closed");
    const frame = await openChat();
    await askIn(frame, "canada");
    await assertAccessible(page, "open");
    await assertAccessible(frame, "frame");
  });
}

test("a page that is not of the site cannot frame the chat", async () => {
  await openHost({}, mock.foreign);
  await launcher().click();
  const handle = await page.locator("iframe").elementHandle();
  await page.waitForFunction(() => performance.now() > 0);
  await assert.doesNotReject(untilBlocked(handle));
  assert.equal(mock.requests.length, 0, "no session was started from there");
});

test("the frame does not believe a stranger, and says nothing to one", async () => {
  await openHost();
  const frame = await openChat();
  await askIn(frame, "canada");
  await page.evaluate(() => {
    window.heard = [];
    window.addEventListener("message", (event) => window.heard.push(event.data));
    const inner = document.querySelector("body > div").shadowRoot.querySelector("iframe").contentWindow;
    for (const data of ["chatward:close", { type: "delete" }, "chatward:shown", null]) inner.postMessage(data, "*");
    window.postMessage("chatward:close", "*");
  });
  await frame.locator("#question").press("a");
  assert.equal(await page.locator(".panel").isVisible(), true, "a message of the page itself does not close the chat");
  assert.equal(await frame.locator(".answer").count(), 1);
  assert.deepEqual(await page.evaluate(() => window.heard.filter((data) => data !== "chatward:close")), []);
  const reach = await page.evaluate(() => {
    try {
      return document.querySelector("body > div").shadowRoot.querySelector("iframe").contentWindow.document.title;
    } catch (error) {
      return error.name;
    }
  });
  assert.equal(reach, "SecurityError");
});

test("the frame may do what a chat needs and no more", async () => {
  await openHost();
  await openChat();
  const frame = page.locator("iframe");
  assert.equal(await frame.getAttribute("sandbox"), "allow-scripts allow-same-origin allow-popups allow-popups-to-escape-sandbox");
  assert.equal(await frame.getAttribute("allow"), "");
  assert.equal(await frame.getAttribute("src"), `${mock.chat}/embed/${mock.site}`);
});

test("a missing or malformed key is named in the console, and nothing is shown", async () => {
  for (const key of ["", "cw_sk_live_abc", "cw_pk_dev_x/../../evil", "javascript:alert(1)"]) {
    const context = await browser.newContext();
    const bare = await context.newPage();
    const said = [];
    bare.on("console", (message) => said.push(message.text()));
    await bare.goto(`${mock.host}/page?key=${encodeURIComponent(key)}`);
    await bare.waitForLoadState("load");
    assert.match(said.join("\n"), /Chatward: data-site-id is missing or is not a publishable key/);
    assert.equal(await bare.locator("button").count(), 0);
    await context.close();
  }
});

test("the line pasted twice makes one launcher", async () => {
  const context = await browser.newContext();
  const bare = await context.newPage();
  await bare.goto(`${mock.host}/page?twice`);
  await bare.waitForLoadState("load");
  assert.equal(await bare.locator("button[part=launcher]").count(), 1);
  await context.close();
});

// A refused frame shows the browser's own error page, which has no content of ours.
async function untilBlocked(handle) {
  const deadline = Date.now() + 5_000;
  for (;;) {
    const frame = await handle.contentFrame();
    if (frame.url().startsWith("chrome-error:")) return;
    if (Date.now() > deadline) throw new Error(`the frame shows ${frame.url()}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
