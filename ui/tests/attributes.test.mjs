// What the page may say: the attributes of the script, the named properties of its style sheet, window.Chatward.
// Never: looks at what the frame shows beyond "it is there"; that is embed.test.mjs.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { askIn, PHONE } from "./browser.mjs";
import { frameOf, launcherOf, openChat, panelOf, putPage, readyFrame, until } from "./host-pages.mjs";
import { calls, chatward, mock, openEmpty, opened, page, visit, visitHost } from "./host-visits.mjs";

const STRINGS = JSON.parse(readFileSync(new URL("../strings.json", import.meta.url), "utf8"));

// ---- attributes and positions ----------------------------------------------------------------------

const CORNERS = { "bottom-right": [1124, 744], "bottom-left": [20, 744], "top-right": [1124, 20], "top-left": [20, 20] };
for (const [corner, [x, y]] of Object.entries(CORNERS)) {
  test(`data-position: ${corner}, with the panel beside it on the screen`, async () => {
    await visitHost({ attributes: { "data-position": corner } });
    assert.deepEqual(await launcherOf(page).boundingBox(), { x, y, width: 56, height: 56 });
    await openChat(page);
    const panel = await panelOf(page).boundingBox();
    assert.ok(panel.x >= 0 && panel.y >= 0 && panel.x + panel.width <= 1200 && panel.y + panel.height <= 820, JSON.stringify(panel));
    assert.ok(panel.y + panel.height <= y || panel.y >= y + 56, "the panel does not lie on the launcher");
  });
}

test("the owner's settings win over the page's attributes", async () => {
  mock.look = { ...mock.look, color: "#ffd54f", position: "top-left" };
  await visitHost({ attributes: { "data-position": "bottom-left", "data-primary-color": "#7a1fa2" } });
  const color = () => launcherOf(page).evaluate((button) => getComputedStyle(button).backgroundColor);
  assert.equal(await color(), "rgb(122, 31, 162)");
  await openChat(page);
  await until(async () => (await launcherOf(page).boundingBox()).y === 20, "the launcher moves where the owner wants it");
  assert.equal(await color(), "rgb(255, 213, 79)");
});

// The first two and the last are where black and white come nearest to one another.
const COLORS = ["#6e6e6e", "#009b00", "#767676", "hsl(50 100% 50%)", "oklch(0.95 0.1 100)", "oklch(0.3 0.15 270)", "lab(60 -60 50)", "color(display-p3 0 0.6 0.2)", "color-mix(in oklab, red, white 30%)", "#0f08", "black", "white", "#6f6f6f"];
for (const position of ["bottom-right", "inline"]) {
  test(`what is drawn on the launcher has 3:1 on any colour that a page can write (${position})`, async () => {
    const attributes = { "data-position": position, ...(position === "inline" ? { "data-target": "#here", "data-title": "W" } : {}) };
    await visitHost({ attributes, body: `<div id="here"></div>` });
    for (const color of COLORS) {
      await page.evaluate((value) => document.documentElement.style.setProperty("--chatward-color", value), color);
      const reached = await page.evaluate(contrastIn, (await launcherOf(page).screenshot()).toString("base64"));
      assert.ok(reached >= 3, `${color}: ${reached}`);
    }
  });
}

// Runs in the page: the greatest contrast of a pixel to the ground, which is at the launcher's upper edge.
async function contrastIn(png) {
  const image = new Image();
  image.src = `data:image/png;base64,${png}`;
  await image.decode();
  const { width, height } = image;
  const canvas = Object.assign(document.createElement("canvas"), { width, height }).getContext("2d");
  canvas.drawImage(image, 0, 0);
  const luminance = (x, y) => {
    const [red, green, blue] = [...canvas.getImageData(x, y, 1, 1).data].map((part) => (part <= 10 ? part / 255 / 12.92 : ((part / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue + 0.05;
  };
  const ground = luminance(width >> 1, 6);
  let reached = 1;
  for (let x = 20; x < width - 20; x += 1) {
    for (let y = 16; y < height - 12; y += 1) {
      const one = luminance(x, y);
      reached = Math.max(reached, one > ground ? one / ground : ground / one);
    }
  }
  return reached;
}

test("the page's style sheet may set the named properties and the launcher's part", async () => {
  const head = `<style>:root { --chatward-color: #b71c1c; --chatward-launcher-size: 64px; --chatward-offset-x: 40px; --chatward-offset-y: 30px; --chatward-radius: 50%; --chatward-z-index: 7 }
    chatward-widget::part(launcher) { border: 3px solid rgb(1, 2, 3) }</style>`;
  await visitHost({ head });
  assert.deepEqual(await launcherOf(page).boundingBox(), { x: 1200 - 40 - 64, y: 820 - 30 - 64, width: 64, height: 64 });
  const style = await launcherOf(page).evaluate((button) => {
    const { backgroundColor, borderRadius, borderTopColor } = getComputedStyle(button);
    return { backgroundColor, borderRadius, borderTopColor, z: getComputedStyle(button.getRootNode().host).zIndex };
  });
  assert.deepEqual(style, { backgroundColor: "rgb(183, 28, 28)", borderRadius: "50%", borderTopColor: "rgb(1, 2, 3)", z: "7" });
});

test("what the attributes say reaches the frame, and nothing else does", async () => {
  const attributes = {
    "data-title": "Ask the shop", "data-greeting": "Good day.", "data-starters": '["One?","Two?"]', "data-theme": "dark",
    "data-locale": "de", "data-primary-color": "#123456", "data-system-prompt": "obey", "data-model": "x", "data-temperature": "2", "data-api-key": "sk-1",
  };
  await visitHost({ attributes });
  const heard = await openChatListening();
  const init = heard.find((data) => data.chatward === "init");
  const { title, greeting, starters, theme, locale, color, position, consent, ...rest } = init.presentation;
  assert.deepEqual({ title, greeting, starters, theme, locale, color, position, consent }, {
    title: "Ask the shop", greeting: "Good day.", starters: ["One?", "Two?"], theme: "dark", locale: "de", color: "#123456", position: "bottom-right", consent: false,
  });
  assert.deepEqual(rest, {});
  assert.equal(await page.locator("iframe").getAttribute("title"), "Pellamoor help");
});

// What the frame hears from its first moment on.
async function openChatListening() {
  await opened.context.addInitScript((chat) => {
    if (location.origin !== chat) return;
    window.heard = [];
    window.addEventListener("message", (event) => window.heard.push(event.data));
  }, mock.chat);
  await page.reload();
  await launcherOf(page).click();
  const frame = await readyFrame(page);
  return frame.evaluate(() => window.heard);
}

test("starters may be separated by a bar", async () => {
  await visitHost({ attributes: { "data-starters": "One?|Two?" } });
  const heard = await openChatListening();
  assert.deepEqual(heard.find((data) => data.chatward === "init").presentation.starters, ["One?", "Two?"]);
});

test("data-open-on-load opens without taking the focus, and not where it would cover a small screen", async () => {
  const host = { attributes: { "data-open-on-load": "" }, body: `<input id="field" aria-label="A field" autofocus>` };
  await visitHost(host);
  await readyFrame(page);
  assert.equal(await panelOf(page).isVisible(), true);
  assert.equal(await page.evaluate(() => document.activeElement.id), "field");
  await opened.context.close();
  const before = mock.requests.length;
  await visitHost(host, { viewport: PHONE });
  await page.waitForLoadState("networkidle");
  assert.equal(await page.locator("iframe").count(), 0);
  assert.equal(mock.requests.length, before);
});

test("data-open-on-load asks for nothing while the page is still coming", async () => {
  let release;
  const held = new Promise((resolve) => {
    release = resolve;
  });
  await openEmpty();
  const asked = [];
  page.on("request", (request) => asked.push(new URL(request.url())));
  await page.route("**/slow.svg", async (route) => {
    await held;
    await route.fulfill({ contentType: "image/svg+xml", body: `<svg xmlns="http://www.w3.org/2000/svg"/>` });
  });
  await page.goto(putPage(mock, "/host.html", { attributes: { "data-open-on-load": "" }, body: `<img src="/slow.svg" alt="">` }), { waitUntil: "commit" });
  await launcherOf(page).waitFor();
  await page.evaluate(() => new Promise((resolve) => requestIdleCallback(resolve)));
  assert.deepEqual(asked.filter(({ origin }) => origin === mock.chat).map(({ pathname }) => pathname), ["/widget.js"]);
  assert.equal(await page.locator("iframe").count(), 0);
  release();
  await readyFrame(page);
});

test("inline: in the owner's element, by a button, and it moves nothing outside", async () => {
  await visitHost({ attributes: { "data-position": "inline", "data-target": "#here" }, body: `<div id="here" style="height:600px;width:500px"></div>` });
  const target = await page.locator("#here").boundingBox();
  const button = await launcherOf(page).boundingBox();
  assert.ok(button.x >= target.x && button.y >= target.y && button.width <= target.width, JSON.stringify(button));
  assert.equal(mock.requests.length, 0);
  await openChat(page);
  assert.deepEqual(await panelOf(page).boundingBox(), target);
  assert.equal(await launcherOf(page).isVisible(), false);
  await chatward("close");
  await launcherOf(page).waitFor();
});

for (const style of ["", "min-height:300px", "height:700px"]) {
  test(`inline in an element with ${style || "no height"}: the frame fills the panel`, async () => {
    await visitHost({ attributes: { "data-position": "inline", "data-target": "#here" }, body: `<div id="here" style="width:500px;${style}"></div>` });
    await openChat(page);
    const panel = await panelOf(page).boundingBox();
    const frame = await page.locator("chatward-widget iframe").boundingBox();
    assert.ok(panel.height >= 480, String(panel.height));
    assert.ok(panel.height - frame.height <= 2, `${frame.height} in ${panel.height}`);
  });
}

test("inline is a part of the page: a region, without a way to close it, and Escape is the page's own", async () => {
  await visitHost({ attributes: { "data-position": "inline", "data-target": "#here" }, body: `<div id="here"></div>` });
  const frame = await openChat(page);
  await page.getByRole("region", { name: "Pellamoor help" }).waitFor();
  assert.equal(await frame.locator("#close").isVisible(), false);
  await frame.locator("#question").press("Escape");
  await askIn(frame, "canada");
  assert.equal(await panelOf(page).isVisible(), true);
});

test("inline without a target is named in the console, and nothing is shown", async () => {
  await visit(putPage(mock, "/host.html", { attributes: { "data-position": "inline", "data-target": "#nowhere" } }));
  await until(() => opened.seen.errors.length, "an error");
  assert.match(opened.seen.errors.join(), /Chatward: no element matches data-target/);
  assert.equal(await page.locator("chatward-widget").count(), 0);
});

for (const locale of ["de-AT", "fr", "pl", "ar", "zh-Hans", "xx", "constructor"]) {
  test(`the launcher's name in ${locale}`, async () => {
    await visitHost({ attributes: { "data-locale": locale } });
    const spoken = ["xx", "constructor"].includes(locale) ? "en" : locale.slice(0, 2);
    await page.getByRole("button", { name: STRINGS[spoken].defaultTitle, exact: true }).waitFor();
    assert.equal(await page.locator("chatward-widget").getAttribute("lang"), spoken);
  });
}

// ---- window.Chatward -------------------------------------------------------------------------------

test("calls that were made before the loader came are carried out in order", async () => {
  const head = `<script>window.Chatward = window.Chatward || []; window.heard = [];
    Chatward.push(["on", "open", () => heard.push("open")], ["on", "message", (detail) => heard.push(detail)]); Chatward.push(["ask", "canada"]);</script>`;
  await visitHost({ head });
  const frame = await readyFrame(page);
  await frame.locator(".answer:not([aria-busy])").waitFor();
  await page.waitForFunction(() => window.heard.length > 1);
  assert.deepEqual(await page.evaluate(() => window.heard), ["open", { length: 6 }]);
  await page.evaluate(() => window.Chatward.push(["close"]));
  assert.equal(await panelOf(page).isVisible(), false);
});

test("open, close, toggle, show and hide, and the events", async () => {
  await visitHost();
  await page.evaluate(() => {
    window.heard = [];
    for (const name of ["ready", "open", "close", "message", "answer"]) window.Chatward.on(name, (detail) => window.heard.push([name, detail]));
    window.Chatward.on("open", () => {
      throw new Error("a handler's own fault");
    });
  });
  await chatward("open");
  const frame = await readyFrame(page);
  await askIn(frame, "canada");
  await chatward("toggle");
  assert.equal(await panelOf(page).isVisible(), false);
  await chatward("hide");
  assert.equal(await launcherOf(page).isVisible(), false);
  await chatward("show");
  assert.equal(await launcherOf(page).isVisible(), true);
  await page.waitForFunction(() => window.heard.length >= 5);
  const heard = await page.evaluate(() => window.heard);
  assert.deepEqual(heard.map(([name]) => name), ["open", "ready", "message", "answer", "close"]);
  assert.deepEqual(heard[3][1], { citations: 1, complete: true });
  assert.doesNotMatch(JSON.stringify(heard), /14\.50|canada/, "events have no content");
  assert.match(opened.seen.errors.join(), /a handler's own fault/, "it is reported, and breaks nothing");
});

test("off takes a handler away", async () => {
  await visitHost();
  await page.evaluate(() => {
    window.heard = 0;
    const count = () => (window.heard += 1);
    window.Chatward.on("open", count);
    window.Chatward.open();
    window.Chatward.off("open", count);
    window.Chatward.close();
    window.Chatward.open();
  });
  assert.equal(await page.evaluate(() => window.heard), 1);
});

test("identity, context, locale and theme reach the frame, also when they were set before it came", async () => {
  await visitHost({ head: `<script>window.Chatward = [["identify", { token: "valid.jwt" }], ["setContext", { page_type: "cart", count: 3 }], ["setLocale", "fr"]];</script>` });
  const heard = await openChatListening();
  const init = heard.find((data) => data.chatward === "init");
  assert.equal(init.identity, "valid.jwt");
  assert.equal(init.presentation.locale, "fr");
  const frame = await frameOf(page);
  await frame.waitForFunction(() => window.heard.some((data) => data.chatward === "context"));
  await chatward("setTheme", "dark");
  await chatward("setLocale", "de");
  await frame.waitForFunction(() => window.heard.some((data) => data.chatward === "locale"));
  const later = await frame.evaluate(() => window.heard);
  assert.deepEqual(later.find((data) => data.chatward === "context").context, { page_type: "cart", count: "3" });
  assert.deepEqual(later.find((data) => data.chatward === "theme"), { chatward: "theme", theme: "dark" });
  assert.deepEqual(later.find((data) => data.chatward === "locale"), { chatward: "locale", locale: "de" });
  assert.equal(mock.requests.find((request) => request.path === "/sessions").body.identity, "valid.jwt");
});

test("reset starts a new conversation; forget erases it on the server, from a later page too", async () => {
  await visitHost();
  const frame = await openChat(page);
  await askIn(frame, "canada");
  await chatward("reset");
  await frame.locator(".answer").waitFor({ state: "detached" });
  await askIn(frame, "canada");
  assert.equal(calls("/sessions"), 2);
  assert.notEqual(...mock.requests.filter(({ path, body }) => path === "/sessions" && body).map(({ body }) => body.ticket));
  await page.reload();
  await launcherOf(page).waitFor();
  await chatward("forget");
  await until(() => mock.requests.some((request) => request.method === "DELETE"), "the server is told");
  await until(() => page.evaluate(() => sessionStorage.length === 0), "nothing is stored");
  assert.equal(await panelOf(page).isVisible(), false, "nothing was opened for it");
});

test("destroy takes everything off the page, and a later script may load again", async () => {
  await visitHost({});
  await openChat(page);
  const kept = await page.evaluateHandle(() => window.Chatward);
  await chatward("destroy");
  const asked = mock.requests.length;
  await kept.evaluate((gone) => ["open", "toggle", "close", "show", "hide", "reset", "forget", "destroy"].forEach((name) => gone[name]()));
  assert.equal(mock.requests.length, asked, "what is left of it does nothing");
  assert.equal(await page.locator("chatward-widget").count(), 0);
  assert.equal(await page.evaluate(() => "Chatward" in window), false);
  await page.evaluate(([src, site]) => {
    const script = document.createElement("script");
    script.src = src;
    script.dataset.siteId = site;
    document.head.append(script);
  }, [`${mock.chat}/widget.js`, mock.site]);
  await openChat(page);
});
