// The page behind the links that let somebody in, under the policy that the server sends with it.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, afterEach, before, test } from "node:test";

import { assertAccessible, assertClean, DESKTOP, openPage, PHONE, startBrowser } from "./browser.mjs";

const ORIGIN = "http://chat.test";
const TOKEN = ["cw", "rc", "x".repeat(40)].join("_");
const POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'";
const file = (name) => readFileSync(new URL(`../account/${name}`, import.meta.url), "utf8");
const TYPES = { js: "text/javascript", css: "text/css", svg: "image/svg+xml" };

let browser;
let opened;

before(async () => {
  browser = await startBrowser();
});
after(() => browser?.close());
afterEach(async () => {
  await opened?.context.close();
  opened = undefined;
});

/** Opens a link; `answer` is what the server says to what is sent. */
async function open(path, answer, options = {}) {
  opened = await openPage(browser, [ORIGIN], options);
  const sent = [];
  const asked = [];
  await opened.context.route("**/*", async (route) => {
    const request = route.request();
    const { pathname } = new URL(request.url());
    asked.push(request.url());
    if (request.method() === "POST") {
      sent.push({ pathname, body: request.postDataJSON(), headers: request.headers() });
      return route.fulfill(answer);
    }
    if (pathname.startsWith("/assets/account/")) {
      const name = pathname.slice("/assets/account/".length);
      return route.fulfill({ body: file(name), contentType: TYPES[name.split(".").pop()] });
    }
    if (pathname.startsWith("/assets/")) return route.fulfill({ body: "<svg xmlns='http://www.w3.org/2000/svg'/>", contentType: TYPES.svg });
    return route.fulfill({ body: file("index.html"), contentType: "text/html", headers: { "content-security-policy": POLICY } });
  });
  await opened.page.goto(`${ORIGIN}${path}`);
  return { page: opened.page, sent, asked };
}

test("a recovery sends the token and the password once, and the token is nowhere else", async () => {
  const { page, sent, asked } = await open(`/account/recover#${TOKEN}`, { status: 204 });
  await page.getByLabel("New password").fill("tide-oboe-fern-9");
  assert.equal(page.url(), `${ORIGIN}/account/recover`);
  await page.getByRole("button", { name: "Set the password" }).click();
  await page.getByText("The password is set.").waitFor();
  assert.deepEqual(sent.map(({ pathname, body }) => ({ pathname, body })), [{ pathname: "/api/v1/auth/recover", body: { token: TOKEN, password: "tide-oboe-fern-9" } }]);
  assert.equal(sent[0].headers["content-type"], "application/json");
  assert.ok(asked.every((url) => !url.includes(TOKEN)), "no address holds it");
  assert.equal(await page.evaluate((token) => document.documentElement.outerHTML.includes(token) || localStorage.length + sessionStorage.length > 0, TOKEN), false);
  assertClean(opened.seen);
});

test("an invitation asks for a name too, and a refusal is told and may be mended", async () => {
  const refusal = { status: 422, contentType: "application/json", body: JSON.stringify({ error: { code: "password_refused", message: "Choose <b>another</b>." } }) };
  const { page, sent } = await open(`/account/accept#${TOKEN}`, refusal);
  await page.getByLabel("Full name").fill("Ann Example");
  await page.getByLabel("New password").fill("password1234");
  await page.getByRole("button", { name: "Accept" }).click();
  await page.getByText("Choose <b>another</b>.").waitFor();
  assert.deepEqual(sent[0].body, { token: TOKEN, password: "password1234", full_name: "Ann Example" });
  assert.equal(await page.getByRole("button", { name: "Accept" }).isEnabled(), true);
  assertClean(opened.seen);
});

test("a link without its token says so and sends nothing", async () => {
  const { page, sent } = await open("/account/recover", { status: 204 });
  await page.getByText("This link is not whole.").waitFor();
  assert.equal(await page.locator("form").isVisible(), false);
  assert.deepEqual(sent, []);
});

for (const [size, viewport] of Object.entries({ desktop: DESKTOP, phone: PHONE })) {
  for (const colorScheme of ["light", "dark"]) {
    test(`axe finds nothing: ${size}, ${colorScheme}`, async () => {
      const { page } = await open(`/account/accept#${TOKEN}`, { status: 201, body: "{}" }, { viewport, colorScheme });
      await page.getByLabel("Full name").waitFor();
      await assertAccessible(page, "account");
      assert.equal(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), true);
      assertClean(opened.seen);
    });
  }
}
