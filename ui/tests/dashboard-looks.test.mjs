// Every state of the dashboard, without a server: that axe finds nothing in it, that it fits, and that it stays bounded.

import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";

import { bounds, frame, fromAddress, query, tidy, toAddress } from "../dashboard/filter.js";
import { EventList } from "../dashboard/list.js";
import { assertAccessible, assertClean, DESKTOP, NARROW, PHONE, startBrowser } from "./browser.mjs";
import { ADMIN, BUSY, FACTOR, loggedIn, NEEDS_CODE, NOBODY, openDashboard, realisticEvents, ROLE } from "./dashboard-page.mjs";

let browser;
let opened;

before(async () => {
  browser = await startBrowser();
});
after(() => browser?.close());
afterEach(async () => {
  await opened?.context.close();
  opened = undefined;
});

const list = { body: { events: realisticEvents(), next_cursor: "c1" } };
const out = { "GET /api/v1/auth/me": NOBODY, "POST /api/v1/auth/refresh": NOBODY };
/** Each state: what the server says, and how it is reached. */
const STATES = {
  "logged out": [out, (page) => page.getByLabel("E-mail address").waitFor()],
  "a code is asked for": [{ ...out, "POST /api/v1/auth/login": NEEDS_CODE }, async (page) => {
    await page.getByLabel("E-mail address").fill("ann@shop.example");
    await page.getByLabel("Password").fill("seven lamps under glass");
    await page.keyboard.press("Enter");
    await page.getByLabel("Code of your second factor").waitFor();
  }],
  "events with details": [loggedIn(list), async (page) => {
    await page.getByRole("button", { name: /^Details of RATE_LIMIT/ }).first().click();
    await page.getByRole("button", { name: /^Details of ISSUED_KEY/ }).first().click();
  }],
  "a filter with exact times": [loggedIn(list), async (page) => {
    const form = page.locator("details.filter");
    if (!(await form.evaluate((element) => element.open))) await form.locator("summary").click();
    await page.getByLabel("Time", { exact: true }).selectOption("exact");
  }],
  "not connected": [loggedIn(list), async (page) => {
    await page.getByRole("switch", { name: "Follow" }).click();
    await page.getByText("Not connected.").waitFor();
  }],
  "nothing": [loggedIn({ body: { events: [] } }), (page) => page.getByText("Nothing has happened yet").waitFor()],
  "the log cannot be read": [loggedIn(BUSY), (page) => page.getByText("Too many requests read the log").waitFor()],
  "the role is not enough": [{ "GET /api/v1/auth/me": { body: { ...ADMIN, role: "viewer" } }, "GET /api/v1/events": ROLE }, (page) => page.getByText("with the role viewer").waitFor()],
  "a second factor comes first": [loggedIn(FACTOR), (page) => page.getByRole("heading", { name: "Set up a second factor first" }).waitFor()],
  "no server": [{}, (page) => page.getByText("The server does not answer at the moment.").waitFor()],
};

for (const [name, [answers, reach]] of Object.entries(STATES)) {
  test(`axe finds nothing, and nothing is wider than the page: ${name}`, async () => {
    for (const viewport of [DESKTOP, PHONE, NARROW]) {
      for (const colorScheme of ["light", "dark"]) {
        opened = await openDashboard(browser, answers, { viewport, colorScheme });
        await reach(opened.page);
        await assertAccessible(opened.page, `${name}, ${viewport.width}, ${colorScheme}`);
        assert.equal(await opened.page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), true, `${name}, ${viewport.width}`);
        if (name !== "not connected") assertClean(opened.seen);
        await opened.context.close();
      }
    }
  });
}

test("what strangers sent is shown as text", async () => {
  opened = await openDashboard(browser, loggedIn(list));
  await opened.page.getByRole("button", { name: /^Details of CORS_BLOCKED/ }).first().click();
  assert.match(await opened.page.locator("tr.details").innerText(), /<img src=x onerror=alert\(1\)>/);
  assert.equal(await opened.page.locator("main img").count(), 0);
  assertClean(opened.seen);
});

test("pages that hold nothing are read on, so many and no more, and it is said", async () => {
  let pages = 0;
  const empty = () => ({ body: { events: [], next_cursor: `c${(pages += 1)}` } });
  opened = await openDashboard(browser, loggedIn(empty));
  await opened.page.getByText("Nothing fits so far").waitFor();
  assert.equal(pages, 5);
  await opened.page.getByRole("button", { name: "Look further back" }).click();
  await opened.page.waitForFunction(() => !document.querySelector(".more").disabled && document.querySelector(".nothing").hidden === false);
  assert.equal(pages, 10);
  assert.equal(opened.asked.at(-1).search.cursor, "c9");
});

test("the keyboard alone is enough, and the link to the content leaves the filter as it is", async () => {
  opened = await openDashboard(browser, loggedIn(list), { hash: "#name=LOGIN" });
  const { page } = opened;
  await page.locator("tr.event").first().waitFor();
  await page.locator("body").press("Tab");
  const focused = () => page.evaluate(() => document.activeElement.textContent || document.activeElement.id);
  assert.equal(await focused(), "Skip to the content");
  await page.keyboard.press("Enter");
  assert.equal(new URL(page.url()).hash, "#name=LOGIN");
  const reached = [];
  for (let step = 0; step < 14; step += 1) {
    await page.keyboard.press("Tab");
    reached.push(await focused());
    const outline = await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
    assert.notEqual(outline, "none", reached.at(-1));
  }
  for (const name of ["filter-name", "filter-session", "Search", "Follow", "LOGIN_SUCCEEDED"]) assert.ok(reached.includes(name), `${name} in ${reached}`);
});

test("at twice the size and in forced colours everything is still there", async () => {
  opened = await openDashboard(browser, loggedIn(list), { viewport: { width: 600, height: 410 }, forcedColors: "active", reducedMotion: "reduce" });
  const { page } = opened;
  await page.locator("tr.event").first().waitFor();
  assert.equal(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), true);
  assert.match(await page.locator("tr.event").nth(1).innerText(), /Warning[\s\S]*RATE_LIMIT_EXCEEDED[\s\S]*×118/);
  await assertAccessible(page, "forced colours");
});

test("a filter goes into the address and back, without what a key or a session is worth", () => {
  const key = ["cw", "sk", "live", "a".repeat(22), "b".repeat(44)].join("_");
  const filter = { name: "LOGIN", address: "192.0.2.0/24", key: tidy("key", ` ${key} `), session: tidy("session", "k3Jd92LmPq0ZxV7aREST"), time: "exact", since: 1_700_000_000, until: 1_700_000_060, follow: true };
  assert.equal(toAddress(filter), `#name=LOGIN&address=192.0.2.0/24&key=${"a".repeat(22)}&session=k3Jd92LmPq0ZxV7a&since=2023-11-14T22:13:20Z&until=2023-11-14T22:14:20Z&follow=1`);
  assert.deepEqual(fromAddress(toAddress(filter)), filter);
  assert.deepEqual(fromAddress(`#key=${key}&time=century&since=x&other=1&name=`), { key: "a".repeat(22) });
  assert.equal(tidy("key", "cw_sk_live_typo"), "cw_sk_");
  assert.deepEqual(bounds({ time: "hour" }, 7_200_000), { since: 3600 });
  assert.equal(query({ name: "A", time: "exact", until: 5 }, { limit: 50, cursor: null }), "/api/v1/events?name=A&until=5&limit=50");
  assert.deepEqual(JSON.parse(frame({ name: "A", time: "hour", follow: true })), { type: "filter", name: "A" });
});

test("a list holds each event once, whichever way it came, and not without end", () => {
  const event = (number, more = {}) => ({ category: "SECURITY", time: `2026-01-01T00:00:${String(number).padStart(2, "0")}.000000Z`, event: "A", ...more });
  const events = new EventList();
  assert.equal(events.take([event(3), event(1), event(1)]).length, 3, "two of one reading are two");
  assert.equal(events.take([event(1), event(1), event(1), event(2)]).length, 2, "a third is one more");
  assert.equal(events.take([event(3, { owner: "own_1", user_agent: null })]).length, 0, "the socket says more of it");
  assert.deepEqual(events.entries.map((entry) => entry.event.time.slice(17, 19)), ["03", "02", "01", "01", "01"]);
  assert.equal(events.trim(2).length, 3);
  assert.deepEqual([events.size, events.oldest], [2, event(2).time]);
});
