// Who the page says its visitor is, and what it calls when: nothing that it says is lost on the way, and nothing of one
// person is left for the next.
// Never: knows how a token is signed; the stand-in server takes "valid.<somebody>" for somebody.

import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, test } from "node:test";

import { askIn, openPage, startBrowser } from "./browser.mjs";
import { frameOf, launcherOf, openChat, putPage, readyFrame, until } from "./host-pages.mjs";
import { startMock } from "./mock-server.mjs";
import { requestTicket } from "../loader/tickets.js";

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
  opened = undefined;
  await mock.close();
});

async function visitHost(host = {}) {
  opened = await openPage(browser, [mock.chat, mock.host]);
  page = opened.page;
  await page.goto(putPage(mock, "/host.html", host));
  await launcherOf(page).waitFor();
}

const chatward = (name, ...rest) => page.evaluate(([method, given]) => window.Chatward[method](...given), [name, rest]);
const trades = () => mock.requests.filter(({ method, path }) => method === "POST" && path === "/sessions").map(({ body }) => body);
const lastQuestion = () => mock.requests.findLast(({ path }) => path === "/messages").body;
const queued = (...calls) => ({ head: `<script>window.Chatward = ${JSON.stringify(calls)};</script>` });
const ALICE = { token: "valid.alice" };
const BOB = { token: "valid.bob" };

for (const way of ["reset", "forget", "the visitor"]) {
  test(`an identity and a context end with their conversation: ${way}`, async () => {
    await visitHost();
    await chatward("identify", ALICE);
    await chatward("setContext", { plan: "gold" });
    const frame = await openChat(page);
    await askIn(frame, "canada");
    assert.equal(trades().at(-1).identity, ALICE.token);
    assert.deepEqual(lastQuestion().context, { plan: "gold" });
    if (way === "the visitor") {
      await frame.locator("#privacy-open").click();
      await frame.locator("#privacy .danger").click();
      await frame.locator("#privacy .filled").click();
      await frame.getByRole("button", { name: "Done" }).click();
    } else await chatward(way);
    await frame.locator(".answer").waitFor({ state: "detached" });
    await askIn(frame, "descale");
    assert.equal(trades().length, 2);
    assert.equal(trades()[1].identity, undefined);
    assert.equal(trades()[1].resume, undefined);
    assert.equal(lastQuestion().context, undefined);
    // A frame that begins anew is told what the loader has, which is nothing.
    await page.evaluate(() => document.querySelector("chatward-widget").remove());
    await readyFrame(page);
    assert.equal(trades().at(-1).identity, undefined);
  });
}

test("what is said right after a reset is for the new conversation", async () => {
  await visitHost();
  await chatward("identify", ALICE);
  const frame = await openChat(page);
  await askIn(frame, "canada");
  await page.evaluate((bob) => {
    window.Chatward.reset();
    window.Chatward.identify(bob);
    window.Chatward.setContext({ plan: "silver" });
  }, BOB);
  await frame.locator(".answer").waitFor({ state: "detached" });
  await askIn(frame, "canada");
  assert.equal(trades().at(-1).identity, BOB.token);
  assert.deepEqual(lastQuestion().context, { plan: "silver" });
});

test("identify takes a token or null, and says so", async () => {
  await visitHost();
  for (const wrong of [undefined, {}, "valid.alice", { token: 7 }]) await page.evaluate((claim) => window.Chatward.identify(claim), wrong);
  await until(() => opened.seen.errors.length === 4, "four words in the console");
  assert.ok(opened.seen.errors.every((text) => text.startsWith("Chatward: identify takes {token}")), opened.seen.errors.join());
  await chatward("identify", ALICE);
  await chatward("identify", null);
  const frame = await openChat(page);
  assert.equal(trades()[0].identity, undefined);
  await chatward("identify", ALICE);
  await until(() => mock.requests.some(({ path }) => path === "/identity"), "the server is told");
  await askIn(frame, "canada");
  await chatward("identify", null);
  await frame.locator(".answer").waitFor({ state: "detached" });
  await askIn(frame, "canada");
  assert.equal(mock.opened, 2, "who is nobody does not go on with somebody's conversation");
  assert.equal(trades().at(-1).identity, undefined);
});

test("another person on the same page gets a conversation of their own", async () => {
  await visitHost();
  await chatward("identify", ALICE);
  const frame = await openChat(page);
  await askIn(frame, "canada");
  await chatward("identify", BOB);
  await frame.locator(".answer").waitFor({ state: "detached" });
  await until(() => mock.opened === 2, "a new conversation");
  assert.equal(trades().at(-1).resume, undefined);
  assert.equal(trades().at(-1).identity, BOB.token);
  await askIn(frame, "canada");
  assert.equal(await frame.locator(".question").count(), 1);
});

test("on a later page another person, or nobody, does not find the conversation of the one before", async () => {
  await visitHost();
  await chatward("identify", ALICE);
  await askIn(await openChat(page), "canada");
  await until(() => page.evaluate(() => sessionStorage.length > 0), "the resume id");
  await page.reload();
  await launcherOf(page).waitFor();
  await chatward("identify", BOB);
  const frame = await openChat(page);
  assert.equal(await frame.locator(".answer").count(), 0);
  assert.equal(mock.opened, 2);
  assert.deepEqual(trades().at(-1).identity, BOB.token);
  await askIn(frame, "canada");
  await page.reload();
  await launcherOf(page).waitFor();
  await openChat(page);
  assert.equal(mock.opened, 3);
  await chatward("identify", { token: "wrong" });
  await until(() => mock.opened === 4, "who cannot be proven is nobody, in a new conversation");
  assert.equal(trades().at(-1).identity, undefined);
});

test("what is called between init and ready is not lost", async () => {
  await visitHost();
  let go;
  const held = new Promise((resolve) => (go = resolve));
  await opened.context.route(`${mock.chat}/api/v1/widget/sessions`, async (route) => {
    await held;
    await route.continue();
  });
  await Promise.all([page.waitForRequest("**/api/v1/widget/sessions"), launcherOf(page).click()]);
  await chatward("setLocale", "de");
  await chatward("setTheme", "dark");
  await chatward("identify", ALICE);
  await chatward("ask", "canada");
  go();
  const frame = await frameOf(page);
  await frame.locator(".answer .sources").waitFor();
  assert.equal(await frame.locator("html").getAttribute("lang"), "de");
  assert.equal(await frame.locator("html").getAttribute("data-theme"), "dark");
  await until(() => mock.requests.some(({ path, body }) => path === "/identity" && body.token === ALICE.token), "the identity");
});

test("one bad call in the queue does not stop those after it", async () => {
  await visitHost(queued(["setContext", null], 7, ["nothing"], ["open"]));
  await readyFrame(page);
  assert.equal(opened.seen.errors.length, 2, opened.seen.errors.join());
});

test("ready is said once, and a renewal takes no focus", async () => {
  await visitHost({ body: `<input id="field" aria-label="A field">` });
  await page.evaluate(() => {
    window.readies = 0;
    window.Chatward.on("ready", () => (window.readies += 1));
  });
  const frame = await openChat(page);
  await frame.evaluate(() => {
    window.shown = 0;
    window.addEventListener("message", ({ data }) => data.chatward === "shown" && (window.shown += 1));
  });
  await askIn(frame, "canada");
  await page.locator("#field").focus();
  await chatward("ask", "expired");
  // The answer is said aloud a moment later as well.
  await frame.locator(".answer").getByText("A fresh session answers.").waitFor();
  assert.equal(trades().length, 2, "it was renewed");
  assert.equal(await page.evaluate(() => document.activeElement.id), "field");
  assert.equal(await frame.evaluate(() => window.shown), 0);
  assert.equal(await page.evaluate(() => window.readies), 1);
});

test("more questions than can wait are an error that the page hears", async () => {
  await visitHost();
  const frame = await openChat(page);
  await page.evaluate(() => window.Chatward.on("error", (detail) => (window.heard = detail)));
  await chatward("ask", "gate");
  await until(() => mock.gates.get("middle"), "the answer waits");
  for (let turn = 0; turn < 5; turn += 1) await chatward("ask", `canada ${turn}`);
  assert.equal(await page.evaluate(() => window.heard), undefined);
  await chatward("ask", "canada 5");
  await page.waitForFunction(() => window.heard !== undefined);
  assert.deepEqual(await page.evaluate(() => window.heard), { code: "too_many_waiting" });
  mock.gates.get("middle")();
  (await until(() => mock.gates.get("end"), "the end"))();
  await until(async () => (await frame.locator(".answer .sources").count()) === 5, "those that waited are answered");
  assert.deepEqual(await frame.locator(".bubble").allTextContents(), ["gate", "canada 0", "canada 1", "canada 2", "canada 3", "canada 4"]);
});

test("forget without a conversation opens none", async () => {
  await visitHost();
  const frame = await openChat(page);
  await askIn(frame, "canada");
  await chatward("forget");
  await frame.locator(".answer").waitFor({ state: "detached" });
  await chatward("forget");
  await chatward("setLocale", "de");
  await frame.locator("html[lang=de]").waitFor();
  assert.equal(trades().length, 1);
  assert.equal(mock.requests.filter(({ method }) => method === "DELETE").length, 1);
});

test("asking for a ticket ends before the frame has waited for long enough", async (context) => {
  let whole = 0;
  const count = (milliseconds) => (whole += milliseconds);
  context.mock.method(globalThis, "setTimeout", (run, milliseconds) => queueMicrotask(run, count(milliseconds)));
  context.mock.method(AbortSignal, "timeout", (milliseconds) => count(milliseconds) && undefined);
  context.mock.method(globalThis, "fetch", async () => {
    throw new TypeError("no network");
  });
  assert.deepEqual(await requestTicket("https://chat.example", "cw_pk_dev_1"), { code: "offline" });
  context.mock.restoreAll();
  assert.ok(whole > 5_000 && whole <= 18_000, String(whole));
});
