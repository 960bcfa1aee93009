// An answer as it arrives: the reader of server-sent events, and the text that grows, both cut in every place a network
// or a provider could cut.

import assert from "node:assert/strict";
import { test } from "node:test";

import { GrowingMarkdown } from "../embed/growing.js";
import { parseMarkdown } from "../embed/markdown.js";
import { EventParser, readEvents } from "../embed/stream.js";
import { clean } from "../embed/text.js";

const WIRE = "\uFEFF: hello\r\nevent: delta\r\ndata: {\"text\":\"Wärme 🍵\"}\r\n\r\ndata: one\ndata:two\nid: 7\nretry: 1\n\nevent: done\rdata: end\r\revent: empty\n\ndata";
const EVENTS = [
  { event: "delta", data: '{"text":"Wärme 🍵"}' },
  { event: "message", data: "one\ntwo" },
  { event: "done", data: "end" },
];

const bodyOf = (pieces) =>
  new ReadableStream({
    start(controller) {
      for (const piece of pieces) controller.enqueue(piece);
      controller.close();
    },
  });

async function collect(body, silence = 1_000) {
  const events = [];
  for await (const event of readEvents(body, silence)) events.push(event);
  return events;
}

test("the same events whatever the sizes of the pieces", async () => {
  const bytes = new TextEncoder().encode(WIRE);
  for (let size = 1; size <= bytes.length; size += 1) {
    const pieces = [];
    for (let at = 0; at < bytes.length; at += size) pieces.push(bytes.slice(at, at + size));
    assert.deepEqual(await collect(bodyOf(pieces)), EVENTS, `pieces of ${size}`);
  }
});

test("an event without its blank line is not an event", () => {
  assert.deepEqual(new EventParser().push("event: done\ndata: x\n"), []);
});

test("a line without end is an error, not memory", async () => {
  const piece = new TextEncoder().encode("a".repeat(64 * 1024));
  await assert.rejects(collect(bodyOf(Array.from({ length: 8 }, () => piece))), { reason: "oversized" });
});

test("a stream without end is an error", async () => {
  const piece = new TextEncoder().encode(`data: ${"x".repeat(60_000)}\n\n`);
  await assert.rejects(collect(bodyOf(Array.from({ length: 80 }, () => piece))), { reason: "oversized" });
});

test("silence has a deadline, and the connection is given back", async () => {
  let isCancelled = false;
  const body = new ReadableStream({
    cancel() {
      isCancelled = true;
    },
  });
  await assert.rejects(collect(body, 20), { reason: "silent" });
  assert.equal(isCancelled, true);
});

const TEXT = "Title\n# H\npara\n- a\n  - b\n\n- c\n\n1. x\n\n2. y\nlazy\n\n   in item\n> q\nlazy?\n\n```js\na\n\nb\n```\n|a|b|\n|-|-|\n|1|2|3|\n\nafter\n-\n---\nend *x* \u{1F375} [1]\n\n2\n3. z\r\nfoo\r\n\r\nbar \u{1F468}\u200D\u{1F469}\u200D\u{1F467}";
const withoutLines = (blocks) => blocks.map(({ line, ...block }) => block);

test("a text that grows in pieces of any size is in the end what it is as a whole", () => {
  const whole = withoutLines(parseMarkdown(clean(TEXT)));
  for (let size = 1; size < 60; size += 1) {
    const growing = new GrowingMarkdown();
    for (let at = 0; at < TEXT.length; at += size) {
      growing.append(TEXT.slice(at, at + size));
      growing.blocks({ partial: true });
    }
    assert.deepEqual(withoutLines(growing.blocks({ partial: false }).blocks), whole, `pieces of ${size}`);
  }
});

test("what is settled stays the same, and the rest is short", () => {
  const growing = new GrowingMarkdown();
  let kept = [];
  for (let at = 0; at < 200; at += 1) {
    growing.append(`Paragraph ${at}.\n\n`);
    const { blocks, settled } = growing.blocks({ partial: true });
    kept.forEach((block, index) => assert.equal(blocks[index], block, "the same object"));
    assert.ok(blocks.length - settled <= 2, `${blocks.length - settled} are open`);
    kept = blocks.slice(0, settled);
  }
});

test("half a character is not shown", () => {
  const growing = new GrowingMarkdown();
  growing.append("tea \uD83C");
  assert.equal(growing.blocks({ partial: true }).blocks[0].children[0].value, "tea");
  growing.append("\uDF75");
  assert.equal(growing.blocks({ partial: true }).blocks[0].children[0].value, "tea \u{1F375}");
});

test("a megabyte: marks up to the cap, plain text after it, and not a letter lost", () => {
  const growing = new GrowingMarkdown();
  const piece = "word **b** [a](https://x.example) \u{1F375} ".repeat(100);
  let text = "";
  while (text.length < 1024 * 1024) {
    text += piece;
    growing.append(piece);
    growing.blocks({ partial: true });
  }
  const { blocks } = growing.blocks({ partial: false });
  const plain = blocks.filter((block) => block.type === "plain").map((block) => block.text).join("");
  assert.ok(text.endsWith(plain));
  assert.ok(plain.length > 900_000 && text.length - plain.length <= 60_000);
  assert.ok(blocks.length < 300, String(blocks.length));
  assert.ok(blocks.every((block) => block.type !== "plain" || /^[\u{1F375}\w[(]/u.test(block.text)), "cut between characters");
});
