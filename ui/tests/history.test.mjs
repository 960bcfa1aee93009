// A long conversation: what a browser has to do for a thousand messages is bounded, and nothing of it is out of reach.

import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, test } from "node:test";

import { assertAccessible, assertClean, openPage, startBrowser } from "./browser.mjs";
import { startMock } from "./mock-server.mjs";

const MESSAGES = 1_000;
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
  mock.history = Array.from({ length: MESSAGES }, (_, at) =>
    at % 2 === 0
      ? { id: `message_q${at}`, role: "user", text: `Question ${at}`, citations: [], state: "complete" }
      : { id: `message_${at}`, role: "assistant", text: `Answer **${at}**\n\n- one\n- two\n\n| a | b |\n|---|---|\n| 1 | 2 |`, citations: [{ id: 1, title: "Shipping", url: `${mock.host}/page/shipping`, quote: "Words." }], state: "complete" },
  );
});
afterEach(async () => {
  await opened?.context.close();
  await mock.close();
});

// A first visit starts the session; the second one goes on with it.
async function openHistory() {
  opened = await openPage(browser, [mock.chat], { viewport: { width: 400, height: 660 } });
  page = opened.page;
  await page.goto(`${mock.chat}/embed/${mock.site}`);
  await page.locator(".starter").first().waitFor();
  await page.waitForFunction(() => sessionStorage.length === 1);
  await page.reload();
  await page.locator(".answer .sources").last().waitFor();
}

const count = () => page.locator(".message").count();
const atEnd = () => page.locator("#log").evaluate((log) => log.scrollHeight - log.scrollTop - log.clientHeight < 4);

test("only the newest are built at first, and the last one is in sight", async () => {
  await openHistory();
  assert.ok((await count()) <= 60, String(await count()));
  assert.ok((await page.evaluate(() => document.querySelectorAll("*").length)) < 3_000);
  assert.match(await page.locator(".message").last().innerText(), /Answer 999/);
  assert.equal(await atEnd(), true);
  await assertAccessible(page, "history");
  assertClean(opened.seen);
});

test("scrolling back brings all of it, and the words in sight stay where they are", async () => {
  await openHistory();
  await page.locator("#log").hover();
  let before = await count();
  for (let step = 0; step < 400 && before < MESSAGES; step += 1) {
    await page.mouse.wheel(0, -6_000);
    await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
    before = await count();
  }
  assert.equal(before, MESSAGES);
  assert.equal(await page.locator("#earlier").isVisible(), false);
  assert.match(await page.locator(".message").first().textContent(), /Question 0$/);
  await page.locator("#log").evaluate((log) => (log.scrollTop = 0));
  await page.waitForFunction(() => document.querySelector(".message").getBoundingClientRect().top > 0);
  // Laid out is what is in sight and near it: the rest is skipped, whatever there is of it.
  const laidOut = await page.locator(".message").evaluateAll((all) => all.filter((one) => one.firstElementChild.checkVisibility({ contentVisibilityAuto: true })).length);
  assert.ok(laidOut < 100, `${laidOut} of ${MESSAGES}`);
  assertClean(opened.seen);
});

test("older messages that come in above do not move what is read", async () => {
  await openHistory();
  await page.locator("#log").evaluate((log) => (log.scrollTop = 700));
  await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
  const read = await page.evaluateHandle(() => [...document.querySelectorAll(".message")].find((one) => one.getBoundingClientRect().bottom > 300));
  const top = () => read.evaluate((one) => one.getBoundingClientRect().top);
  const before = { top: await top(), count: await count() };
  await page.locator("#earlier").evaluate((button) => button.click());
  await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
  assert.ok((await count()) > before.count);
  assert.ok(Math.abs((await top()) - before.top) < 8, `${before.top} and ${await top()}`);
});

test("the keyboard reaches older messages by a button, and a new question goes to the end", async () => {
  await openHistory();
  const before = await count();
  await page.getByRole("button", { name: "Earlier messages" }).focus();
  await page.keyboard.press("Enter");
  await page.waitForFunction((earlier) => document.querySelectorAll(".message").length > earlier, before);
  assert.equal(await page.evaluate(() => document.activeElement.id), "earlier", "the focus stays on the button while there is more");
  await page.locator("#question").fill("canada");
  await page.locator("#question").press("Enter");
  await page.locator(".answer").last().getByText("14.50").first().waitFor();
  assert.equal(await page.locator(".question").last().evaluate((one) => {
    const log = document.getElementById("log").getBoundingClientRect();
    const box = one.getBoundingClientRect();
    return box.top >= log.top && box.bottom <= log.bottom;
  }), true);
});

test("whom to ask is there after a reload too", async () => {
  mock.look.contact = "help@pellamoor.example";
  mock.history = [
    { id: "message_q1", role: "user", text: "nothing", citations: [], state: "complete" },
    { id: "message_1", role: "assistant", text: "I could not find that.", citations: [], state: "complete" },
  ];
  opened = await openPage(browser, [mock.chat]);
  page = opened.page;
  await page.goto(`${mock.chat}/embed/${mock.site}`);
  await page.waitForFunction(() => sessionStorage.length === 1);
  await page.reload();
  assert.match(await page.locator(".answer .contact").innerText(), /You can ask a person\s+help@pellamoor\.example/);
});

test("an answer that was interrupted says so and can be asked for again", async () => {
  mock.history = [
    { id: "message_q1", role: "user", text: "canada", citations: [], state: "complete" },
    { id: "message_1", role: "assistant", text: "Shipping to", citations: [], state: "interrupted" },
  ];
  opened = await openPage(browser, [mock.chat]);
  page = opened.page;
  await page.goto(`${mock.chat}/embed/${mock.site}`);
  await page.waitForFunction(() => sessionStorage.length === 1);
  await page.reload();
  await page.getByText("Cut short").waitFor();
  assert.equal(await page.locator(".rating").count(), 0);
  await page.getByRole("button", { name: "Try again" }).click();
  await page.locator(".answer .sources").waitFor();
  assert.equal(mock.requests.at(-1).body.message, "canada");
  assert.equal(await page.getByRole("button", { name: "Try again" }).count(), 0);
  assert.equal(await page.evaluate(() => document.activeElement.id), "question");
});
