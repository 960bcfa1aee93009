// The dashboard's events against the real program (CHATWARD_BIN): logging in, finding, following, leaving (LOG-09).

import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";

import { assertClean, DESKTOP, openPage, startBrowser } from "./browser.mjs";
import { client, codeOf, knock, KNOCKED, PASSWORD, send, visit } from "./dashboard-client.mjs";
import { startDemo } from "./program.mjs";

const ADMIN = "admin@example.test";
const VIEWER = "viewer@example.test";
const OTHERS = "theirs@example.test";
const ROOMY = {
  CHATWARD_ACCOUNTS_REGISTRATION: "open",
  CHATWARD_LIMITS_PER_MINUTE: "1000",
  CHATWARD_LIMITS_API_REQUESTS: "10000",
  CHATWARD_LIMITS_SIGN_IN_PER_MINUTE: "1000",
  CHATWARD_LIMITS_SOCKETS_PER_MINUTE: "1000",
};

let browser;
let demo;
let opened;
let page;

before(async () => {
  demo = await startDemo(ROOMY);
  for (const [email, role] of [[ADMIN, "admin"], [VIEWER, "viewer"], ["factor@example.test", "admin"], ["falling@example.test", "admin"], ["keeper@example.test", "owner"]]) {
    await demo.run(["user", "add", email, "--name", "Ann Example", "--role", role, "--password-stdin"], `${PASSWORD}\n`);
  }
  await send(demo.chat, "POST", "/api/v1/auth/register", { body: { email: OTHERS, password: PASSWORD, full_name: "Their Example" } });
  browser = await startBrowser();
});
after(async () => {
  await browser?.close();
  await demo?.stop();
});
afterEach(async () => {
  await opened?.context.close();
  opened = undefined;
});

async function open(hash = "", prepare = async () => {}) {
  opened = await openPage(browser, [demo.chat], { viewport: DESKTOP });
  await prepare(opened.context);
  page = opened.page;
  await page.goto(`${demo.chat}/dashboard${hash}`);
}

async function logIn(email = ADMIN, code) {
  await page.getByLabel("E-mail address").fill(email);
  await page.getByLabel("Password").fill(PASSWORD);
  if (code) await page.getByLabel("Code of your second factor").fill(code);
  await page.getByRole("button", { name: "Log in" }).click();
}

async function enter(hash, email) {
  await open(hash);
  await logIn(email);
  await page.getByRole("heading", { name: "Events", exact: true }).waitFor();
  await settled();
}

/** What was asked for has come. */
const settled = () => page.locator(".result:not(:empty):not(:text('Reading')), .nothing:visible, .problem:visible, .field-error:not(:empty)").first().waitFor();
const names = () => page.locator("tr.event .event-name").allInnerTexts();
const rowsWith = (text) => page.locator("tr.event", { hasText: text });

async function search(parts) {
  for (const [label, text] of Object.entries(parts)) {
    const control = page.getByLabel(label, { exact: true });
    if ((await control.evaluate((element) => element.tagName)) === "SELECT") await control.selectOption(text);
    else await control.fill(text);
  }
  const answered = page.waitForResponse((answer) => answer.url().includes("/api/v1/events?"));
  await page.getByRole("button", { name: "Search" }).click();
  await answered;
  await settled();
}

/** Reads the page's list until this holds. */
const eventually = (wanted, given) => page.waitForFunction(wanted, given);

async function follow() {
  await page.getByRole("switch", { name: "Follow" }).click();
  await page.getByText("Connected. New events appear at the top.").waitFor();
}

test("events are found by name, address, key, session and time", async () => {
  const admin = await client(demo.chat, ADMIN);
  await knock(demo.chat, "127.0.0.7");
  const one = (await admin("POST", "/api/v1/keys", { name: "one", scopes: ["manage"] })).body;
  const other = (await admin("POST", "/api/v1/keys", { name: "other", scopes: ["manage"] })).body;
  const session = await visit(demo);
  const another = await visit(demo);
  await enter();
  const all = await names();
  for (const name of [KNOCKED, "ISSUED_KEY_CHANGED", "SESSION_CREATED", "LOGIN_SUCCEEDED"]) assert.ok(all.includes(name), `${name} in ${all}`);

  await search({ Name: KNOCKED.slice(3).toLowerCase() });
  assert.deepEqual([...new Set(await names())], [KNOCKED]);
  await search({ Name: "", "Address or network": "127.0.0.7" });
  assert.deepEqual([...new Set(await names())], [KNOCKED]);
  await search({ "Address or network": "127.0.0.0/29" });
  assert.ok((await names()).includes("SESSION_CREATED"), "a network holds its addresses");
  await search({ "Address or network": "192.0.2.0/24" });
  await page.getByText("Nothing fits this filter.").waitFor();

  await search({ "Address or network": "", Key: one.id });
  assert.ok((await names()).every((name) => name === "ISSUED_KEY_CHANGED") && (await rowsWith(one.id).count()) >= 1);
  assert.equal(await rowsWith(other.id).count(), 0);
  await search({ Key: "", Session: session });
  assert.ok((await rowsWith(session.slice(0, 16)).count()) >= 1);
  assert.equal(await rowsWith(another.slice(0, 16)).count(), 0);

  await page.getByRole("button", { name: "Clear" }).click();
  const before = Math.floor(Date.now() / 1000);
  await eventually((second) => Math.floor(Date.now() / 1000) > second, before);
  await knock(demo.chat, "127.0.0.8");
  const at = (seconds) => new Date(seconds * 1000 - new Date().getTimezoneOffset() * 60_000).toISOString().slice(0, 19).replace(/:00$/, "");
  await search({ Time: "exact", From: at(before + 1), Before: at(before + 120) });
  assert.equal(await rowsWith("127.0.0.8").count(), 1);
  assert.equal(await rowsWith("127.0.0.7").count(), 0, "what came before is not there");
  await search({ From: "", Before: at(before) });
  assert.equal(await rowsWith("127.0.0.8").count(), 0, "nor what came after");
  assert.ok((await rowsWith("127.0.0.7").count()) >= 1);
  await search({ Time: "hour" });
  assert.equal(await rowsWith("127.0.0.8").count(), 1);
  assertClean(opened.seen);
});

test("a view stands in the page's address, which can be opened again, and no secret does", async () => {
  const admin = await client(demo.chat, ADMIN);
  const key = (await admin("POST", "/api/v1/keys", { name: "whole", scopes: ["manage"] })).body;
  await enter();
  const asked = [];
  page.on("request", (request) => asked.push(request.url()));
  await search({ Key: key.key });
  assert.equal(new URL(page.url()).hash, `#key=${key.id}`);
  assert.equal(await page.getByLabel("Key", { exact: true }).inputValue(), key.id, "what was pasted whole is cut");
  assert.ok((await rowsWith(key.id).count()) >= 1);
  await search({ Key: `${key.key.slice(0, 20)}typo` });
  await page.getByText("The key takes the public id").waitFor();
  const secret = key.key.split("_").at(-1).slice(0, 40);
  assert.ok(asked.every((url) => !url.includes(secret) && !url.includes("typo")), "nothing of a secret went out");
  await search({ Key: "", Name: "LOGIN", Time: "day" });
  assert.equal(new URL(page.url()).hash, "#name=LOGIN&time=day");
  await page.reload();
  await settled();
  assert.ok((await names()).length > 0 && (await names()).every((name) => name.includes("LOGIN")));
  await page.goBack();
  await eventually(() => document.getElementById("filter-name").value === "");
  assert.deepEqual(await page.evaluate(() => [localStorage.length, sessionStorage.length, document.cookie]), [0, 0, ""]);
  assertClean(opened.seen);
});

test("what the server refuses of a filter is said beside its field", async () => {
  await enter();
  await search({ "Address or network": "nowhere" });
  const field = page.getByLabel("Address or network");
  assert.equal(await field.getAttribute("aria-invalid"), "true");
  assert.match(await page.locator("#filter-address-error").innerText(), /an address or a network/);
  assert.equal(await field.evaluate((element) => element === document.activeElement), true);
  await search({ "Address or network": "" });
  assert.equal(await field.getAttribute("aria-invalid"), "false");
  assert.ok((await names()).length > 0);
});

test("more is read page by page, each event once", async () => {
  for (let number = 0; number < 70; number += 1) await knock(demo.chat, `127.0.1.${number}`);
  await enter("#address=127.0.1.0/24");
  assert.equal((await names()).length, 50);
  await page.getByRole("button", { name: "Show more" }).click();
  await page.locator("tr.event").nth(50).waitFor();
  const addresses = await page.locator("tr.event .c-address .mono").allInnerTexts();
  assert.deepEqual([addresses.length, new Set(addresses).size], [70, 70]);
  const times = await page.locator("tr.event time").evaluateAll((all) => all.map((time) => time.dateTime));
  assert.deepEqual(times, times.toSorted().reverse(), "newest first");
  assert.equal(await page.getByRole("button", { name: "Show more" }).count(), 0);
});

test("details unfold, and offer to look for the same", async () => {
  await knock(demo.chat, "127.0.0.9");
  await enter("#address=127.0.0.9");
  const toggle = page.getByRole("button", { name: `Details of ${KNOCKED}` }).first();
  await toggle.press("Enter");
  assert.equal(await toggle.getAttribute("aria-expanded"), "true");
  const details = page.locator("tr.details");
  assert.match(await details.innerText(), /Security log[\s\S]*\/api\/v1\/auth\/me/);
  assert.match(await page.locator("tr.event time").first().getAttribute("title"), /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6} UTC$/);
  await toggle.press("Enter");
  assert.equal(await details.count(), 0);
  await toggle.click();
  await page.getByRole("button", { name: "this name" }).click();
  await eventually(() => location.hash === "#name=CREDENTIAL_MISSING&address=127.0.0.9");
});

test("following shows what another client causes, each once, and nothing of another owner's", async () => {
  await enter();
  const theirs = await client(demo.chat, OTHERS);
  await follow();
  const { id } = (await theirs("POST", "/api/v1/keys", { name: "theirs", scopes: ["manage"] })).body;
  await knock(demo.chat, "127.0.0.11");
  await rowsWith("127.0.0.11").waitFor();
  assert.equal(await page.locator("tr.event").first().locator(".event-name").innerText(), KNOCKED, "on top");
  await page.getByText(/^\d+ new events?$/).waitFor({ state: "attached" });
  // Read from the log once more, it is still there once.
  await page.getByRole("switch", { name: "Follow" }).click();
  const caughtUp = page.waitForResponse((answer) => answer.url().includes("/api/v1/events?since="));
  await follow();
  await caughtUp;
  await knock(demo.chat, "127.0.0.12");
  await rowsWith("127.0.0.12").waitFor();
  assert.equal(await rowsWith("127.0.0.11").count(), 1);
  assert.equal(await rowsWith(id).count(), 0, "another owner's");
  assert.equal(await rowsWith(OTHERS).count(), 0);
  assertClean(opened.seen);
});

test("the filter holds for what comes, by name, address, key, session and time", async () => {
  const admin = await client(demo.chat, ADMIN);
  const { id } = (await admin("POST", "/api/v1/keys", { name: "followed", scopes: ["manage"] })).body;
  const rename = (name) => admin("PATCH", `/api/v1/keys/${id}`, { name });
  for (const [parts, cause] of [
    [{ Name: "ISSUED_KEY" }, () => rename("once")],
    [{ Name: "", "Address or network": "127.0.0.14" }, () => knock(demo.chat, "127.0.0.14")],
    [{ "Address or network": "", Key: id }, () => rename("twice")],
  ]) {
    await enter();
    await search(parts);
    await follow();
    const had = await page.locator("tr.event").count();
    // What does not fit comes first, so that it would stand there.
    await knock(demo.chat, "127.0.0.13");
    await cause();
    await page.locator("tr.event").nth(had).waitFor();
    assert.equal(await rowsWith("127.0.0.13").count(), 0, JSON.stringify(parts));
    await opened.context.close();
  }
  const session = await visit(demo);
  await enter(`#session=${session}&follow=1`);
  await page.getByText("Connected. New events appear at the top.").waitFor();
  await visit(demo);
  await rowsWith(session.slice(0, 16)).first().waitFor();
  assert.equal(await page.locator("tr.event").count(), await rowsWith(session.slice(0, 16)).count());
  await search({ Session: "", Time: "exact", From: "", Before: "2026-01-01T00:00" });
  await page.getByText("nothing new can appear").waitFor();
});

test("new events wait while the reader is further down", async () => {
  for (let number = 0; number < 40; number += 1) await knock(demo.chat, `127.0.2.${number}`);
  await enter(`#name=${KNOCKED}`);
  await follow();
  await page.evaluate(() => window.scrollTo(0, document.body.scrollHeight));
  const had = await page.locator("tr.event").count();
  await knock(demo.chat, "127.0.0.16");
  const fresh = page.getByRole("button", { name: "1 new" });
  await fresh.waitFor();
  assert.equal(await page.locator("tr.event").count(), had);
  await fresh.click();
  await rowsWith("127.0.0.16").waitFor();
  await fresh.waitFor({ state: "hidden" });
});

test("a connection that broke comes back with what was missed, and nothing twice", async () => {
  const lines = [];
  const watch = (context) => context.routeWebSocket(/\/api\/v1\/events\/stream$/, (line) => {
    line.connectToServer();
    lines.push(line);
  });
  await open("", watch);
  await logIn();
  await settled();
  const caughtUp = page.waitForResponse((answer) => answer.url().includes("/api/v1/events?since="));
  await follow();
  await caughtUp;
  await knock(demo.chat, "127.0.0.17");
  await rowsWith("127.0.0.17").waitFor();
  await lines.at(-1).close({ code: 1013, reason: "the reader is too slow" });
  await page.getByText(/^Not connected\. Trying again in \d+ seconds?\.$/).waitFor();
  await knock(demo.chat, "127.0.0.18");
  await rowsWith("127.0.0.18").waitFor();
  assert.equal(lines.length, 2);
  assert.equal(await rowsWith("127.0.0.17").count(), 1);
  assert.equal(await rowsWith("127.0.0.18").count(), 1);
});

test("whoever loses the right is told why, and is not connected any more", async () => {
  await enter("#follow=1", "falling@example.test");
  await page.getByText("Connected. New events appear at the top.").waitFor();
  await demo.run(["user", "roles", "falling@example.test", "member"]);
  await page.getByText("Not connected: the credential was revoked.").waitFor();
  assert.equal(await page.getByRole("switch", { name: "Follow" }).getAttribute("aria-checked"), "false");
});

test("a viewer is told that events are for administrators", async () => {
  await open();
  await logIn(VIEWER);
  await page.getByRole("heading", { name: "Events are for administrators" }).waitFor();
  assert.match(await page.locator("main").innerText(), /viewer@example\.test, with the role viewer\.[\s\S]*Your role does not allow this\./);
  assert.equal(await page.locator("table").count(), 0);
  await page.getByRole("button", { name: "Use another account" }).click();
  await page.getByLabel("E-mail address").waitFor();
});

test("a wrong password is told in the server's words, and a second factor's code is asked for", async () => {
  const factored = await client(demo.chat, "factor@example.test");
  const { secret } = (await factored("POST", "/api/v1/account/totp", { password: PASSWORD })).body;
  await factored("POST", "/api/v1/account/totp/confirm", { code: codeOf(secret, -1) });
  await open();
  await page.getByLabel("E-mail address").fill("factor@example.test");
  await page.getByLabel("Password").fill("not the password at all");
  await page.getByRole("button", { name: "Log in" }).click();
  await page.getByText("No account that may log in has this address and password.").waitFor();
  assert.equal(await page.getByLabel("Code of your second factor").isVisible(), false);
  await logIn("factor@example.test");
  const code = page.getByLabel("Code of your second factor");
  await code.waitFor();
  assert.equal(await code.evaluate((element) => element === document.activeElement), true);
  assert.deepEqual(await page.locator("form.login input").evaluateAll((all) => all.map((input) => input.autocomplete)), ["username", "current-password", "one-time-code"]);
  await code.fill("000000");
  await page.getByRole("button", { name: "Log in" }).click();
  await eventually(() => document.querySelector("[role=alert]").textContent !== "");
  await code.fill(codeOf(secret));
  await page.getByRole("button", { name: "Log in" }).click();
  await page.getByRole("heading", { name: "Events", exact: true }).waitFor();
});

test("whoever logs out leaves nothing on the page, nor in the other tab, nor behind the back button", async () => {
  await enter("#follow=1");
  await page.getByText("Connected. New events appear at the top.").waitFor();
  const other = await opened.context.newPage();
  await other.goto(`${demo.chat}/dashboard`);
  await other.locator("tr.event").first().waitFor();
  await page.getByRole("button", { name: "Log out" }).click();
  await page.getByText("You are logged out.").waitFor();
  await other.getByLabel("E-mail address").waitFor();
  for (const tab of [page, other]) assert.equal(await tab.locator("table, .who").count(), 0);
  assert.deepEqual(await opened.context.cookies(), []);
  await page.goto(`${demo.chat}/docs`);
  await page.goBack();
  await page.getByLabel("E-mail address").waitFor();
  assert.equal(await page.locator("table").count(), 0);
});

test("a login goes on when its access cookie ends, in two tabs at once", async () => {
  await enter();
  const other = await opened.context.newPage();
  await other.goto(`${demo.chat}/dashboard`);
  await other.locator("tr.event").first().waitFor();
  await opened.context.clearCookies({ name: "__Host-chatward_access" });
  // The first refresh is held until the other tab wants one too: it asks for its turn, or would send its own at once.
  let sendsToo;
  const second = new Promise((resolve) => (sendsToo = resolve));
  let refreshes = 0;
  await opened.context.route("**/api/v1/auth/refresh", async (route) => {
    refreshes += 1;
    if (refreshes > 1) sendsToo();
    await Promise.race([second, eventually(async () => (await navigator.locks.query()).pending.length > 0)]);
    await route.continue();
  });
  await Promise.all([page, other].map((tab) => tab.getByRole("button", { name: "Search" }).click()));
  for (const tab of [page, other]) await tab.locator("tr.event").first().waitFor();
  await search({ Name: "REFRESH_REUSED" });
  await page.getByText("Nothing fits this filter.").waitFor();
  assert.equal((await opened.context.cookies()).length, 2);
  assert.ok(refreshes >= 1);
});
