// The widget on host pages of every kind: strict, isolated, ugly, right-to-left, narrow, zoomed, in forced colours, and
// with a network that is slow or gone.
// Never: proves what binds the chat to its page; that is binding.test.mjs.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { test } from "node:test";

import { askIn, assertAccessible, assertClean, NARROW, PHONE } from "./browser.mjs";
import { frameOf, HOSTILE_CSS, launcherOf, openChat, panelOf, putPage, readyFrame, say, until } from "./host-pages.mjs";
import { chatward, mock, openEmpty, opened, page, visit, visitHost } from "./host-visits.mjs";

const LOADER = new URL("../dist/loader/widget.js", import.meta.url);

// ---- policies of the host --------------------------------------------------------------------------

test("a strict policy with Trusted Types, and the two lines it needs, is enough", async () => {
  await visitHost();
  const frame = await openChat(page);
  const answer = await askIn(frame, "canada");
  assert.match(await answer.innerText(), /14\.50/);
  assertClean(opened.seen);
});

test("a policy with a nonce, strict-dynamic and no styles at all", async () => {
  const policy = `default-src 'none'; script-src 'nonce-abc' 'strict-dynamic'; style-src 'none'; img-src data:; connect-src ${mock.chat}; frame-src ${mock.chat}; require-trusted-types-for 'script'; trusted-types 'none'`;
  await visitHost({ attributes: { nonce: "abc" }, headers: { "content-security-policy": policy } });
  assert.deepEqual(await launcherOf(page).boundingBox(), { x: 1124, y: 744, width: 56, height: 56 });
  await openChat(page);
  assertClean(opened.seen);
});

for (const [missing, rest] of [["frame-src", "connect-src"], ["connect-src", "frame-src"]]) {
  test(`a policy without its line for ${missing} is named in the console with the line it needs`, async () => {
    const policy = `default-src 'none'; script-src ${mock.chat}; ${rest} ${mock.chat}; img-src 'self' data:`;
    await visitHost({ headers: { "content-security-policy": policy } });
    await page.evaluate(() => window.Chatward.on("error", ({ code }) => (window.heard = code)));
    await launcherOf(page).click();
    const hint = `Chatward: ${mock.host} got no chat: its CSP lacks ${missing} ${mock.chat}`;
    await until(() => opened.seen.errors.includes(hint), hint);
    assert.ok(await page.evaluate(() => window.heard === "blocked" || window.heard === "offline"));
    if (missing === "frame-src") await page.getByText("The chat is not available.").waitFor();
    else await (await frameOf(page)).locator("#notice-text").filter({ hasText: /\w/ }).waitFor();
    assert.equal(opened.seen.errors.filter((text) => text === hint).length < 3, true, "not with every try");
  });
}

test("without constructable style sheets the one style element carries data-nonce", async () => {
  const policy = `script-src 'nonce-abc' ${mock.chat}; style-src 'nonce-styles'; default-src 'none'; img-src data:; connect-src ${mock.chat}; frame-src ${mock.chat}`;
  const head = `<script nonce="abc">window.CSSStyleSheet = undefined;</script>`;
  await visitHost({ head, attributes: { "data-nonce": "styles" }, headers: { "content-security-policy": policy } });
  assert.deepEqual(await launcherOf(page).boundingBox(), { x: 1124, y: 744, width: 56, height: 56 });
  await openChat(page);
  assertClean(opened.seen);
});

test("a page that isolates itself (COEP require-corp, COOP same-origin)", async () => {
  const headers = { "cross-origin-embedder-policy": "require-corp", "cross-origin-opener-policy": "same-origin" };
  await visitHost({ headers });
  assert.equal(await page.evaluate(() => window.crossOriginIsolated), true);
  const frame = await openChat(page);
  await askIn(frame, "canada");
  assertClean(opened.seen);
});

test("the versioned address with integrity runs as it is, and not with one byte changed", async () => {
  const file = await readFile(LOADER);
  const integrity = `sha384-${createHash("sha384").update(file).digest("base64")}`;
  const host = { src: `/widget/${mock.digest}/widget.js`, attributes: { integrity, crossorigin: "anonymous", onerror: "window.wasRefused = true" } };
  await visitHost(host);
  await openChat(page);
  assertClean(opened.seen);
  await opened.context.close();

  await openEmpty();
  const changed = Buffer.from(file);
  changed[changed.length - 2] ^= 1;
  await page.route("**/widget.js", (route) => route.fulfill({ body: changed, contentType: "text/javascript", headers: { "access-control-allow-origin": "*" } }));
  await page.goto(`${mock.host}/host.html`);
  await page.waitForFunction(() => window.wasRefused === true);
  assert.equal(await page.locator("chatward-widget").count(), 0);
});

// ---- ugly pages ----------------------------------------------------------------------------------------

test("a hostile style sheet neither hides nor moves the launcher, the panel or the frame", async () => {
  await visit(putPage(mock, "/host.html", { head: HOSTILE_CSS }));
  await launcherOf(page).waitFor();
  assert.deepEqual(await launcherOf(page).boundingBox(), { x: 1124, y: 744, width: 56, height: 56 });
  await page.mouse.click(1150, 770);
  const frame = await readyFrame(page);
  const { width, height } = await panelOf(page).boundingBox();
  assert.deepEqual({ width, height }, { width: 400, height: 660 });
  const inner = await page.locator("chatward-widget iframe").boundingBox();
  assert.ok(inner.width > 390 && inner.height > 650, JSON.stringify(inner));
  await askIn(frame, "canada");
  assert.equal(await page.evaluate(() => document.elementFromPoint(1000, 500).localName), "chatward-widget", "nothing lies over it");
});

test("a script that spoils the built-in prototypes breaks nothing", async () => {
  const head = `<script>
    Object.prototype.get = () => 1; Object.prototype.chatward = "hello"; Object.prototype.code = "offline"; Object.prototype.position = "top-left";
    Array.prototype.extra = () => 1; String.prototype.origin = "x"; window.Chatward = [["open"]]; window.name = "Chatward";
    window.addEventListener("error", (event) => (window.failed = event.message));
  </script>`;
  await visitHost({ head });
  const frame = await readyFrame(page);
  await askIn(frame, "canada");
  assert.equal(await page.evaluate(() => window.failed), undefined);
});

test("window.Chatward that the page has made its own is left alone, and the launcher works", async () => {
  const head = `<script>Object.defineProperty(window, "Chatward", { value: Object.freeze({ mine: true }), writable: false });</script>`;
  await visitHost({ head });
  await openChat(page);
  assert.deepEqual(await page.evaluate(() => ({ ...window.Chatward })), { mine: true });
  assertClean(opened.seen);
});

// ---- directions, sizes, settings of the visitor ---------------------------------------------------------

test("on a right-to-left page the launcher stands on the left, unless a corner is named", async () => {
  await visitHost({ html: 'lang="ar" dir="rtl"' });
  assert.deepEqual(await launcherOf(page).boundingBox(), { x: 20, y: 744, width: 56, height: 56 });
  await openChat(page);
  const panel = await panelOf(page).boundingBox();
  assert.equal(panel.x, 20);
  await opened.context.close();
  await visitHost({ html: 'lang="ar" dir="rtl"', attributes: { "data-position": "bottom-right" } });
  assert.equal((await launcherOf(page).boundingBox()).x, 1124, "corners are named as they are seen");
});

const SIZES = {
  "320 px wide": { viewport: NARROW },
  "200 % zoom": { viewport: { width: 600, height: 410 }, deviceScaleFactor: 2 },
  "a phone on its side": { viewport: { width: 780, height: 390 } },
};
for (const [name, options] of Object.entries(SIZES)) {
  test(`${name}: nothing is cut off or scrolls sideways, and everything can be reached`, async () => {
    await visitHost({}, options);
    const frame = await openChat(page);
    const { width, height } = options.viewport;
    assert.deepEqual(await panelOf(page).boundingBox(), { x: 0, y: 0, width, height });
    await askIn(frame, "canada");
    const wide = (where) => where.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    assert.deepEqual([await wide(page), await wide(frame)], [0, 0]);
    for (const id of ["#close", "#question"]) {
      const box = await frame.locator(id).boundingBox();
      assert.ok(box.x >= 0 && box.y >= 0 && box.x + box.width <= width && box.y + box.height <= height, `${id} ${JSON.stringify(box)}`);
    }
  });
}

test("by the keyboard alone: open, ask, read, leave, come back", async () => {
  await visitHost();
  await page.keyboard.press("Tab");
  await page.keyboard.press("Tab");
  await page.keyboard.press("Space");
  const frame = await readyFrame(page);
  await frame.waitForFunction(() => document.activeElement.id === "question");
  await page.keyboard.type("canada");
  await page.keyboard.press("Enter");
  await frame.locator(".answer:not([aria-busy])").waitFor();
  await page.keyboard.press("Escape");
  await page.waitForFunction(() => document.activeElement.shadowRoot?.activeElement?.getAttribute("part") === "launcher");
  await page.keyboard.press("Enter");
  await frame.waitForFunction(() => document.hasFocus());
  assert.equal(await frame.locator(".answer").count(), 1);
  assertClean(opened.seen);
});

test("nothing of the loader's moves, whatever the visitor's setting is", async () => {
  const moving = () => page.evaluate(() => document.querySelector("chatward-widget").shadowRoot.getAnimations().length);
  for (const reducedMotion of ["reduce", "no-preference"]) {
    await visitHost({}, { reducedMotion });
    // The frame never comes, so what is shown while it is awaited stays.
    await page.route(`${mock.chat}/embed/**`, () => {});
    await launcherOf(page).click();
    assert.equal(await moving(), 0, reducedMotion);
    await opened.context.close();
  }
});

test("forced colours: the launcher, its icon and its focus are seen", async () => {
  await visitHost({}, { forcedColors: "active" });
  await page.keyboard.press("Tab");
  await page.keyboard.press("Tab");
  const seen = await launcherOf(page).evaluate((button) => {
    const style = getComputedStyle(button);
    const icon = getComputedStyle(button.querySelector("i"));
    const probe = document.body.appendChild(document.createElement("p"));
    probe.style.cssText = "color:ButtonText;background-color:ButtonFace";
    const { color: text, backgroundColor: face } = getComputedStyle(probe);
    return { hasBorder: style.borderTopColor === text, isDrawn: icon.backgroundColor === text && text !== face, hasOutline: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2 };
  });
  assert.deepEqual(seen, { hasBorder: true, isDrawn: true, hasOutline: true });
  await page.keyboard.press("Enter");
  await readyFrame(page);
  await assertAccessible(page, "forced colours");
});

// ---- axe ------------------------------------------------------------------------------------------------

const KINDS = { light: { colorScheme: "light" }, dark: { colorScheme: "dark" }, phone: { viewport: PHONE }, narrow: { viewport: NARROW }, arabic: { locale: "ar" } };
for (const [name, options] of Object.entries(KINDS)) {
  test(`axe finds nothing in any state, on the page or in the frame: ${name}`, async () => {
    await visitHost(name === "arabic" ? { html: 'lang="ar" dir="rtl"' } : {}, options);
    await assertAccessible(page, "closed");
    const frame = await openChat(page);
    await assertAccessible(page, "open");
    await assertAccessible(frame, "frame: welcome");
    await askIn(frame, "canada");
    await assertAccessible(frame, "frame: an answer");
    await say(frame, { chatward: "close" });
    await say(frame, { chatward: "unread", count: 3 });
    await page.getByRole("button", { name: /, 3/ }).waitFor();
    await assertAccessible(page, "unread");
  });
}

test("axe finds nothing while the frame is awaited, when it is gone, and inline", async () => {
  await visitHost({});
  await page.route(`${mock.chat}/embed/**`, () => {});
  await launcherOf(page).click();
  await page.getByRole("button", { name: "Close" }).waitFor();
  await assertAccessible(page, "awaited");
  await opened.context.close();
  mock.options.ticketStatus = 503;
  await visitHost({}, { hurried: true });
  await page.route(`${mock.chat}/embed/**`, (route) => route.abort());
  await launcherOf(page).click();
  await page.getByText("The chat is not available.").waitFor();
  await assertAccessible(page, "gone");
  await opened.context.close();
  mock.options.ticketStatus = 0;
  await visitHost({ attributes: { "data-position": "inline", "data-target": "#here" }, body: `<div id="here" style="height:600px"></div>` });
  await assertAccessible(page, "inline, closed");
  await openChat(page);
  await assertAccessible(page, "inline, open");
});

// ---- the network ------------------------------------------------------------------------------------------

test("offline at the first opening: a clear word, and it comes by itself when the network does", async () => {
  await visitHost({}, { hurried: true });
  await opened.context.setOffline(true);
  await launcherOf(page).click();
  await page.getByText("The chat is not available.").waitFor();
  await opened.context.setOffline(false);
  await readyFrame(page);
  assert.equal(await page.getByText("The chat is not available.").count(), 0);
});

test("the frame's page does not come: a clear word, and another try by the visitor", async () => {
  await visitHost({}, { hurried: true });
  await page.route(`${mock.chat}/embed/**`, (route) => route.abort());
  await launcherOf(page).click();
  await page.getByText("The chat is not available.").waitFor();
  await page.unroute(`${mock.chat}/embed/**`);
  await page.getByRole("button", { name: "Try again" }).click();
  await readyFrame(page);
});

test("a server that fails for a moment is asked again, and the visitor sees nothing of it", async () => {
  mock.options.ticketStatus = 503;
  await visitHost({}, { hurried: true });
  await launcherOf(page).click();
  const asked = () => mock.requests.filter(({ method, path }) => method === "POST" && path === "/tickets").length;
  await until(() => asked() === 2, "a second try");
  mock.options.ticketStatus = 0;
  await readyFrame(page);
  assert.equal(asked(), 3);
});

test("too many tickets: the frame says how long it takes", async () => {
  mock.options.ticketStatus = 429;
  await visitHost({});
  await launcherOf(page).click();
  const frame = await frameOf(page);
  await frame.locator("#notice-text").filter({ hasText: /2 minutes|120 seconds/ }).waitFor();
  await assertAccessible(frame, "limited");
});

test("no ticket at all: the frame says so in clear words, and the visitor's next try gets one", async () => {
  mock.options.ticketStatus = 503;
  await visitHost({}, { hurried: true });
  await launcherOf(page).click();
  const frame = await frameOf(page);
  await frame.locator("#notice-text").filter({ hasText: /\w/ }).waitFor();
  await assertAccessible(frame, "no ticket");
  mock.options.ticketStatus = 0;
  await frame.locator("#retry").click();
  await readyFrame(page);
});

test("slow: while the frame is awaited the visitor can close, and the page goes on", async () => {
  let release;
  const held = new Promise((resolve) => {
    release = resolve;
  });
  await visitHost({}, { viewport: PHONE });
  await page.route(`${mock.chat}/embed/**`, async (route) => {
    await held;
    await route.continue();
  });
  await launcherOf(page).click();
  await page.getByRole("button", { name: "Close" }).click();
  await launcherOf(page).waitFor();
  assert.equal(await page.evaluate(() => document.querySelector("chatward-widget").shadowRoot.activeElement.getAttribute("part")), "launcher");
  release();
  await openChat(page);
});

test("dropped between two questions: the conversation goes on where it was", async () => {
  await visitHost({});
  const frame = await openChat(page);
  await askIn(frame, "canada");
  await opened.context.setOffline(true);
  await frame.locator("#question").fill("descale");
  await frame.locator("#question").press("Enter");
  await frame.locator("#notice-text").filter({ hasText: /\w/ }).waitFor();
  await opened.context.setOffline(false);
  await frame.locator("#retry").click();
  await frame.locator(".answer:not([aria-busy])").nth(1).waitFor();
  assert.equal(mock.requests.filter(({ method, path }) => method === "POST" && path === "/sessions").length, 1);
});
