// The loader on a host page: the launcher and the panel, the page's API, attributes and elements.
// Control CORS-05's part here: nothing is framed, called or stored before a visitor opens the chat.
// Never: looks at what the frame shows beyond "it is there"; that is embed.test.mjs.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { gzipSync } from "node:zlib";

import { askIn, assertClean, DESKTOP, NARROW, PHONE } from "./browser.mjs";
import { frameOf, launcherOf, openChat, panelOf, putPage, readyFrame, say, until } from "./host-pages.mjs";
import { calls, chatward, mock, openEmpty, opened, page, visit, visitHost } from "./host-visits.mjs";

const MOST_BYTES = 6144;

test("the loader is at most 6 KB", async () => {
  const built = await readFile(new URL("../dist/loader/widget.js", import.meta.url));
  const size = gzipSync(built, { level: 9 }).length;
  assert.ok(size <= MOST_BYTES, `${size} bytes`);
  assert.ok(size > 2000, "it is the loader that was measured");
});

// ---- before and after the first opening ------------------------------------------------------------

test("nothing is called, framed or stored before the first opening", async () => {
  await visitHost();
  await page.waitForLoadState("networkidle");
  const stored = () => page.evaluate(() => [localStorage.length, document.cookie, sessionStorage.length]);
  assert.equal(await page.locator("iframe").count(), 0);
  assert.equal(mock.requests.length, 0);
  assert.deepEqual(await stored(), [0, "", 0]);
  await openChat(page);
  await until(async () => (await stored())[2] === 1, "the resume id is stored");
  assert.deepEqual(await stored(), [0, "", 1]);
  const [key, value] = await page.evaluate(() => [sessionStorage.key(0), sessionStorage.getItem(sessionStorage.key(0))]);
  assert.equal(key, `chatward:${mock.site}`);
  assert.ok(mock.resumes.has(value), "what is stored is the resume id");
  assertClean(opened.seen);
});

test("one ticket is asked for at the first opening, for this page, without a cookie", async () => {
  await visitHost();
  await openChat(page);
  assert.equal(calls("/tickets"), 1);
  const { headers, body } = mock.requests.find((request) => request.method === "POST" && request.path === "/tickets");
  assert.deepEqual(body, { site: mock.site });
  assert.equal(headers.origin, mock.host);
  assert.equal(headers.cookie, undefined);
  assert.equal(headers["content-type"], "application/json");
});

test("the frame may do what a chat needs and no more", async () => {
  await visitHost();
  await openChat(page);
  const frame = page.locator("iframe");
  assert.equal(await frame.getAttribute("sandbox"), "allow-scripts allow-same-origin allow-popups allow-popups-to-escape-sandbox allow-downloads");
  assert.equal(await frame.getAttribute("allow"), "clipboard-write");
  assert.equal(await frame.getAttribute("src"), `${mock.chat}/embed/${mock.site}`);
  assert.equal(await frame.getAttribute("title"), "Pellamoor help");
});

test("the launcher moves nothing on the page, and stands last in it", async () => {
  const watch = `<script>window.shift = 0; new PerformanceObserver((list) => { for (const entry of list.getEntries()) window.shift += entry.value; }).observe({ type: "layout-shift", buffered: true });</script>`;
  await visitHost({ head: watch });
  const settled = () => page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(() => resolve(window.shift))))));
  assert.equal(await settled(), 0);
  await chatward("open");
  await readyFrame(page);
  assert.equal(await settled(), 0);
  assert.equal(await page.evaluate(() => document.documentElement.lastElementChild.localName), "chatward-widget");
  // The same measure sees a shift when there is one.
  await page.evaluate(() => document.querySelector("main").insertAdjacentElement("beforebegin", document.createElement("section")).setAttribute("style", "height:300px"));
  await page.waitForFunction(() => window.shift > 0);
});

// ---- the launcher ----------------------------------------------------------------------------------

test("the launcher says whether it is open, and Escape closes from either side", async () => {
  await visitHost();
  assert.equal(await launcherOf(page).getAttribute("aria-expanded"), "false");
  await page.keyboard.press("Tab");
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  const frame = await readyFrame(page);
  assert.equal(await launcherOf(page).getAttribute("aria-expanded"), "true");
  await frame.waitForFunction(() => document.hasFocus() && document.activeElement.id === "question");
  await page.keyboard.press("Escape");
  await launcherHasFocus();
  assert.equal(await panelOf(page).isVisible(), false);
  await page.keyboard.press("Enter");
  await frame.waitForFunction(() => document.hasFocus() && document.activeElement.id === "question");
  await launcherOf(page).focus();
  await page.keyboard.press("Escape");
  assert.equal(await panelOf(page).isVisible(), false);
  assertClean(opened.seen);
});

test("Escape that the page wants for itself does not close the chat", async () => {
  await visitHost({ body: `<input id="field" aria-label="A field">` });
  await openChat(page);
  await page.locator("#field").focus();
  await page.keyboard.press("Escape");
  assert.equal(await panelOf(page).isVisible(), true);
});

test("closing by the page's script does not take the focus away from where it is", async () => {
  await visitHost({ body: `<input id="field" aria-label="A field">` });
  await openChat(page);
  await page.locator("#field").focus();
  await chatward("close");
  assert.equal(await page.evaluate(() => document.activeElement.id), "field");
});

test("the conversation survives closing and opening", async () => {
  await visitHost();
  const frame = await openChat(page);
  await askIn(frame, "canada");
  await launcherOf(page).click();
  await launcherOf(page).click();
  assert.equal(await frame.locator(".answer").count(), 1);
  assert.equal(calls("/sessions"), 1);
});

for (const [name, viewport] of Object.entries({ phone: PHONE, narrow: NARROW })) {
  test(`on a ${name} the chat fills the screen, holds the focus, and closes by its own button`, async () => {
    await visitHost({}, { viewport });
    const frame = await openChat(page);
    assert.deepEqual(await panelOf(page).boundingBox(), { x: 0, y: 0, ...viewport });
    assert.equal(await launcherOf(page).isVisible(), false);
    assert.equal(await page.evaluate(() => document.querySelector("chatward-widget").shadowRoot.querySelector("dialog").matches(":modal")), true);
    await frame.getByRole("button", { name: "Close the chat" }).click();
    await launcherHasFocus();
    assert.equal(await panelOf(page).isVisible(), false);
  });
}

test("on a desktop the page behind the panel scrolls and can be used", async () => {
  await visitHost({ body: `<div style="height:4000px"></div>` });
  await openChat(page);
  await page.mouse.move(200, 300);
  await page.mouse.wheel(0, 500);
  await page.waitForFunction(() => window.scrollY > 0);
  await page.getByRole("link", { name: "A page" }).focus();
  assert.equal(await page.evaluate(() => document.activeElement.localName), "a");
});

test("unread answers are counted on the launcher until the chat is opened", async () => {
  await visitHost();
  const frame = await openChat(page);
  await launcherOf(page).click();
  await say(frame, { chatward: "unread", count: 2, words: "2 new answers" });
  await page.getByRole("button", { name: "Pellamoor help, 2" }).waitFor();
  await say(frame, { chatward: "unread", count: 12 });
  await page.getByRole("button", { name: "Pellamoor help, 9+" }).click();
  await page.getByRole("button", { name: "Pellamoor help", exact: true }).waitFor();
  assert.equal(await page.locator("chatward-widget span").isVisible(), false);
});

test("an answer that comes while the chat is closed is said to who cannot see the number, once", async () => {
  await visitHost();
  const frame = await openChat(page);
  await frame.locator("#question").fill("gate");
  await frame.locator("#question").press("Enter");
  await frame.locator(".answer").waitFor();
  await say(frame, { chatward: "close" });
  await until(async () => (await panelOf(page).isVisible()) === false, "it closes");
  const news = page.locator("chatward-widget b[role=status]");
  assert.equal(await news.textContent(), "");
  for (const gate of ["middle", "end"]) (await until(() => mock.gates.get(gate), gate))();
  await page.getByRole("button", { name: "Pellamoor help, 1" }).waitFor();
  assert.equal(await news.textContent(), "1 new answer");
  await launcherOf(page).click();
  await page.getByRole("button", { name: "Pellamoor help", exact: true }).waitFor();
  assert.equal(await news.textContent(), "");
});

test("a device that is turned, or a window that is resized, while the chat is open: modal where it fills the screen", async () => {
  await visitHost({}, { viewport: { width: 900, height: 700 } });
  const frame = await openChat(page);
  await frame.locator("#question").fill("half a question");
  const isModal = () => page.evaluate(() => document.querySelector("chatward-widget").shadowRoot.querySelector("dialog").matches(":modal"));
  assert.equal(await isModal(), false);
  for (const [size, wanted] of [[PHONE, true], [{ width: 780, height: 390 }, true], [{ width: 900, height: 700 }, false], [NARROW, true]]) {
    await page.setViewportSize(size);
    await until(async () => (await isModal()) === wanted, `${JSON.stringify(size)}: ${wanted}`);
    assert.equal(await panelOf(page).isVisible(), true);
    await frame.waitForFunction(() => document.hasFocus() && document.activeElement.id === "question");
  }
  assert.equal(await frame.locator("#question").inputValue(), "half a question");
  await say(frame, { chatward: "close" });
  await launcherOf(page).waitFor();
  await page.setViewportSize(DESKTOP);
  assert.equal(await panelOf(page).isVisible(), false, "a closed one stays closed");
});

// ---- elements, and more than one ---------------------------------------------------------------------

test("<chatward-chat> is a chat of its own, and goes away with the element", async () => {
  await visit(putPage(mock, "/host.html", { attributes: { "data-site-id": undefined }, body: `<chatward-chat site-id="${mock.site}" data-position="bottom-left"></chatward-chat>` }));
  assert.equal((await launcherOf(page).boundingBox()).x, 20);
  await openChat(page);
  await page.evaluate(() => {
    const chat = document.querySelector("chatward-chat");
    document.querySelector("main").prepend(chat);
  });
  assert.equal(await panelOf(page).isVisible(), true, "moving the element changes nothing");
  await page.evaluate(() => document.querySelector("chatward-chat").remove());
  await page.locator("chatward-widget").waitFor({ state: "detached" });
  assertClean(opened.seen);
});

test("<chatward-chat data-position=inline> holds the chat itself", async () => {
  await visit(putPage(mock, "/host.html", { attributes: { "data-site-id": undefined }, body: `<chatward-chat site-id="${mock.site}" data-position="inline" style="display:block;height:520px"></chatward-chat>` }));
  await openChat(page);
  assert.equal((await panelOf(page).boundingBox()).height, 520);
});

test("a missing or malformed key is named in the console, and nothing is shown", async () => {
  for (const key of ["", "cw_sk_live_abc", "cw_pk_dev_x/../../evil", "javascript:alert(1)", undefined]) {
    await visit(putPage(mock, "/host.html", { attributes: { "data-site-id": key } }));
    await until(() => opened.seen.errors.length, "an error");
    assert.match(opened.seen.errors.join(), /Chatward: data-site-id is no publishable key/);
    assert.equal(await page.locator("chatward-widget").count(), 0);
    await opened.context.close();
  }
});

test("the line pasted twice makes one launcher; a second site's stands beside the first", async () => {
  const again = `<script src="${mock.chat}/widget.js" data-site-id="${mock.site}" async></script>`;
  const other = again.replace(mock.site, mock.site.replace("dev_0", "dev_1"));
  const warned = [];
  await openEmpty();
  page.on("console", (message) => warned.push(message.text()));
  await page.goto(putPage(mock, "/host.html", { body: again + other }));
  await until(async () => (await launcherOf(page).count()) === 2, "two launchers");
  const [one, two] = await Promise.all([0, 1].map((at) => launcherOf(page).nth(at).boundingBox()));
  assert.equal(Math.abs(one.x - two.x), 68, "they do not overlap");
  assert.equal(one.y, two.y);
  await until(() => warned.includes("Chatward: twice on this page."), "the console tells the owner");
});

test("one <chatward-chat> takes the place of another in one go, in either order", async () => {
  await visit(putPage(mock, "/host.html", { attributes: { "data-site-id": undefined }, body: `<chatward-chat site-id="${mock.site}"></chatward-chat>` }));
  await launcherOf(page).waitFor();
  for (const isFirst of [true, false]) {
    const settled = await page.evaluate(async (first) => {
      const old = document.querySelector("chatward-chat");
      const next = old.cloneNode();
      if (first) old.before(next);
      old.remove();
      if (!first) document.querySelector("main").append(next);
      await new Promise((resolve) => setTimeout(resolve));
      return [document.querySelectorAll("chatward-widget").length, next.chat !== undefined && next.chat !== null];
    }, isFirst);
    assert.deepEqual(settled, [1, true], `the new one ${isFirst ? "first" : "last"}`);
  }
});

// ---- pages that change -------------------------------------------------------------------------------

test("the launcher outlives a framework that replaces the body, and is put back when it is taken out, so often", async () => {
  await visitHost();
  const frame = await openChat(page);
  await askIn(frame, "canada");
  await page.evaluate(() => document.body.replaceWith(document.createElement("body")));
  assert.equal(await frame.locator(".answer").count(), 1, "the frame was not touched");
  await page.evaluate(() => document.querySelector("chatward-widget").remove());
  const second = await readyFrame(page);
  await second.locator(".answer").waitFor();
  assert.equal(await panelOf(page).isVisible(), true, "it is back, with its conversation");
  const returns = await page.evaluate(async () => {
    for (let round = 0; round < 60; round += 1) {
      const host = document.querySelector("chatward-widget");
      if (host === null) return round;
      host.remove();
      await null;
    }
    return 60;
  });
  assert.ok(returns > 10 && returns < 30, `given up after ${returns}: the page has the last word`);
});

test("printing leaves the launcher out", async () => {
  await visitHost();
  await page.emulateMedia({ media: "print" });
  assert.equal(await launcherOf(page).isVisible(), false);
});

async function launcherHasFocus() {
  await page.waitForFunction(() => document.activeElement.shadowRoot?.activeElement?.getAttribute("aria-expanded") === "false");
}
