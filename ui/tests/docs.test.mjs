// The API's documentation page, from a description with references, circles and hostile words.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, afterEach, before, beforeEach, test } from "node:test";

import { Schemas } from "../docs/schema.js";
import { assertAccessible, assertClean, DESKTOP, NARROW, openPage, PHONE, startBrowser } from "./browser.mjs";
import { startMock } from "./mock-server.mjs";

const description = JSON.parse(readFileSync(new URL("fixture-openapi.json", import.meta.url), "utf8"));
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
  opened = undefined;
  await mock.close();
});

async function openDocs(options = {}) {
  opened = await openPage(browser, [mock.chat], options);
  await opened.page.goto(`${mock.chat}/docs`);
  await opened.page.locator(".operation").first().waitFor();
  return opened.page;
}

test("every operation of the description is there, by tag, with what it takes and gives", async () => {
  const page = await openDocs();
  const wanted = Object.entries(description.paths).flatMap(([path, item]) => Object.keys(item).filter((key) => key !== "parameters").map((method) => `${method.toUpperCase()} ${path}`));
  const shown = await page.locator(".operation .address").evaluateAll((lines) => lines.map((line) => line.textContent.replace(/^([A-Z]+)/, "$1 ")));
  assert.deepEqual(shown.sort(), wanted.sort());
  assert.equal(await page.locator("#contents a").count(), wanted.length);
  const ask = page.locator("#post-api-v1-widget-messages");
  const text = await ask.innerText();
  for (const part of ["message", "1 to 1000 characters", "The visitor's words. <b>Never markup</b>.", "citations[].url", "array of Citation", "text/event-stream", "Authorization: Bearer", "429"]) {
    assert.ok(text.includes(part), part);
  }
  assert.equal(await ask.locator("b").count(), 0);
  assert.match(await page.locator("#introduction").innerText(), /error\.request_id/);
  assertClean(opened.seen);
});

test("the curl example is a command that a shell takes as meant", async () => {
  const page = await openDocs();
  const example = await page.locator("#post-api-v1-widget-messages pre").last().innerText();
  assert.equal(example, `curl -X POST '${mock.chat}/api/v1/widget/messages' \\\n  -H "Authorization: Bearer $TOKEN" \\\n  -N -H 'Accept: text/event-stream' \\\n  -H 'Content-Type: application/json' \\\n  -d '{"message":"What does it'\\''s \\"shipping\\" cost?"}'`);
  const read = await page.locator("#get-api-v1-things-thing pre").last().innerText();
  assert.equal(read, `curl '${mock.chat}/api/v1/things/a%20b?limit=20'`);
});

test("copy copies", async () => {
  const page = await openDocs({ permissions: ["clipboard-read", "clipboard-write"] });
  const block = page.locator("#get-healthz .code");
  await block.getByRole("button").click();
  await block.getByText("Copied").waitFor();
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), `curl '${mock.chat}/healthz'`);
});

test("the filter finds by method, path and summary, and says how many", async () => {
  const page = await openDocs();
  await page.getByLabel("Find an operation").fill("delete thing");
  assert.equal(await page.locator(".operation:visible").count(), 1);
  assert.equal(await page.locator("#status").innerText(), "1 found.");
  await page.getByLabel("Find an operation").fill("zzz");
  assert.equal(await page.locator("#status").innerText(), "Nothing found.");
  await page.getByLabel("Find an operation").fill("");
  assert.equal(await page.locator(".operation:visible").count(), 4);
});

test("a description that cannot be had is said", async () => {
  opened = await openPage(browser, [mock.chat]);
  await opened.page.route("**/openapi.json", (route) => route.fulfill({ status: 503, body: "" }));
  await opened.page.goto(`${mock.chat}/docs`);
  await opened.page.getByText("could not be loaded (HTTP 503)").waitFor();
});

for (const colorScheme of ["light", "dark"]) {
  for (const [size, viewport] of Object.entries({ desktop: DESKTOP, phone: PHONE, narrow: NARROW })) {
    test(`axe finds nothing: ${colorScheme}, ${size}`, async () => {
      const page = await openDocs({ colorScheme, viewport });
      await page.locator("details").evaluateAll((all) => all.forEach((details) => (details.open = true)));
      await assertAccessible(page, `docs ${colorScheme} ${size}`);
      assert.equal(await page.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth), true, "no wider than the screen");
    });
  }
}

test("references follow inside the document, circles end, and strangers are not followed", () => {
  const schemas = new Schemas(description);
  assert.equal(schemas.typeName({ $ref: "#/components/schemas/Tree" }), "Tree");
  assert.deepEqual(schemas.fields({ $ref: "#/components/schemas/Tree" }).map((field) => field.path), ["name", "children", "kind"]);
  assert.doesNotThrow(() => JSON.stringify(schemas.example({ $ref: "#/components/schemas/Tree" })));
  assert.deepEqual(schemas.resolve({ $ref: "https://evil.example/x.json" }), {});
  assert.deepEqual(schemas.resolve({ $ref: "#/components/none" }), {});
  assert.deepEqual(schemas.resolve({ $ref: "#/constructor" }), {});
  const circle = new Schemas({ a: { $ref: "#/b" }, b: { $ref: "#/a" } });
  assert.deepEqual(circle.resolve({ $ref: "#/a" }), {});
});

test("the generated description of the program is shown whole", async () => {
  const generated = readFileSync(new URL("../../docs/openapi.json", import.meta.url), "utf8");
  opened = await openPage(browser, [mock.chat]);
  await opened.page.route("**/openapi.json", (route) => route.fulfill({ contentType: "application/json", body: generated }));
  await opened.page.goto(`${mock.chat}/docs`);
  await opened.page.locator(".operation").first().waitFor();
  const count = Object.values(JSON.parse(generated).paths).flatMap((item) => Object.keys(item).filter((key) => /^(get|post|put|patch|delete|head|options)$/.test(key))).length;
  assert.equal(await opened.page.locator(".operation").count(), count);
  await assertAccessible(opened.page, "generated description");
  assertClean(opened.seen);
});
