// What a visitor's browser has to load before the chat is there, as it travels: gzip at its highest level.

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

import { buildIfOlder } from "../build.mjs";

const DIST = fileURLToPath(new URL("../dist/", import.meta.url));
const FRAME = ["embed/index.html", "embed/app.js", "embed/embed.css", "embed/icon.svg"];
const FRAME_BYTES = 25_600;
const LOADER_BYTES = 6_144;

await buildIfOlder();
const travels = (name) => gzipSync(readFileSync(DIST + name), { level: 9 }).length;

test(`the frame's app is at most ${FRAME_BYTES} bytes`, () => {
  const sizes = FRAME.map((name) => [name, travels(name)]);
  const whole = sizes.reduce((sum, [, size]) => sum + size, 0);
  assert.ok(whole <= FRAME_BYTES, `${whole}: ${sizes.join("; ")}`);
});

test(`the loader is at most ${LOADER_BYTES} bytes`, () => {
  assert.ok(travels("loader/widget.js") <= LOADER_BYTES, String(travels("loader/widget.js")));
});

test("what ships evaluates nothing, maps to no source and names no other place", () => {
  for (const name of readdirSync(DIST, { recursive: true }).filter((one) => /\.(js|css|html|svg)$/.test(one))) {
    const text = readFileSync(DIST + name, "utf8");
    assert.doesNotMatch(text, /\beval\(|new Function|sourceMappingURL|\.innerHTML|\.outerHTML|insertAdjacentHTML|document\.write/, name);
    const places = [...text.matchAll(/https?:\/\/[\w.-]+/g)].map(([place]) => place).filter((place) => place !== "http://www.w3.org");
    assert.deepEqual(places, [], name);
    if (name.endsWith(".html")) assert.doesNotMatch(text, /<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)/, name);
  }
});
