// What binds the chat to one page: tickets, the resume id, the messages between loader and frame, and what a hostile
// page can and cannot have. Control CORS-05 as a browser sees it: only the site's own origins can frame the chat.
// Never: trusts a page that is kind: each hostile page here first shows that its weapon works.

import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, test } from "node:test";

import { askIn, assertClean, openPage, startBrowser } from "./browser.mjs";
import { frameOf, HOSTILE_SCRIPT, launcherOf, openChat, panelOf, putPage, readyFrame, say, until } from "./host-pages.mjs";
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
  opened = undefined;
  await mock.close();
});

async function visit(address, options, before = () => {}) {
  opened = await openPage(browser, [mock.chat, mock.host, mock.foreign, local()], options);
  page = opened.page;
  await before(opened.context);
  await page.goto(address);
}

async function visitHost(host = {}, options, before) {
  await visit(putPage(mock, "/host.html", host), options, before);
  await launcherOf(page).waitFor();
}

// The host by another name is another site for the browser: its frames of the chat are third parties.
const local = () => mock.host.replace("127.0.0.1", "localhost");
// A page whose script shows nothing: its key is none.
const NO_SCRIPT = { "data-site-id": "none" };
const posts = (path) => mock.requests.filter((request) => request.method === "POST" && request.path === path);

// ---- who may show the chat ---------------------------------------------------------------------------

test("a page that is not of the site: named in its console with what to do, and nothing starts", async () => {
  await visit(mock.foreign);
  await launcherOf(page).click();
  await page.getByText("The chat is not available.").waitFor();
  assert.equal(await page.getByRole("button", { name: "Try again" }).count(), 0, "another try would change nothing");
  const said = opened.seen.errors.filter((text) => text.startsWith("Chatward:"));
  assert.deepEqual(said, [`Chatward: ${mock.foreign} may not show this chat. To allow it: chatward site set ${mock.site} --add-origin ${mock.foreign}`]);
  assert.equal(posts("/sessions").length, 0);
  await untilRefused((await page.locator("iframe").elementHandle()));
});

test("the page's own script hears of the refusal", async () => {
  await visit(mock.foreign);
  await page.evaluate(() => window.Chatward.on("error", (detail) => (window.heard = detail)));
  await launcherOf(page).click();
  await page.waitForFunction(() => window.heard !== undefined);
  assert.deepEqual(await page.evaluate(() => window.heard), { code: "origin_not_allowed" });
});

test("an unknown key, and a key of another environment, are said in the console", async () => {
  for (const key of ["cw_pk_dev_9999999999999999999999999999", "cw_pk_live_9999999999999999999999999999"]) {
    await visitHost({ attributes: { "data-site-id": key } });
    await launcherOf(page).click();
    await page.getByRole("button", { name: "Close" }).or(page.locator("iframe")).first().waitFor();
    await until(() => opened.seen.errors.some((text) => text === `Chatward: ${mock.host} got no chat: There is no such site here.`), "the reason");
    await opened.context.close();
  }
  assert.equal(posts("/sessions").length, 0);
});

test("a strange page that frames an allowed one does not get the chat in it", async () => {
  const inner = putPage(mock, "/host.html", {});
  putPage(mock, "/outer.html", { attributes: NO_SCRIPT, body: `<iframe src="${inner}" title="inner" width="900" height="700"></iframe>` });
  await visit(`${mock.foreign}/outer.html`);
  const host = await (await page.locator("iframe").elementHandle()).contentFrame();
  await host.locator("button[part=launcher]").click();
  await untilRefused(await host.locator("chatward-widget iframe").elementHandle());
  await host.getByText("The chat is not available.").waitFor();
  assert.equal(posts("/sessions").length, 0);
});

test("a strange page that frames the chat's own address gets nothing; an allowed page gets the frame", async () => {
  putPage(mock, "/outer.html", { attributes: NO_SCRIPT, body: `<iframe title="inner" src="${mock.chat}/embed/${mock.site}"></iframe>` });
  await visit(`${mock.foreign}/outer.html`);
  await untilRefused(await page.locator("iframe").elementHandle());
  assert.equal(mock.requests.length, 0);
  await page.goto(`${mock.host}/outer.html`);
  const frame = await (await page.locator("iframe").elementHandle()).contentFrame();
  await frame.locator("#question").waitFor({ state: "attached" });
});

test("an allowed page that frames the chat by hand has no session without a ticket, and none with a made-up one", async () => {
  const body = `<iframe id="hand" title="by hand" src="${mock.chat}/embed/${mock.site}"></iframe>`;
  const head = `<script>window.heard = []; addEventListener("message", (event) => heard.push([event.origin, event.data]));</script>`;
  await visit(putPage(mock, "/host.html", { head, body, attributes: NO_SCRIPT }));
  await page.waitForFunction(() => window.heard.length > 0);
  assert.deepEqual(await page.evaluate(() => window.heard[0]), [mock.chat, { chatward: "hello" }], "the first word has no data in it");
  assert.equal(mock.requests.length, 0);
  await page.evaluate((chat) => document.getElementById("hand").contentWindow.postMessage({ chatward: "init", ticket: "ticket-made-up", presentation: {}, open: true, storage: true }, chat), mock.chat);
  await until(() => posts("/sessions").length === 1, "the made-up ticket is tried");
  await page.waitForFunction(() => window.heard.length > 1);
  assert.equal(mock.sessions.size, 0);
  assert.match(JSON.stringify(await page.evaluate(() => window.heard[1])), /"(renew|hello)"/, "the frame asks for a better one");
});

// ---- tickets -------------------------------------------------------------------------------------------

test("a ticket that expired on the way is replaced by a fresh one, and the visitor sees nothing of it", async () => {
  let isFirst = true;
  await visitHost({}, {}, (context) =>
    context.route(`${mock.chat}/api/v1/widget/sessions`, async (route) => {
      if (isFirst) mock.tickets.clear();
      isFirst = false;
      await route.continue();
    }));
  await openChat(page);
  const tickets = posts("/sessions").map(({ body }) => body.ticket);
  assert.equal(tickets.length, 2);
  assert.notEqual(tickets[0], tickets[1]);
  assert.equal(posts("/tickets").length, 2);
});

test("a spent ticket that the page replays to the frame changes nothing", async () => {
  await visitHost();
  const frame = await openChat(page);
  await askIn(frame, "canada");
  const [{ body }] = posts("/sessions");
  await page.evaluate(([chat, ticket]) => {
    const inner = document.querySelector("chatward-widget").shadowRoot.querySelector("iframe").contentWindow;
    inner.postMessage({ chatward: "init", ticket, presentation: { title: "Replayed" }, open: true, storage: true }, chat);
  }, [mock.chat, body.ticket]);
  await askIn(frame, "descale");
  assert.equal(posts("/sessions").length, 1);
  assert.equal(await frame.locator("#title").innerText(), "Pellamoor help");
});

test("the loader asks for one ticket at a time, and gives each of them once", async () => {
  await visitHost();
  const frame = await openChat(page);
  const before = posts("/tickets").length;
  await frame.evaluate(() => {
    window.given = [];
    window.addEventListener("message", ({ data }) => data.chatward === "init" && window.given.push(data.ticket));
    for (let round = 0; round < 5; round += 1) window.parent.postMessage({ chatward: "renew" }, "*");
  });
  await frame.waitForFunction(() => window.given.length > 0);
  await frame.evaluate(() => window.parent.postMessage({ chatward: "renew" }, "*"));
  await frame.waitForFunction(() => window.given.length > 1);
  const given = await frame.evaluate(() => window.given);
  assert.equal(new Set(given).size, given.length);
  assert.equal(posts("/tickets").length - before, given.length);
  assert.ok(given.length < 6, String(given));
});

// ---- messages ------------------------------------------------------------------------------------------

test("the loader believes its own frame alone", async () => {
  // The second stranger has the chat's own origin, and is still not the frame that the loader made.
  const body = `<iframe id="stranger" title="a stranger" src="${mock.foreign}/stranger.html"></iframe><iframe id="twin" title="a twin" src="${mock.chat}/embed/${mock.site}"></iframe>`;
  putPage(mock, "/stranger.html", { attributes: NO_SCRIPT });
  await visitHost({ body });
  const frame = await openChat(page);
  await until(() => page.evaluate(() => sessionStorage.length === 1), "the resume id");
  const kept = await page.evaluate(() => sessionStorage.getItem(sessionStorage.key(0)));
  const messages = [{ chatward: "close" }, { chatward: "resume", resume: "evil" }, { chatward: "look", position: "top-left", color: "#ff0000" }, { chatward: "unread", count: 5 }, { chatward: "renew" }];
  const tickets = posts("/tickets").length;
  for (const id of ["#stranger", "#twin"]) {
    const stranger = await (await page.locator(id).elementHandle()).contentFrame();
    await stranger.evaluate((all) => all.forEach((data) => window.parent.postMessage(data, "*")), messages);
  }
  await page.evaluate(([all, chat]) => {
    const inner = document.querySelector("chatward-widget").shadowRoot.querySelector("iframe").contentWindow;
    for (const data of all) {
      window.postMessage(data, "*");
      window.dispatchEvent(new MessageEvent("message", { data, origin: chat, source: inner }));
    }
  }, [messages, mock.chat]);
  // A message of the frame's own comes after all of them, so by then they have been heard.
  await page.evaluate(() => window.Chatward.on("answer", (detail) => (window.probe = detail)));
  await say(frame, { chatward: "event", name: "answer", detail: { citations: 0, complete: true } });
  await page.waitForFunction(() => window.probe !== undefined);
  assert.equal(await panelOf(page).isVisible(), true);
  assert.equal(await page.evaluate(() => sessionStorage.getItem(sessionStorage.key(0))), kept);
  assert.equal(await page.locator("chatward-widget").getAttribute("position"), "bottom-right");
  assert.equal(posts("/tickets").length, tickets);
  await say(frame, { chatward: "close" });
  await until(async () => !(await panelOf(page).isVisible()), "the same word from the frame itself closes");
});

test("what the loader says is for the chat's origin alone, whatever stands in the frame", async () => {
  putPage(mock, "/thief.html", { attributes: NO_SCRIPT, head: `<script>window.heard = []; addEventListener("message", ({ data }) => heard.push(data));</script>` });
  await visitHost();
  const frame = await openChat(page);
  await frame.evaluate((address) => (window.location.href = address), `${mock.foreign}/thief.html`);
  await page.frameLocator("chatward-widget iframe").getByRole("heading", { name: "A shop" }).waitFor();
  await page.evaluate(() => {
    window.Chatward.identify({ token: "valid.secret" });
    window.Chatward.ask("a secret question");
    document.querySelector("chatward-widget").shadowRoot.querySelector("iframe").contentWindow.postMessage("a probe", "*");
  });
  const thief = await frameOf(page);
  await thief.waitForFunction(() => window.heard.includes("a probe"));
  assert.deepEqual(await thief.evaluate(() => window.heard), ["a probe"]);
});

test("the frame believes its parent alone: not a sibling, and not the page's frames", async () => {
  const body = `<iframe id="sibling" title="a sibling" src="/sibling.html"></iframe>`;
  putPage(mock, "/sibling.html", { attributes: NO_SCRIPT });
  await visitHost({ body });
  const frame = await openChat(page);
  const sibling = await (await page.locator("#sibling").elementHandle()).contentFrame();
  await sibling.evaluate(() => {
    const inner = window.parent.document.querySelector("chatward-widget").shadowRoot.querySelector("iframe").contentWindow;
    for (const data of [{ chatward: "ask", text: "canada" }, { chatward: "forget" }, { chatward: "reset" }, { chatward: "hidden" }, null, "chatward:close"]) inner.postMessage(data, "*");
  });
  await askIn(frame, "descale");
  assert.equal(await frame.locator(".question").count(), 1);
  assert.equal(mock.requests.some(({ method }) => method === "DELETE"), false);
});

test("init from a page that the ticket is not for: the frame drops everything", async () => {
  mock.options.wrongOrigin = "https://elsewhere.example";
  await visitHost();
  await launcherOf(page).click();
  const frame = await frameOf(page);
  await frame.locator("#notice-text").filter({ hasText: /\w/ }).waitFor();
  assert.equal(await frame.locator(".starter:visible").count(), 0);
  assert.deepEqual(await page.evaluate(() => sessionStorage.length), 0, "nothing was handed to the page");
});

// ---- a hostile script of the page -----------------------------------------------------------------------

test("a script that owns the page finds neither the visitor's token nor a word of the conversation", async () => {
  await visitHost({ head: HOSTILE_SCRIPT, body: `<p id="canary">a canary in the page</p>` });
  const frame = await openChat(page);
  await askIn(frame, "canada");
  await frame.locator("#question").fill("an unsent secret");
  await say(frame, { chatward: "event", name: "answer", detail: { citations: 1, complete: true } });
  // By the debugger's own door: what the page spoiled does not come between.
  const debug = await opened.context.newCDPSession(page);
  const { result } = await debug.send("Runtime.evaluate", { expression: "window.reach().join('\\n')" });
  const loot = result.value;
  assert.match(loot, /a canary in the page/, "the script reads what is in its reach");
  assert.match(loot, /ticket-\w/, "and hears what passes through the loader, which is worth nothing without our origin");
  assert.match(loot, /refused: SecurityError/, "and tried the frame");
  const tokens = [...mock.sessions.keys()];
  assert.ok(tokens.length > 0);
  const ids = [...mock.sessions.values()].flatMap(({ id, messages }) => [id, ...messages.map((message) => message.id)]);
  for (const secret of [...tokens, ...ids, "14.50", "canada", "an unsent secret", "Shipping"]) assert.equal(loot.includes(secret), false, secret);
});

test("what such a script does get, a ticket and a resume id, is refused from the page's origin", async () => {
  await visitHost();
  const frame = await openChat(page);
  await askIn(frame, "canada");
  const resume = await until(() => page.evaluate(() => sessionStorage.getItem(sessionStorage.key(0))), "the resume id");
  const outcome = await page.evaluate(async ([chat, site, kept]) => {
    const post = (path, body) => fetch(`${chat}/api/v1/widget${path}`, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
    const { ticket } = await (await post("/tickets", { site })).json();
    return [typeof ticket, await post("/sessions", { ticket, resume: kept }).then((response) => response.status, (error) => error.name)];
  }, [mock.chat, mock.site, resume]);
  assert.deepEqual(outcome, ["string", "TypeError"]);
  assert.ok(mock.requests.some(({ method, path, headers }) => method === "OPTIONS" && path === "/sessions" && headers.origin === mock.host), "the page's browser asked whether it may");
  assert.deepEqual(posts("/sessions").map(({ headers }) => headers.origin), [mock.chat], "and may not");
  assert.equal(mock.sessions.size, 1);
});

// ---- going on -------------------------------------------------------------------------------------------

test("the conversation goes on over page navigation, with a fresh ticket", async () => {
  putPage(mock, "/other.html", {});
  await visitHost();
  const frame = await openChat(page);
  await askIn(frame, "canada");
  await until(() => page.evaluate(() => sessionStorage.length === 1), "the resume id");
  await page.getByRole("link", { name: "A page" }).click();
  await launcherOf(page).waitFor();
  assert.equal(new URL(page.url()).pathname, "/other.html");
  const next = await openChat(page);
  assert.match(await next.locator(".answer").innerText(), /14\.50/);
  const [one, two] = posts("/sessions").map(({ body }) => body);
  assert.notEqual(one.ticket, two.ticket);
  assert.ok(mock.resumes.has(two.resume));
  assert.equal(mock.opened, 1, "one conversation");
});

test("where consent is asked for, no session begins and nothing is stored before it is given", async () => {
  await visitHost({ attributes: { "data-consent": "" } });
  await launcherOf(page).click();
  const frame = await frameOf(page);
  await frame.locator("#consent-accept").waitFor();
  assert.equal(posts("/sessions").length, 0);
  assert.equal(await page.evaluate(() => sessionStorage.length), 0);
  assert.equal(await frame.evaluate(() => sessionStorage.length), 0);
  await frame.locator("#consent-accept").click();
  await readyFrame(page);
  await until(() => page.evaluate(() => sessionStorage.length === 1), "the resume id");
  assert.equal(posts("/sessions").length, 1);
});

test("back by the browser's page cache: the chat is there as it was left", async () => {
  const cached = await startBrowser({ ignoreDefaultArgs: ["--disable-back-forward-cache"] });
  try {
    putPage(mock, "/other.html", {});
    opened = await openPage(cached, [mock.chat, mock.host]);
    page = opened.page;
    await page.goto(putPage(mock, "/host.html", { headers: { "cache-control": "no-cache" }, head: `<script>addEventListener("pageshow", (event) => (window.wasKept = event.persisted));</script>` }));
    const frame = await openChat(page);
    await askIn(frame, "canada");
    await page.getByRole("link", { name: "A page" }).click();
    await page.waitForURL("**/other.html");
    await page.goBack({ waitUntil: "commit" });
    await launcherOf(page).waitFor();
    assert.equal(await page.evaluate(() => window.wasKept), true, "the browser kept the page, with the widget on it");
    // The debugger does not see the frames of a page that came back, so the server tells what the frame did.
    await page.evaluate(() => window.Chatward.ask("descale"));
    await until(() => posts("/messages").length === 2, "the frame hears the page and asks");
    assert.equal(posts("/sessions").length, 1, "in the session that it had");
    await launcherOf(page).click();
    assert.equal(await panelOf(page).isVisible(), false);
  } finally {
    await cached.close();
  }
});

for (const [name, where] of Object.entries({ "the frame": "chat", "the page": "page", "both": "both" })) {
  test(`storage that throws in ${name}: the chat works from memory`, async () => {
    await visitHost({}, {}, (context) =>
      context.addInitScript(([chat, which]) => {
        const isChat = location.origin === chat;
        if (which !== "both" && isChat !== (which === "chat")) return;
        for (const area of ["sessionStorage", "localStorage", "indexedDB"]) {
          Object.defineProperty(window, area, { get() { throw new DOMException("blocked", "SecurityError"); } });
        }
        Object.defineProperty(document, "cookie", { get() { throw new DOMException("blocked", "SecurityError"); } });
      }, [mock.chat, where]));
    const frame = await openChat(page);
    await askIn(frame, "canada");
    await launcherOf(page).click();
    await launcherOf(page).click();
    assert.equal(await frame.locator(".answer").count(), 1);
    await page.evaluate(() => document.querySelector("chatward-widget").remove());
    const again = await readyFrame(page);
    await again.locator(".answer").waitFor();
    assert.equal(mock.opened, 1, "even a frame that begins anew goes on, while the page lives");
    assertClean(opened.seen);
  });
}

test("third-party cookies and storage blocked by the browser: the chat works, and goes on after navigation", async () => {
  const strict = await startBrowser({ more: ["--test-third-party-cookie-phaseout", "--enable-features=ThirdPartyStoragePartitioning,TrackingProtection3pcd"] });
  try {
    mock.origins.push(local());
    mock.look.link_origins.push(local());
    putPage(mock, "/host.html", {});
    opened = await openPage(strict, [mock.chat, mock.host, local()]);
    page = opened.page;
    await page.goto(`${local()}/host.html`);
    const frame = await openChat(page);
    assert.equal(await frame.evaluate(async () => {
      document.cookie = "probe=1; SameSite=None; Secure";
      return document.cookie;
    }), "", "the frame is a third party here, and has no cookies");
    await askIn(frame, "canada");
    await until(() => page.evaluate(() => sessionStorage.length === 1), "the resume id");
    await page.reload();
    const again = await openChat(page);
    assert.match(await again.locator(".answer").innerText(), /14\.50/);
    assert.equal(mock.opened, 1);
    assertClean(opened.seen);
  } finally {
    await strict.close();
  }
});

test("the preview page shows the chat of our own origin, which alone may frame it", async () => {
  await visit(`${mock.chat}/preview/${mock.site}`);
  await launcherOf(page).waitFor();
  await openChat(page);
  assert.equal(await page.locator("chatward-widget iframe").getAttribute("src"), `${mock.chat}/embed/${mock.site}?preview`);
  assert.equal(posts("/tickets")[0].headers.origin, mock.chat);
  assertClean(opened.seen);
});

// A refused frame shows the browser's own error page, which has no content of ours.
async function untilRefused(handle) {
  await until(async () => (await handle.contentFrame())?.url().startsWith("chrome-error:"), "the browser refuses the frame");
}
