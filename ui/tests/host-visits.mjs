// What the tests of the loader have in common: one browser for the file, and for each test a stand-in server and a page.
// Owns: their beginning and their end. `mock`, `opened` and `page` are those of the test that runs.
// Never: decides what is right.

import { after, afterEach, before, beforeEach } from "node:test";

import { openPage, startBrowser } from "./browser.mjs";
import { launcherOf, putPage } from "./host-pages.mjs";
import { startMock } from "./mock-server.mjs";

let browser;
export let mock;
export let opened;
export let page;

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

/**
 * A page without an address yet, for tests that look on before it has one. `hurried`: what the loader waits for between two
 * tries, and before it says that nothing comes, comes twenty times sooner; deadlines of requests stay.
 */
export async function openEmpty({ hurried = false, ...options } = {}) {
  opened = await openPage(browser, [mock.chat, mock.host], options);
  page = opened.page;
  if (!hurried) return;
  await opened.context.addInitScript(() => {
    const wait = window.setTimeout.bind(window);
    window.setTimeout = (run, milliseconds = 0, ...rest) => wait(run, milliseconds > 4_000 ? milliseconds : milliseconds / 20, ...rest);
  });
}

export async function visit(address, options) {
  await openEmpty(options);
  await page.goto(address);
}

/** @param {object} [host] as `putPage` takes it; else the careful owner's page of the stand-in server */
export async function visitHost(host, options) {
  await visit(host === undefined ? mock.host : putPage(mock, "/host.html", host), options);
  await launcherOf(page).waitFor();
}

/** How often the API was called by POST at this path. */
export const calls = (path) => mock.requests.filter((request) => request.method === "POST" && request.path === path).length;

/** Calls the page's API. */
export const chatward = (name, ...rest) => page.evaluate(([method, given]) => window.Chatward[method](...given), [name, rest]);
