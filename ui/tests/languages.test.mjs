// The words of the chat: every language says everything, in its own plural forms, and the right one is chosen.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, afterEach, before, beforeEach, describe, test } from "node:test";

import { chooseLocale, LOCALES, say, sayWait, setEnglish, useLocale } from "../embed/language.js";
import { buildIfOlder, loaderLines } from "../build.mjs";
import { askIn, assertAccessible, assertClean, NARROW, openPage, startBrowser } from "./browser.mjs";
import { startMock } from "./mock-server.mjs";

const STRINGS = JSON.parse(readFileSync(new URL("../strings.json", import.meta.url), "utf8"));
const forms = (words) => (typeof words === "object" ? Object.values(words) : [words]);
const placeholders = (words) => [...new Set(forms(words).join(" ").match(/\{\w+\}/g) ?? [])].sort();

describe("the table", () => {
  test("has the thirteen languages", () => {
    assert.deepEqual(Object.keys(STRINGS).sort(), [...LOCALES].sort());
    assert.equal(LOCALES.length, 13);
  });

  for (const locale of LOCALES) {
    test(`${locale}: every key, the same placeholders, every plural form that a count can take`, () => {
      const table = STRINGS[locale];
      assert.deepEqual(Object.keys(table), Object.keys(STRINGS.en));
      const plurals = new Intl.PluralRules(locale);
      const needed = new Set(Array.from({ length: 300 }, (_, count) => plurals.select(count)));
      for (const [key, words] of Object.entries(table)) {
        assert.equal(typeof words, typeof STRINGS.en[key], key);
        assert.deepEqual(placeholders(words), placeholders(STRINGS.en[key]), key);
        for (const form of forms(words)) assert.ok(form.trim() === form && form !== "", `${key} is said`);
        if (typeof words === "object") for (const form of needed) assert.ok(form === "other" || words[form] !== undefined, `${key} lacks ${form}`);
      }
    });
  }

  test("no language but English is English", () => {
    const same = (locale) => Object.keys(STRINGS.en).filter((key) => JSON.stringify(STRINGS[locale][key]) === JSON.stringify(STRINGS.en[key]));
    for (const locale of LOCALES.filter((one) => one !== "en")) assert.ok(same(locale).length <= 5, `${locale}: ${same(locale)}`);
  });

  test("the loader's words are those of the table, in every language, and it has none of its own", async () => {
    await buildIfOlder();
    const built = readFileSync(new URL("../dist/loader/widget.js", import.meta.url), "utf8");
    const lines = loaderLines(STRINGS).split("\n");
    assert.deepEqual(lines.map((line) => line.split("|")[0]), Object.keys(STRINGS));
    for (const line of lines) {
      assert.match(line, /^[a-z]{2}(\|[^|]+){4}$/);
      assert.ok(built.includes(line), line);
    }
    assert.ok(lines.every((line) => STRINGS[line.slice(0, 2)].loaderGone === line.split("|").at(-1)));
    // Each of them stands in the file that ships, and no letter of another script beside them.
    const rest = lines.reduce((text, line) => text.replace(line, ""), built);
    assert.doesNotMatch(rest.replace("•", ""), /[^\u0000-\u007f…• ]/);
    const words = readFileSync(new URL("../loader/words.js", import.meta.url), "utf8");
    assert.match(words, /from "words:loader"/);
  });

  test("no language's file for the chat holds the words of the notice or of the loader", () => {
    for (const locale of LOCALES) {
      const table = JSON.parse(readFileSync(new URL(`../dist/embed/strings-${locale}.json`, import.meta.url), "utf8"));
      assert.deepEqual(Object.keys(table), Object.keys(STRINGS[locale]).filter((key) => !/^(notice|loader)/.test(key)));
      const notice = JSON.parse(readFileSync(new URL("../dist/words/notice.json", import.meta.url), "utf8"))[locale];
      for (const [key, words] of Object.entries(notice)) assert.deepEqual(words, STRINGS[locale][key], key);
      assert.ok(Object.keys(STRINGS.en).filter((key) => key.startsWith("notice")).every((key) => key in notice));
    }
  });

  test("the page and the code use no key that is not there, and none is there for nothing", () => {
    const sources = ["app", "consent", "contact", "copy", "message", "notice", "privacy", "rating", "render", "sources", "welcome", "composer", "language", "agreement", "answers", "later", "owndata", "reasons", "unread"];
    const text = sources.map((name) => readFileSync(new URL(`../embed/${name}.js`, import.meta.url), "utf8")).join("\n").replace(/^\/\/.*$/gm, "") + readFileSync(new URL("../embed/index.html", import.meta.url), "utf8");
    const notice = ["mod", "words"].map((name) => readFileSync(new URL(`../../crates/server/src/ops/notice/${name}.rs`, import.meta.url), "utf8")).join("\n");
    const build = readFileSync(new URL("../build.mjs", import.meta.url), "utf8");
    const userOf = (key) => (key.startsWith("notice") ? notice : key.startsWith("loader") ? build : text);
    for (const key of Object.keys(STRINGS.en)) assert.match(userOf(key), new RegExp(`["': ]${key}["' ]`), key);
    for (const [, spec] of text.matchAll(/data-say="([^"]+)"/g)) {
      for (const part of spec.split(" ")) assert.ok(part.split(":").at(-1) in STRINGS.en, spec);
    }
    for (const [, key] of text.matchAll(/\bsay\("(\w+)"/g)) assert.ok(key in STRINGS.en, key);
  });
});

describe("the choice", () => {
  test("the page's wish, then the browser's among those offered, then the site's own, then English", () => {
    assert.equal(chooseLocale({ asked: "fr-CA", preferred: ["de"] }), "fr");
    assert.equal(chooseLocale({ asked: "xx", preferred: ["xx", "pt-BR", "de"] }), "pt");
    assert.equal(chooseLocale({ preferred: ["fr", "de-AT"], offered: ["en", "de"] }), "de");
    assert.equal(chooseLocale({ preferred: ["fr"], offered: ["de", "it"], own: "it-CH" }), "it");
    assert.equal(chooseLocale({ asked: "fr", preferred: ["de"], offered: ["en", "de"] }), "de");
    assert.equal(chooseLocale({ asked: "fr", preferred: ["ja"], offered: ["nl", "de"], own: "pl" }), "nl");
    assert.equal(chooseLocale({ preferred: ["sw"], own: "ja" }), "ja");
    assert.equal(chooseLocale({ preferred: ["iw-IL"] }), "he");
    assert.equal(chooseLocale({ preferred: ["zh-Hant-TW"] }), "zh");
    assert.equal(chooseLocale({ asked: 7, preferred: ["*"], offered: "de", own: null }), "en");
  });

  test("counts take the forms of their language", () => {
    setEnglish(STRINGS.en);
    useLocale("pl", STRINGS.pl);
    assert.deepEqual([1, 2, 5, 22, 25].map((n) => say("waitSeconds", { n })), ["1 sekundę", "2 sekundy", "5 sekund", "22 sekundy", "25 sekund"]);
    useLocale("ar", STRINGS.ar);
    assert.deepEqual([1, 2, 3, 11].map((n) => say("sourcesCount", { n })), ["مصدر واحد.", "مصدران.", "3 مصادر.", "11 مصدرًا."]);
    useLocale("en", STRINGS.en);
    assert.equal(say("sourceLabel", { n: 2, title: "{n} $& x" }), "Source 2: {n} $& x, opens in a new tab");
  });

  test("waiting times in words", () => {
    useLocale("en", STRINGS.en);
    assert.deepEqual([1, 45, 120, 7_200].map(sayWait), ["1 second", "45 seconds", "about 2 minutes", "about 2 hours"]);
    useLocale("de", STRINGS.de);
    assert.equal(say("limited", { wait: sayWait(3_000) }), "Das waren viele Fragen in kurzer Zeit. Sie können in etwa 50 Minuten wieder fragen.");
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

  async function openChat(options) {
    opened = await openPage(browser, [mock.chat], options);
    await opened.page.goto(`${mock.chat}/embed/${mock.site}`);
    await opened.page.locator("html:not([data-starting]) .starter").first().waitFor();
    return opened.page;
  }

  for (const [locale, direction] of [["ar", "rtl"], ["he", "rtl"], ["pl", "ltr"], ["ja", "ltr"]]) {
    test(`${locale}: the browser's language is spoken from the first word, and nothing is out of place at 320 pixels`, async () => {
      const page = await openChat({ locale, viewport: NARROW, reducedMotion: "reduce" });
      assert.deepEqual(await page.evaluate(() => [document.documentElement.lang, document.documentElement.dir]), [locale, direction]);
      assert.equal(await page.locator("#question").getAttribute("placeholder"), STRINGS[locale].ask);
      const answer = await askIn(page, "canada");
      assert.equal(await answer.locator(".sources-title").innerText(), STRINGS[locale].sources);
      assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 320);
      await assertAccessible(page, locale);
      await page.locator("#privacy-open").click();
      await page.locator("#privacy h2").waitFor();
      await assertAccessible(page, `${locale}, privacy`);
      assertClean(opened.seen);
    });
  }

  test("only what the owner offers is spoken", async () => {
    mock.look.languages = ["de", "fr"];
    mock.look.language = "de";
    const page = await openChat({ locale: "ja" });
    assert.equal(await page.locator("html").getAttribute("lang"), "de");
  });

  test("words of a language that cannot be loaded are said in English", async () => {
    opened = await openPage(browser, [mock.chat], { locale: "fr" });
    await opened.context.route("**/strings-fr.json", (route) => route.abort());
    await opened.page.goto(`${mock.chat}/embed/${mock.site}`);
    await opened.page.locator("html:not([data-starting]) .starter").first().waitFor();
    assert.equal(await opened.page.locator("#question").getAttribute("placeholder"), STRINGS.en.ask);
  });
});
