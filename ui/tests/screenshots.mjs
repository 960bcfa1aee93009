// Takes pictures of every state for a person to look at: node screenshots.mjs FOLDER
// Owns: the list of states. Never: compares pictures; the tests check facts instead.

import { mkdirSync } from "node:fs";
import { join } from "node:path";

import { askIn, DESKTOP, NARROW, openPage, PHONE, startBrowser } from "./browser.mjs";
import { startMock } from "./mock-server.mjs";

const folder = process.argv[2];
if (!folder) {
  console.error("usage: node screenshots.mjs FOLDER");
  process.exit(2);
}
mkdirSync(folder, { recursive: true });
const mock = await startMock();
const browser = await startBrowser();

const STATES = {
  welcome: async () => {},
  answer: (page) => askIn(page, "What does shipping to Canada cost?"),
  rich: async (page) => {
    await askIn(page, "How do I descale a kettle?");
    await page.locator("[data-rating=down]").last().click();
    await page.locator(".reason-input").waitFor();
    await page.locator("#log").evaluate((log) => (log.scrollTop = 0));
  },
  rated: async (page) => {
    await askIn(page, "How do I descale a kettle?");
    await page.locator("[data-rating=down]").last().click();
    await page.locator(".reason-input").waitFor();
    await page.locator("#log").evaluate((log) => (log.scrollTop = log.scrollHeight));
  },
  nothing: (page) => askIn(page, "Who won the match yesterday?"),
  streaming: async (page) => {
    await page.locator("#question").fill("hold on");
    await page.locator("#question").press("Enter");
    await page.getByText("first part").waitFor();
  },
  limit: async (page) => {
    await page.locator("#question").fill("limit please");
    await page.locator("#question").press("Enter");
    await page.locator("#notice").waitFor();
  },
  cut: async (page) => {
    await askIn(page, "canada");
    await askIn(page, "cut it");
  },
  privacy: async (page) => {
    await askIn(page, "canada");
    await page.locator("#privacy-open").click();
    await page.locator("#privacy h2").waitFor();
  },
  erase: async (page) => {
    await STATES.privacy(page);
    await page.getByRole("button", { name: "Erase this conversation" }).click();
  },
  receipt: async (page) => {
    await STATES.erase(page);
    await page.getByRole("button", { name: "Erase", exact: true }).click();
    await page.getByRole("heading", { name: "Erased" }).waitFor();
  },
  error: async (page) => {
    await page.locator("#question").fill("oops");
    await page.locator("#question").press("Enter");
    await page.locator("#notice").waitFor();
  },
  toolong: (page) => page.locator("#question").fill("How long is a piece of string? ".repeat(40)),
  hostile: (page) => askIn(page, "hostile"),
};

for (const [size, viewport] of Object.entries({ desktop: DESKTOP, phone: PHONE, narrow: NARROW })) {
  for (const colorScheme of ["light", "dark"]) {
    for (const [name, reach] of Object.entries(STATES)) {
      if (process.argv[3] && !process.argv[3].split(",").includes(name)) continue;
      const { context, page } = await openPage(browser, [], { viewport, colorScheme });
      await page.goto(`${mock.chat}/embed/${mock.site}`);
      await page.locator(".starter").first().waitFor();
      await reach(page);
      await page.screenshot({ path: join(folder, `embed-${name}-${size}-${colorScheme}.png`) });
      await context.close();
    }
  }
}
for (const [size, viewport] of Object.entries({ desktop: DESKTOP, phone: PHONE })) {
  for (const colorScheme of ["light", "dark"]) {
    if (process.argv[3] && !process.argv[3].split(",").includes("loader")) continue;
    const { context, page } = await openPage(browser, [], { viewport, colorScheme });
    await page.goto(mock.host);
    await page.getByRole("button", { name: "Chat" }).waitFor();
    await page.screenshot({ path: join(folder, `loader-closed-${size}-${colorScheme}.png`) });
    await page.getByRole("button", { name: "Chat" }).click();
    const frame = page.frames().find((one) => one.url().includes("/embed/")) ?? (await page.waitForEvent("framenavigated"));
    await frame.locator(".starter").first().waitFor();
    await askIn(frame, "canada");
    await page.screenshot({ path: join(folder, `loader-open-${size}-${colorScheme}.png`) });
    await context.close();
  }
}
await browser.close();
await mock.close();
