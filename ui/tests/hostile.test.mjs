// Controls IN-03 and IN-05 in a real browser: whatever a model, a crawled page or a visitor
// writes, nothing runs, nothing remote loads, and only listed addresses are links.

import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, test } from "node:test";

import { askIn, assertClean, openPage, startBrowser } from "./browser.mjs";
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
  opened = await openPage(browser, [mock.chat]);
  page = opened.page;
});
afterEach(async () => {
  await opened.context.close();
  await mock.close();
});

async function openChat() {
  await page.goto(`${mock.chat}/embed/${mock.site}`);
  await page.locator("#greeting:not(:empty)").waitFor();
}

const ran = () => page.evaluate(() => window.hacked);

test("a hostile answer is text: nothing runs, nothing loads, and only listed addresses are links", async () => {
  await openChat();
  const answer = await askIn(page, "hostile");
  const links = await answer.locator("a").evaluateAll((anchors) => anchors.map((anchor) => anchor.getAttribute("href")));
  assert.deepEqual(links.map((link) => link.replace(/:~:.*$/, "").replace(/#$/, "")), [
    `${mock.host}/page/good`, "https://docs.example/retrieved#part", "https://docs.example/retrieved", "https://docs.example/retrieved", "https://docs.example/retrieved",
  ]);
  assert.equal(await answer.locator("img, script, style, iframe, svg[onload], object, embed, form, video, [style], [onerror]").count(), 0);
  const text = await answer.locator(".body").innerText();
  for (const kept of ['<img src=x onerror="window.hacked=1">', "a < b && c > d", "https://evil.example/bare", "<script>window.hacked=7</script>", "[99]"]) {
    assert.ok(text.includes(kept), kept);
  }
  assert.match(await answer.locator(".source-title").first().innerText(), /^<img src=x/);
  assert.equal(await answer.locator(".sources a.source-link").count(), 1, "a source with another scheme or with credentials is not a link");
  assert.equal(await ran(), undefined);
  assertClean(opened.seen);
});

test("the same holds while it streams, and after a reload from the history", async () => {
  await openChat();
  await page.evaluate(() => {
    window.bad = [];
    new MutationObserver(() => {
      for (const anchor of document.querySelectorAll(".body a")) {
        if (/evil|javascript|data:|api\/v1/.test(anchor.getAttribute("href"))) window.bad.push(anchor.href);
      }
    }).observe(document.getElementById("messages"), { childList: true, subtree: true, attributes: true });
  });
  await askIn(page, "hostile");
  assert.deepEqual(await page.evaluate(() => window.bad), []);
  await page.reload();
  await page.locator(".answer .sources").waitFor();
  assert.equal(await page.locator(".body a").count(), 3);
  assert.equal(await ran(), undefined);
  assertClean(opened.seen);
});

test("a hostile question is text", async () => {
  await openChat();
  const question = `<img src=x onerror=window.hacked=1> **not bold** [x](javascript:window.hacked=2)`;
  await askIn(page, question);
  assert.equal(await page.locator(".bubble").innerText(), question);
  assert.equal(await page.locator(".bubble *").count(), 0);
  assert.equal(await ran(), undefined);
  assertClean(opened.seen);
});

test("a hostile look is text", async () => {
  const markup = `<img src=x onerror=window.hacked=1>`;
  Object.assign(mock.look, { title: markup, greeting: `${markup}\u202Egpj`, starters: [markup, 7, null, { toString: 1 }, "a", "b"], language: `en" onload="window.hacked=2`, link_origins: ["javascript:", "https://evil.example", 9], max_characters: -1 });
  await openChat();
  assert.equal(await page.locator("#title").innerText(), markup);
  assert.equal(await page.locator("#greeting").innerText(), `${markup}gpj`);
  assert.equal(await page.locator("img").count(), 0);
  assert.ok((await page.locator(".starter").count()) <= 4);
  assert.equal(await page.locator("#messages").getAttribute("lang"), null);
  await page.locator("#question").fill("x".repeat(999));
  assert.equal(await page.locator("#counter").innerText(), "999 / 1,000");
  assert.equal(await ran(), undefined);
  assertClean(opened.seen);
});

test("a look of the wrong shape does no harm", async () => {
  mock.look = null;
  await openChat();
  const answer = await askIn(page, "canada");
  assert.match(await answer.innerText(), /14\.50/);
  assertClean(opened.seen);
});

test("overrides do not turn what follows, and stacked marks do not climb", async () => {
  await openChat();
  const answer = await askIn(page, "bidi");
  const text = await answer.locator(".body").evaluate((body) => body.textContent);
  assert.ok(!/[\u{e0000}-\u{e007f}\u0007]/u.test(text));
  assert.ok(!/[\u202a-\u202e\u2066-\u2069]/.test(text), "no direction of its own");
  assert.ok(text.includes("\u{1F468}\u200D\u{1F469}\u200D\u{1F467}"));
  assert.ok((text.match(/\u0335/g) ?? []).length <= 8);
});

test("a markdown bomb neither freezes nor widens the page", async () => {
  await openChat();
  // What is made and thrown away again while the answer comes in is what would hold up the page.
  await page.evaluate(() => {
    window.made = 0;
    for (const name of ["createElement", "createTextNode"]) {
      const native = Document.prototype[name];
      Document.prototype[name] = function (...given) {
        window.made += 1;
        return Reflect.apply(native, this, given);
      };
    }
  });
  const answer = await askIn(page, "flood");
  const [made, stayed] = await answer.evaluate((element) => [window.made, document.createNodeIterator(element, NodeFilter.SHOW_ALL)].map((one) => {
    if (typeof one === "number") return one;
    let nodes = 0;
    while (one.nextNode() !== null) nodes += 1;
    return nodes;
  }));
  assert.ok(stayed < 20_000, String(stayed));
  assert.ok(made < 4 * stayed, `${made} were made for ${stayed}`);
  assert.equal(await page.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth), true);
  assertClean(opened.seen);
});

test("ten thousand links are a bounded number of elements, and every word of them is there", async () => {
  await openChat();
  const answer = await askIn(page, "links");
  assert.ok((await answer.locator("a").count()) <= 6_000);
  assert.ok((await answer.locator("*").count()) < 10_000);
  assert.equal(await answer.locator(".body").evaluate((body) => body.textContent.slice(-9)), "last word");
  assertClean(opened.seen);
});

test("a megabyte of text is shown whole, and the chat goes on", async () => {
  await openChat();
  const answer = await askIn(page, "megabyte");
  assert.ok((await answer.locator("*").count()) < 5_000);
  const text = await answer.locator(".body").evaluate((body) => body.textContent);
  assert.ok(text.length > 1_000_000, String(text.length));
  assert.equal(text.slice(-9), "last word");
  assert.match(await (await askIn(page, "canada")).innerText(), /14\.50/);
  assertClean(opened.seen);
});

test("four megabytes pasted into the field are refused at once, and the chat goes on", async () => {
  await opened.context.grantPermissions(["clipboard-read", "clipboard-write"]);
  await openChat();
  await page.evaluate(() => navigator.clipboard.writeText("a".repeat(4 * 1024 * 1024)));
  await page.locator("#question").focus();
  // What would take long is to lay them out: the field never holds them.
  await page.evaluate(() => {
    window.longest = 0;
    document.getElementById("question").addEventListener("input", ({ target }) => (window.longest = Math.max(window.longest, target.value.length)));
  });
  await page.keyboard.press("Control+V");
  await page.getByText("4,193,304 characters too long").first().waitFor();
  assert.equal(await page.evaluate(() => window.longest), 0);
  assert.equal(await page.locator("#question").inputValue(), "");
  await askIn(page, "canada");
  assert.equal(mock.requests.filter((request) => request.path === "/messages").length, 1);
});

test("the policy is the strict one: markup sinks and evaluation are refused", async () => {
  await openChat();
  const outcomes = await page.evaluate(() => {
    const attempt = (run) => {
      try {
        run();
        return "allowed";
      } catch (error) {
        return error.name;
      }
    };
    return [
      attempt(() => (document.createElement("div").innerHTML = "<b>x</b>")),
      attempt(() => (document.createElement("script").text = "1")),
      attempt(() => window.trustedTypes.createPolicy("own", { createHTML: (text) => text })),
    ];
  });
  assert.deepEqual(outcomes, ["TypeError", "TypeError", "TypeError"]);
});
