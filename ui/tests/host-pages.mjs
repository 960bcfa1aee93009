// Host pages of every kind that a widget meets: strict, isolated, right-to-left, ugly and hostile.
// Owns: their HTML and headers, put on the stand-in server's host origin by path; how a test reaches the frame.
// Never: decides what is right. A page here does what a real one could; none of it knows the loader's inside, except
// for the tests' own way to the frame.

import assert from "node:assert/strict";

/**
 * Puts a page on the host.
 * @param {object} mock of mock-server.mjs
 * @param {string} path such as "/rtl.html"
 * @param {object} page attributes: of the script, as {"data-theme": "dark"}; null: no script; html: attributes of <html>;
 *   head, body: markup; headers
 * @returns {string} its address
 */
export function putPage(mock, path, { attributes = {}, html = 'lang="en"', head = "", body = "", headers = {}, src = "/widget.js" } = {}) {
  const all = { "data-site-id": mock.site, ...attributes };
  const written = Object.entries(all).filter(([, value]) => value !== undefined).map(([name, value]) => ` ${name}="${escaped(value)}"`).join("");
  const script = attributes === null ? "" : `<script src="${mock.chat}${src}"${written} async></script>`;
  mock.pages.set(path, {
    headers,
    body: `<!doctype html><html ${html}><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><link rel="icon" href="data:,">
<title>A shop</title>${head}</head><body><main><h1>A shop</h1><p>Words of the shop. <a href="/other.html">A page</a></p>${body}</main>${script}</body></html>`,
  });
  return `${mock.host}${path}`;
}

const escaped = (value) => String(value).replaceAll("&", "&amp;").replaceAll('"', "&quot;").replaceAll("<", "&lt;");

/** Rules that would break any widget that stands among the page's own elements. */
export const HOSTILE_CSS = `<style>
*, *::before, *::after { display: none !important; visibility: hidden !important; opacity: 0 !important; transform: scale(0) !important; animation: none !important; pointer-events: none !important; clip-path: inset(50%) !important; }
html { display: block !important; visibility: visible !important; opacity: 1 !important; transform: none !important; clip-path: none !important; font-size: 5px !important; line-height: 0 !important; letter-spacing: 2em; color: red; }
body { transform: translateX(40px) !important; filter: blur(2px) !important; overflow: hidden !important; }
:root { font-size: 5px; } div { all: unset !important; } button { font-size: 90px !important; width: 1px !important; position: static !important; }
iframe { visibility: hidden !important; width: 0 !important; } dialog { display: none !important; }
chatward-widget, [site], [position] { position: static !important; z-index: -1 !important; width: 0 !important; height: 0 !important; overflow: hidden !important; left: -9999px !important; }
</style><div style="position:fixed;inset:0;z-index:2147482999;background:#fff"></div>`;

/**
 * A script that runs before the loader and keeps every string that passes through what a page can wrap.
 * What it has is in `window.loot`; `window.reach()` adds what can be read from the document and its windows.
 */
export const HOSTILE_SCRIPT = `<script>
(() => {
  const loot = (window.loot = []);
  const nativeStringify = JSON.stringify.bind(JSON);
  const take = (value) => { try { loot.push(typeof value === "string" ? value : nativeStringify(value) ?? ""); } catch {} };
  const nativeThen = Promise.prototype.then;
  const wrap = (owner, name) => {
    const native = owner[name];
    owner[name] = function (...given) {
      given.forEach(take);
      const result = Reflect.apply(native, this, given);
      if (result instanceof Promise) Reflect.apply(nativeThen, result, [take, () => {}]);
      else take(result);
      return result;
    };
  };
  Promise.prototype.then = function (done, failed) {
    return Reflect.apply(nativeThen, this, [typeof done === "function" ? (value) => { take(value); return done(value); } : done, failed]);
  };
  for (const [owner, names] of [
    [window, ["fetch", "postMessage", "setTimeout", "atob", "btoa"]], [JSON, ["parse", "stringify"]],
    [Storage.prototype, ["setItem", "getItem", "removeItem"]], [Response.prototype, ["json", "text"]],
    [EventTarget.prototype, ["dispatchEvent"]], [String.prototype, ["split", "startsWith", "toLowerCase"]],
    [Element.prototype, ["setAttribute", "append", "attachShadow"]], [Map.prototype, ["set", "get"]], [Headers.prototype, ["set", "get"]],
  ]) for (const name of names) wrap(owner, name);
  const nativePush = Array.prototype.push;
  Array.prototype.push = function (...given) { if (this !== loot) given.forEach((value) => nativePush.call(loot, String(value))); return Reflect.apply(nativePush, this, given); };
  for (const name of ["token", "ticket", "session", "text", "answer"]) {
    Object.defineProperty(Object.prototype, name, { configurable: true, get() { return undefined; }, set(value) { take(value); Object.defineProperty(this, name, { value, writable: true, enumerable: true, configurable: true }); } });
  }
  window.addEventListener("message", (event) => take(event.data), true);
  window.reach = () => {
    const seen = new Set();
    const walk = (root) => {
      for (const node of root.querySelectorAll("*")) {
        take(node.outerHTML);
        if (node.shadowRoot && !seen.has(node.shadowRoot)) { seen.add(node.shadowRoot); take(node.shadowRoot.innerHTML); walk(node.shadowRoot); }
        if (node.localName === "iframe") {
          for (const read of [(w) => w.document.body.innerText, (w) => w.document.documentElement.outerHTML, (w) => nativeStringify({ ...w.sessionStorage }), (w) => w.name, (w) => w.location.href, (w) => w.eval("document.body.innerText"), (w) => w.frames[0].location.href]) {
            try { take(read(node.contentWindow)); } catch (error) { take("refused: " + error.name); }
          }
        }
      }
    };
    walk(document);
    take({ ...sessionStorage }); take({ ...localStorage }); take(document.cookie);
    take(performance.getEntries().map((entry) => entry.name));
    return loot;
  };
})();
</script>`;

export const launcherOf = (page) => page.locator("button[part=launcher]");
export const panelOf = (page) => page.locator("chatward-widget .panel");

/** The chat's frame, as far as it has come. */
export async function frameOf(page) {
  const handle = await page.locator("chatward-widget iframe").elementHandle();
  return handle.contentFrame();
}

/** Opens the chat by the launcher and waits until a question can be asked. */
export async function openChat(page) {
  await launcherOf(page).click();
  return readyFrame(page);
}

export async function readyFrame(page) {
  const frame = await frameOf(page);
  await frame.locator(".starter:visible, .answer:visible").first().waitFor();
  return frame;
}

/** A message as the frame's own script would post it. */
export async function say(frame, message) {
  await frame.evaluate((data) => window.parent.postMessage(data, "*"), message);
}

/** Waits until a value that the test keeps outside of the page is as wanted; fails with its last value. */
export async function until(read, label) {
  const deadline = Date.now() + 15_000;
  for (;;) {
    const value = await read();
    if (value) return value;
    assert.ok(Date.now() < deadline, `${label}: still ${JSON.stringify(value)}`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}
