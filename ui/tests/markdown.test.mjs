// The parts of the chat page that need no browser: text, markdown, addresses.

import assert from "node:assert/strict";
import { test } from "node:test";

import { countWork } from "./work.mjs";
import { allowedAddresses, citationAddress, liveAddress, sayAddress } from "../embed/links.js";
import { parseMarkdown } from "../embed/markdown.js";
import { clean, cleanLine, countCharacters } from "../embed/text.js";

const inline = (text, options) => parseMarkdown(text, options)[0]?.children;
const types = (text, options) => parseMarkdown(text, options).map((block) => block.type);
const words = (nodes) => nodes.map((node) => node.value ?? (node.children ? words(node.children) : node.type === "citation" ? `[${node.id}]` : "\n")).join("");

test("blocks of every kind", () => {
  const text = "# Title\n\nWords\n\n- a\n- b\n  1. c\n\n> said\n\n```js\nx < y\n```\n\n| a | b |\n|---|--:|\n| 1 | 2 |\n\n---";
  assert.deepEqual(types(text), ["heading", "paragraph", "list", "quote", "code", "table", "rule"]);
  const [, , list, , code, table] = parseMarkdown(text);
  assert.equal(list.items.length, 2);
  assert.deepEqual(list.items[1].map((block) => block.type), ["paragraph", "list"]);
  assert.equal(code.text, "x < y");
  assert.deepEqual(table.align, ["left", "right"]);
  assert.equal(table.rows[0].length, 2);
});

test("an address is shown as people write it", () => {
  assert.equal(sayAddress("https://shop.example/%D8%B4%D8%AD%D9%86/%E8%8C%B6"), "shop.example/شحن/茶");
  assert.equal(sayAddress("https://shop.example/%E0%A4%A"), "shop.example/%E0%A4%A");
  assert.equal(sayAddress("https://shop.example/a%E2%80%AEb"), "shop.example/ab", "no direction of its own");
  assert.equal(sayAddress("https://shop.example/"), "shop.example");
});

test("ordinary text survives as it is", () => {
  for (const text of ["a < b and c > d & e", "5 * 3 * 2", "snake_case_name", "#1 of 3", "2 ** 8", "price: $5_000", "a ~ b", "<b>x</b>", "&lt;", "[not a link] (x)", "C:\\dir"]) {
    assert.equal(words(inline(text)), text, text);
  }
});

test("marks inside a line", () => {
  assert.deepEqual(inline("**a** *b* ~~c~~ `d*`").map((node) => node.type), ["strong", "text", "emphasis", "text", "strike", "text", "code"]);
  assert.deepEqual(inline("***both***")[0].children[0].type, "strong");
  assert.deepEqual(inline("[1][2] [3, 4]").filter((node) => node.type === "citation").map((node) => node.id), [1, 2, 3, 4]);
  assert.equal(inline("\\*not\\*")[0].value, "*not*");
});

test("links keep the address as written, and images only their words", () => {
  const [link] = inline("[a (b)](https://x.example/p_(q) \"t\")");
  assert.equal(link.address, "https://x.example/p_(q)");
  const [, bare, rest] = inline("see https://x.example/a. Then");
  assert.equal(bare.address, "https://x.example/a");
  assert.equal(rest.value, ". Then");
  assert.deepEqual(inline("![a pixel](https://evil.example/p.png)"), [{ type: "text", value: "a pixel" }]);
});

test("an answer that grows never shows a mark it will take back", () => {
  const text = "Costs **$14.50** for *small* parcels, see [the page](https://x.example/p) and `code`. [1]";
  const shown = "Costs $14.50 for small parcels, see the page and code. ";
  for (let length = 1; length <= text.length; length += 1) {
    const seen = words(inline(text.slice(0, length), { partial: true }) ?? []).replace(/\[1\]$/, "");
    assert.ok(shown.startsWith(seen), `${length}: ${JSON.stringify(seen)}`);
  }
});

test("every prefix of a text that opens everything parses", () => {
  const text = "> - **a `b` [c](https://x.example \"t\") ~~d\n>   1. *e* ![f](g) <https://h.example>\n\n| i | \\| |\n|---|:-:|\n| [1] | _k_ |\n~~~\n# l\n~~~\n***";
  for (let length = 0; length <= text.length; length += 1) {
    for (const partial of [true, false]) assert.ok(Array.isArray(parseMarkdown(text.slice(0, length), { partial })));
  }
});

const filled = (length, unit) => unit.repeat(Math.ceil(length / unit.length)).slice(0, length);
const many = (unit, end = "") => (length) => filled(length, unit) + end;
const HOSTILE = [
  many("["), many("*a "), many("*_~`"), many("> ", "x"), many("- ", "x"), many("`", "a"), many("[a]("), many("!["), many("<https://"),
  many("https://a "), many("a**b"), many("\\"), many("1. x\n   "), many("`a ``b "), many("[1"), many("\n"), many("``` "), many("* ", "x"),
  (length) => `${filled(length / 2, "| a ")}\n${filled(length / 2, "|---")}`,
  (length) => `a | b\n--|--\n${filled(length, "a | b\\|")}`,
  (length) => `${"((((".repeat(1000)}[a](${filled(length, "(")}`,
  (length) => `[x]${filled(length, "(a")}`,
  (length) => `[x](${filled(length, " ")}`,
  // A part of a pattern that gives back what the part before it took.
  (length) => `~~~${filled(length, " ")}\``,
  (length) => `\`\`\`${filled(length, " ")}\``,
  (length) => `${filled(length, "`")}x\``,
  (length) => `# a${filled(length, " ")}b`,
  (length) => `# a ${filled(length, "#")}b`,
  (length) => `a | b\n-${filled(length, " ")}x`,
  (length) => `*${filled(length, " ")}x`,
  (length) => `\` ${filled(length, "a")}\``,
  (length) => `https://a${filled(length, ").")}`,
  // Runs of every length, none of which is closed.
  (length) => Array.from({ length: Math.floor(Math.sqrt(2 * length)) }, (_, at) => "`".repeat(at + 1)).join("a"),
];

test("the work of a hostile text grows with its length, not with its square", async () => {
  const work = (text) => countWork(() => [parseMarkdown(text), parseMarkdown(text, { partial: true })]);
  for (const hostile of HOSTILE) {
    const name = JSON.stringify(hostile(40));
    const [half, whole] = [await work(hostile(25_000)), await work(hostile(50_000))];
    assert.ok(whole < 2.2 * half + 10_000, `${name}: ${half} steps for a half, ${whole} for the whole`);
  }
});

test("nesting and size have an end", () => {
  const depth = (blocks) => 1 + Math.max(0, ...blocks.map((block) => (block.type === "quote" ? depth(block.children) : 0)));
  assert.ok(depth(parseMarkdown("> ".repeat(300) + "x")) < 10);
  const table = parseMarkdown(`${"|a".repeat(10)}|\n${"|-".repeat(10)}|\n${`${"|x".repeat(10)}|\n`.repeat(5_000)}`)[0];
  assert.ok(table.rows.length <= 120);
  const links = parseMarkdown("[a](https://x.example/) ".repeat(10_000));
  const count = (nodes) => nodes.reduce((sum, node) => sum + 1 + count(node.children ?? []), 0);
  assert.ok(count(links) < 15_000);
});

test("what is over a cap is still there, as text", () => {
  const said = (nodes) => nodes.map((node) => node.value ?? node.text ?? said(node.children ?? node.items?.flat() ?? [])).join("");
  const rows = Array.from({ length: 200 }, (_, at) => `| r${at} | x |`).join("\n");
  assert.match(said(parseMarkdown(`| a | b |\n|---|---|\n${rows}`).slice(1)), /r199/);
  assert.equal(said(parseMarkdown("| a | b |\n|---|---|\n| 1 | 2 | 3 |")[0].rows[0].flat()), "12 | 3");
  assert.match(said(parseMarkdown(`${"> ".repeat(300)}deep`)), /deep/);
  assert.match(said(parseMarkdown(`${"x\n\n".repeat(2_000)}last`)), /last$/);
  assert.match(said(parseMarkdown(`${"word ".repeat(20_000)}last`)), /last$/);
});

test("control characters, tags and directions are removed; joiners and emoji stay whole", () => {
  assert.equal(clean("a\u0007b\u{E0041}c\u0000\r\nd\u2028e"), "abc\nd\ne");
  const kept = "\u{1F468}\u200D\u{1F469}\u200D\u{1F467} \u0645\u06CC\u200C\u062E \u{1F3F4}\u{E0067}\u{E0062}\u{E0073}\u{E0063}\u{E0074}\u{E007F} \u{1F44D}\u{1F3FD}";
  assert.equal(clean(kept), kept);
  assert.equal(clean("a\u202Egpj.exe\u202Cb"), "agpj.exeb");
  assert.equal(clean("\u2066a\u202Bb\u2069c\u202D"), "abc");
  assert.equal(clean("\uD800a"), "\uFFFDa");
  assert.equal(clean("Z" + "\u0335".repeat(60)).length, 9);
  assert.ok(clean("Z" + "\u0335\u200D".repeat(60)).length <= 9, "joiners between the marks do not help");
  assert.equal(clean({ toString: () => "x" }), "");
  assert.equal(cleanLine("  a\n b  ", 10), "a b");
  assert.equal(cleanLine("abcdef", 4), "abc…");
  assert.equal(cleanLine("ab\u{1F468}\u200D\u{1F469}\u200D\u{1F467}cd", 6), "ab…", "an emoji is not cut through");
});

test("characters are counted as the server counts them", () => {
  assert.equal(countCharacters("\u{1F375}é茶"), 3);
  assert.equal(countCharacters("e\u0301"), 2);
});

test("a link is live only to the listed origins and the cited pages", () => {
  const allowed = allowedAddresses(new Set(["https://shop.example"]), [{ url: "https://docs.example/page#part" }, { url: "javascript:alert(1)" }]);
  for (const address of ["https://shop.example/a?b#c", "https://docs.example/page", "https://docs.example/page#other"]) {
    assert.notEqual(liveAddress(address, allowed), null, address);
  }
  for (const address of [
    "https://evil.example/", "http://shop.example/", "https://shop.example:8443/", "https://shop.example.evil.example/", "https://shop.example@evil.example/",
    "https://user@shop.example/", "https://docs.example/page2", "https://docs.example/page?x=1", "//shop.example/", "/relative", "javascript:alert(1)",
    "JaVaScRiPt:alert(1)", "java\tscript:alert(1)", "data:text/html,x", "vbscript:x", "blob:https://shop.example/x", "https:\\\\shop.example", "https://shop.example\\@evil.example/",
    " https://shop.example/", "https://shop.example/\u202Egpj", "https://", "mailto:a@shop.example", "", null, 7, `https://shop.example/${"a".repeat(3000)}`,
  ]) {
    assert.equal(liveAddress(address, allowed), null, String(address));
  }
});

test("a citation's address points at its quote", () => {
  const at = (url, quote) => citationAddress({ url, quote });
  assert.equal(at("https://s.example/p", "six to nine days"), "https://s.example/p#:~:text=six%20to%20nine%20days");
  assert.equal(at("https://s.example/p#top", "up-to, date & more"), "https://s.example/p#top:~:text=up%2Dto%2C%20date%20%26%20more");
  assert.equal(at("https://s.example/p", "One two three four five six seven eight nine ten."), "https://s.example/p#:~:text=One%20two%20three%20four%20five,six%20seven%20eight%20nine%20ten.");
  assert.equal(at("https://s.example/p", "Canada | $14.50 | 6 to 9"), "https://s.example/p#:~:text=Canada,6%20to%209");
  assert.equal(at("https://s.example/p", "one two three four five six seven eight nine"), "https://s.example/p#:~:text=one%20two%20three%20four%20five,six%20seven%20eight%20nine", "no word is in both");
  assert.equal(at("https://s.example/p", "one two thr…"), "https://s.example/p#:~:text=one%20two", "a word that was cut is not looked for");
  assert.equal(at("https://s.example/p", ""), "https://s.example/p");
  assert.equal(at("javascript:alert(1)", "x"), null);
  assert.equal(sayAddress("https://s.example/a/b?c"), "s.example/a/b");
});
