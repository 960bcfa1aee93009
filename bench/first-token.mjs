// How long the first words of an answer take from the frame's reader to the page: to its DOM, and to the next frame that
// is painted.
//
//   node bench/first-token.mjs [--asked 60]
//
// Owns: the clock in the page (wrapped around the body's reader), two conversations (a new one, and one that already has
// eighty messages). Serves what ships, by the tests' stand-in server. Not part of ./check: its figures are those of the
// machine. Needs the packages of ui/tests and Chromium.

import { parseArgs } from "node:util";

import { askIn, openPage, startBrowser } from "../ui/tests/browser.mjs";
import { startMock } from "../ui/tests/mock-server.mjs";

const { values: options } = parseArgs({ options: { asked: { type: "string", default: "60" } } });
const browser = await startBrowser();
console.log("| conversation | answers | to the DOM, ms: median, p95, max | work of the frame, ms | to the painted frame, ms: median, p95, max |\n|---|---|---|---|---|");
try {
  for (const [name, length] of [["new", 0], ["80 messages long", 80]]) {
    const mock = await startMock();
    if (length > 0) mock.history = history(length);
    const { page, context } = await openPage(browser, [mock.chat]);
    await page.addInitScript(watch);
    await page.goto(`${mock.chat}/embed/${mock.site}`);
    await page.locator("html:not([data-starting]) #question").waitFor();
    await page.locator(".starter:visible, .answer:visible").first().waitFor();
    const found = [];
    for (let at = 0; at < Number(options.asked); at += 1) {
      await page.evaluate(() => window.begin());
      await askIn(page, "canada");
      found.push(await page.evaluate(() => window.found));
      // The stand-in server's conversation grows; what is measured should not grow with it.
      await page.evaluate(() => document.querySelectorAll("#messages > li:nth-last-child(-n+2)").forEach((item) => item.remove()));
    }
    const column = (key) => {
      const sorted = found.map((one) => one[key]).sort((one, other) => one - other);
      const at = (share) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))].toFixed(1);
      return `${at(0.5)}, ${at(0.95)}, ${sorted.at(-1).toFixed(1)}`;
    };
    console.log(`| ${name} | ${found.length} | ${column("dom")} | ${column("work")} | ${column("painted")} |`);
    await context.close();
    await mock.close();
  }
} finally {
  await browser.close();
}

function history(length) {
  const text = "Shipping takes some days, and costs what the table says. **Parcels** over two kilograms cost more [1].\n\n- one\n- two\n";
  return Array.from({ length }, (_, at) => (at % 2 === 0 ? { id: `q${at}`, role: "user", text: "A question?" } : { id: `a${at}`, role: "assistant", text, citations: [], state: "complete" }));
}

// Runs in the page before its own scripts.
function watch() {
  let arrived;
  const decoder = new TextDecoder();
  const native = ReadableStreamDefaultReader.prototype.read;
  ReadableStreamDefaultReader.prototype.read = function (...given) {
    const result = Reflect.apply(native, this, given);
    // Registered first, so it runs before the page's own reaction to the same bytes.
    result.then(({ value }) => {
      if (arrived === undefined && value !== undefined && /event: ?delta/.test(decoder.decode(value))) arrived = performance.now();
    });
    return result;
  };
  window.begin = () => {
    arrived = undefined;
    window.found = undefined;
    const observer = new MutationObserver(() => {
      const body = document.querySelector("#messages > li:last-child .body");
      if (arrived === undefined || body === null || body.textContent === "") return;
      observer.disconnect();
      const dom = performance.now() - arrived;
      requestAnimationFrame(() => {
        const frame = performance.now() - arrived;
        // A task that is queued within a frame runs when the frame has been painted.
        const { port1, port2 } = new MessageChannel();
        port1.onmessage = () => (window.found = { dom, work: performance.now() - arrived - frame, painted: performance.now() - arrived });
        port2.postMessage(null);
      });
    });
    observer.observe(document.getElementById("messages"), { childList: true, subtree: true, characterData: true });
  };
}
