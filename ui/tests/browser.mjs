// Starts the browser that the tests drive, and watches what must never happen.
// Owns: Chromium's flags, a fresh profile for each start (the library makes and removes it), axe.
// Never: skips. A missing browser is a failure.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** @param {{more?: string[], ignoreDefaultArgs?: string[]}} flags beyond the usual ones */
export async function startBrowser({ more = [], ...options } = {}) {
  return chromium.launch({
    ...options,
    executablePath: process.env.CHATWARD_CHROMIUM ?? "/usr/bin/chromium",
    headless: true,
    args: [
      "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
      "--disable-component-update", "--disable-sync", "--disable-quic", ...more,
    ],
  });
}

export const DESKTOP = { width: 1200, height: 820 };
export const PHONE = { width: 390, height: 780 };
export const NARROW = { width: 320, height: 640 };

/**
 * A page of its own, with a record of everything that must stay empty.
 * @param {string[]} origins where requests may go
 */
export async function openPage(browser, origins, options = {}) {
  const context = await browser.newContext({ viewport: DESKTOP, colorScheme: "light", ...options });
  const seen = { violations: [], errors: [], strays: [], dialogs: [] };
  await context.addInitScript(() => {
    window.addEventListener("securitypolicyviolation", (event) => {
      console.error(`CSP-VIOLATION ${event.effectiveDirective} ${event.blockedURI} ${event.sample}`);
    });
  });
  context.on("console", (message) => {
    const text = message.text();
    if (/CSP-VIOLATION|Content Security Policy|TrustedHTML|TrustedScript/.test(text)) seen.violations.push(text);
    // The browser reports every 4xx and 5xx of a fetch by itself; the tests provoke those.
    else if (message.type() === "error" && !/Failed to load resource/.test(text)) seen.errors.push(text);
  });
  context.on("weberror", (error) => seen.errors.push(String(error.error())));
  context.on("dialog", (dialog) => {
    seen.dialogs.push(dialog.message());
    dialog.dismiss();
  });
  context.on("request", (request) => {
    const url = new URL(request.url());
    if (url.protocol.startsWith("http") && !origins.includes(url.origin)) seen.strays.push(request.url());
  });
  const page = await context.newPage();
  page.setDefaultTimeout(10_000);
  return { context, page, seen };
}

/** Nothing ran, nothing was blocked, nothing left for another origin. */
export function assertClean(seen) {
  assert.deepEqual(seen, { violations: [], errors: [], strays: [], dialogs: [] });
}

/** Runs axe in a page or frame; the message names each finding and where it is. */
export async function assertAccessible(frame, label) {
  // What is still fading in has the colours of a moment.
  await frame.evaluate(async () => {
    const ends = (animation) => Number.isFinite(animation.effect?.getComputedTiming().endTime);
    await Promise.all(document.getAnimations().filter(ends).map((animation) => animation.finished.catch(() => {})));
  });
  // The library is evaluated by the debugger, so the page's policy neither stops nor records it.
  await frame.evaluate(`${AXE}; undefined`);
  const findings = await frame.evaluate(async () => {
    const result = await window.axe.run(document, { iframes: false, resultTypes: ["violations"] });
    return result.violations.flatMap((violation) =>
      violation.nodes.map((node) => `${violation.id} (${violation.impact}): ${node.target.join(" ")}: ${node.failureSummary}`),
    );
  });
  assert.deepEqual(findings, [], `axe: ${label}`);
}

/** Asks in the chat and waits for the end of the answer. */
export async function askIn(frame, question) {
  const answers = frame.locator(".answer:not([aria-busy])");
  const before = await answers.count();
  await frame.locator("#question").fill(question);
  await frame.locator("#question").press("Enter");
  await answers.nth(before).waitFor();
  return answers.nth(before);
}
