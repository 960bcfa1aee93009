// The reader of server-sent events, cut in every place a network could cut.

import assert from "node:assert/strict";
import { test } from "node:test";

import { EventParser, readEvents } from "../embed/stream.js";

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
