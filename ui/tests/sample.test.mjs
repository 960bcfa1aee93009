// The sample shop as files: its links lead somewhere, nothing is inline or remote, the crawl has
// something to index and something to skip, and the demo's answer stands where it should.

import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { extname, join, relative } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../../crates/server/sample/", import.meta.url));
const files = (folder) => readdirSync(folder).flatMap((name) => (statSync(join(folder, name)).isDirectory() ? files(join(folder, name)) : [join(folder, name)]));
const pages = files(ROOT).filter((file) => extname(file) === ".html");
const read = (name) => readFileSync(join(ROOT, name), "utf8");

// How an address becomes a file; the program does the same.
const fileOf = (path) => (path === "/" ? "index.html" : extname(path) === "" ? `${path.slice(1)}.html` : path.slice(1));

test("every link and image leads to a file of the sample", () => {
  for (const page of pages) {
    for (const [, address] of readFileSync(page, "utf8").matchAll(/(?:href|src)="([^"]*)"/g)) {
      if (address.startsWith("#")) continue;
      assert.match(address, /^\/[a-z0-9/.-]*$/, `${relative(ROOT, page)}: ${address}`);
      assert.ok(existsSync(join(ROOT, fileOf(address))), `${relative(ROOT, page)}: ${address}`);
    }
  }
});

test("nothing is inline, nothing is remote, and the widget has its one place", () => {
  for (const page of pages) {
    const text = readFileSync(page, "utf8");
    assert.ok(!/<script|<style|\sstyle=|\son[a-z]+=|javascript:|https?:\/\//i.test(text), relative(ROOT, page));
    assert.equal(text.split("<!--chatward-widget-->").length, 2, relative(ROOT, page));
  }
  assert.ok(!/url\(|@import/.test(read("site.css")));
});

test("titles and descriptions are there, and no two are alike", () => {
  const titles = pages.map((page) => /<title>([^<]+)<\/title>/.exec(readFileSync(page, "utf8"))[1]);
  assert.equal(new Set(titles).size, titles.length);
  for (const page of pages) assert.equal((readFileSync(page, "utf8").match(/<h1[ >]/g) ?? []).length, 1, relative(ROOT, page));
});

test("a crawl has fifteen pages or more to index, and a skip of each common kind", () => {
  const listed = [...read("sitemap.xml").matchAll(/<loc>\{\{origin\}\}([^<]+)<\/loc>/g)].map(([, path]) => path);
  assert.ok(listed.length >= 15, String(listed.length));
  for (const path of listed) assert.ok(existsSync(join(ROOT, fileOf(path))), path);
  assert.match(read("robots.txt"), /^Disallow: \/account$/m);
  assert.match(read("robots.txt"), /^Sitemap: \{\{origin\}\}\/sitemap\.xml$/m);
  assert.ok(pages.some((page) => readFileSync(page, "utf8").includes('href="/account"')), "linked, and disallowed");
  assert.ok(pages.some((page) => readFileSync(page, "utf8").includes('href="/files/wholesale-prices.csv"')), "linked, and not a page");
  assert.match(read("thank-you.html"), /<meta name="robots" content="noindex">/);
});

test("what shipping to Canada costs stands on the shipping page, and on no other", () => {
  const words = "Shipping to Canada costs $14.50 for parcels up to 2 kg";
  const holders = pages.filter((page) => readFileSync(page, "utf8").includes("$14.50")).map((page) => relative(ROOT, page));
  assert.deepEqual(holders, ["shipping.html"]);
  assert.ok(read("shipping.html").includes(words));
});
