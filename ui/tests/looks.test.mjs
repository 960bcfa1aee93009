// The owner's look: colours that can be read whatever the owner chose, themes, corners, quiet hours; and bad values that
// change nothing.

import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, describe, test } from "node:test";

import { accentColors, contrast, parseColor } from "../embed/color.js";
import { quietUntil } from "../embed/quiet.js";
import { askIn, assertAccessible, assertClean, DESKTOP, NARROW, openPage, startBrowser } from "./browser.mjs";
import { startMock } from "./mock-server.mjs";

const COLORS = ["#000000", "#ffffff", "#ffd400", "#0f5d58", "#ff0000", "#00ff00", "#0000ff", "#808080", "#7a3cff", "#fffbe0", "#101010", "#777", "#e91e63", "#1abc9c"];

describe("colours", () => {
  test("every owner's colour can be read: on it, as text on both grounds, and on its tint", () => {
    for (const color of COLORS) {
      const made = Object.fromEntries(Object.entries(accentColors(color)).map(([name, value]) => [name, parseColor(value)]));
      const pairs = {
        "on the fill": [made.fill, made["on-fill"]],
        hovered: [made["fill-hover"], made["on-fill"]],
        "light text": [made["light-text"], parseColor("#ffffff")],
        "light text on the ground": [made["light-text"], parseColor("#fbfaf8")],
        "light text on the tint": [made["light-text"], made["light-tint"]],
        "light tint": [made["light-tint"], made["light-tint-ink"]],
        "dark text": [made["dark-text"], parseColor("#1c2024")],
        "dark text on the tint": [made["dark-text"], made["dark-tint"]],
        "dark tint": [made["dark-tint"], made["dark-tint-ink"]],
      };
      for (const [where, [one, other]] of Object.entries(pairs)) {
        const reached = contrast(one, other);
        assert.ok(reached >= 4.45, `${color} ${where}: ${reached.toFixed(2)}`);
      }
    }
  });

  test("what is no colour changes nothing", () => {
    for (const bad of ["", "red", "#12", "#12345g", "#1234567", "url(x)", "#fff;color:red", null, 7, {}]) assert.equal(accentColors(bad), null, String(bad));
    assert.deepEqual(accentColors("#fff"), accentColors("#FFFFFF"));
  });
});

describe("quiet hours", () => {
  const hours = { from: "22:00", to: "07:00", zone: "Europe/Berlin" };
  const at = (time) => Date.parse(time);
  test("in the owner's zone, over midnight, with summer time", () => {
    assert.equal(quietUntil(hours, new Date("2026-01-10T21:30:00Z")), at("2026-01-11T06:00:00Z"));
    assert.equal(quietUntil(hours, new Date("2026-01-10T20:30:00Z")), 0);
    assert.equal(quietUntil(hours, new Date("2026-07-10T20:30:00Z")), at("2026-07-11T05:00:00Z"));
    assert.equal(quietUntil(hours, new Date("2026-07-10T05:00:00Z")), 0);
    assert.equal(quietUntil({ from: "09:00", to: "17:00", zone: "UTC" }, new Date("2026-07-10T12:00:00Z")), at("2026-07-10T17:00:00Z"));
    assert.equal(quietUntil({ from: "09:00", to: "17:00", zone: "UTC" }, new Date("2026-07-10T17:00:00Z")), 0);
    // In the night of 29 March the clock of Berlin goes on by an hour.
    assert.equal(quietUntil(hours, new Date("2026-03-28T22:00:00Z")), at("2026-03-29T05:00:00Z"));
  });
  test("what is no time or zone means none", () => {
    for (const bad of [null, {}, { ...hours, zone: "Mars/Base" }, { ...hours, zone: 7 }, { ...hours, from: "25:00" }, { ...hours, to: "7" }, { ...hours, to: "22:00" }]) {
      assert.equal(quietUntil(bad, new Date("2026-01-10T23:30:00Z")), 0);
    }
  });
});

describe("in the browser", () => {
  let browser;
  let mock;
  let opened;

  before(async () => {
    browser = await startBrowser();
  });
  after(() => browser?.close());
  beforeEach(async () => {
    mock = await startMock();
  });
  afterEach(async () => {
    await opened?.context.close();
    await mock.close();
  });

  async function openChat(look = {}, options = {}) {
    Object.assign(mock.look, look);
    opened = await openPage(browser, [mock.chat], { reducedMotion: "reduce", ...options });
    await opened.page.goto(`${mock.chat}/embed/${mock.site}`);
    await opened.page.locator("html:not([data-starting]) .starter").first().waitFor();
    return opened.page;
  }

  for (const color of ["#ffd400", "#101010", "#e91e63", "#fffbe0"]) {
    for (const theme of ["light", "dark"]) {
      test(`axe finds nothing with ${color} on ${theme}`, async () => {
        const page = await openChat({ color, theme, avatar: "PM", corner: 4, contact: "help@pellamoor.example" });
        await assertAccessible(page, "welcome");
        await askIn(page, "nothing");
        const answer = await askIn(page, "descale");
        await answer.getByRole("button", { name: "Not helpful" }).click();
        await answer.getByRole("button", { name: "Out of date" }).click();
        await assertAccessible(page, "answers");
        assertClean(opened.seen);
      });
    }
  }

  test("the owner's theme counts, whatever the visitor's setting is", async () => {
    const ground = (page) => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    assert.equal(await ground(await openChat({ theme: "dark" }, { colorScheme: "light" })), "rgb(20, 23, 26)");
    await opened.context.close();
    assert.equal(await ground(await openChat({ theme: "light" }, { colorScheme: "dark" })), "rgb(251, 250, 248)");
    await opened.context.close();
    assert.equal(await ground(await openChat({ theme: "auto" }, { colorScheme: "dark" })), "rgb(20, 23, 26)");
  });

  test("an avatar of two characters, a corner within bounds, and nothing of what is out of them", async () => {
    const page = await openChat({ avatar: "PMX", corner: 999, color: "url(https://evil.example)", theme: "pink", privacy_url: "javascript:alert(1)", quiet_hours: "x", languages: 7 });
    assert.equal(await page.locator("#avatar").innerText(), "PM");
    const style = await page.evaluate(() => [document.documentElement.getAttribute("style"), document.documentElement.dataset.theme]);
    assert.deepEqual(style, ["--radius: 1.5rem;", "auto"]);
    await page.locator("#privacy-open").click();
    await page.locator("#privacy h2").waitFor();
    const links = await page.locator("#privacy a").evaluateAll((all) => all.map((link) => link.getAttribute("href")));
    assert.deepEqual(links, [`/privacy/${mock.site}?language=en`], "our own page alone");
    assertClean(opened.seen);
  });

  test("in quiet hours the contact says when people answer", async () => {
    // The visitor's clock is three hours and a half behind the owner's.
    const page = await openChat({ contact: "help@pellamoor.example", quiet_hours: { from: "00:00", to: "23:59", zone: "UTC" } }, { timezoneId: "America/St_Johns", locale: "en-GB" });
    const answer = await askIn(page, "nothing");
    assert.match(await answer.locator(".contact").innerText(), /You can ask a person\s+help@pellamoor\.example\s+We are back at \d{1,2}:29\s*PM\./);
  });

  test("200 % zoom on a small screen: everything is there, nothing is cut off", async () => {
    const page = await openChat({}, { viewport: { width: 320, height: 400 }, deviceScaleFactor: 2 });
    await askIn(page, "canada");
    assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 320);
    for (const id of ["question", "send", "privacy-open"]) {
      assert.equal(await page.locator(`#${id}`).evaluate((one) => {
        const box = one.getBoundingClientRect();
        return box.left >= 0 && box.right <= innerWidth && box.top >= 0 && box.bottom <= innerHeight;
      }), true, id);
    }
    await assertAccessible(page, "zoomed");
  });

  test("a larger text size of the visitor makes all of it larger", async () => {
    const page = await openChat({}, { viewport: DESKTOP });
    const size = () => page.locator(".starter").first().evaluate((one) => Number.parseFloat(getComputedStyle(one).fontSize));
    const before = await size();
    await page.evaluate(() => document.documentElement.style.setProperty("font-size", "32px"));
    assert.equal(await size(), before * 2);
    assert.equal(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), true);
  });

  test("no font, image or sound is loaded", async () => {
    const page = await openChat({}, { viewport: NARROW });
    await askIn(page, "descale");
    const loaded = await page.evaluate(() => performance.getEntriesByType("resource").map((entry) => new URL(entry.name).pathname));
    assert.deepEqual(loaded.filter((path) => !path.startsWith("/api/") && !/^\/assets\/embed\/(app\.js|embed\.css|icon\.svg)$/.test(path)), []);
    assert.equal(await page.locator("audio, video").count(), 0);
  });
});
