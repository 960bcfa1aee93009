// The chat page against the stand-in server: asking, sources, failing, stopping, resuming, and the needs of people who use a keyboard, a screen reader or a small screen.

import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, describe, test } from "node:test";

import { askIn, assertAccessible, assertClean, openPage, startBrowser } from "./browser.mjs";
import { startMock } from "./mock-server.mjs";

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

async function openChat(options = {}, { isReady = true } = {}) {
  mock.look.contact ??= "Write to help@pellamoor.example or see https://pellamoor.example/contact.";
  opened = await openPage(browser, [mock.chat], options);
  await opened.page.goto(`${mock.chat}/embed/${mock.site}`);
  if (isReady) await opened.page.locator(".starter").first().waitFor();
  return opened.page;
}

const called = (path) => mock.requests.filter((request) => request.path === path);

describe("asking", () => {
  test("an answer comes in pieces, with a chip and a source that opens the page at the quote", async () => {
    const page = await openChat();
    await page.locator("#question").fill("in pieces");
    await page.locator("#question").press("Enter");
    const seen = [""];
    for (const gate of ["first", "second"]) {
      await until(() => mock.gates.has(gate));
      await page.waitForFunction((shown) => document.querySelector(".answer .body")?.textContent.length > shown, seen.at(-1).length);
      seen.push(await page.locator(".answer .body").textContent());
      mock.gates.get(gate)();
    }
    const answer = page.locator(".answer:not([aria-busy])");
    await answer.waitFor();
    const whole = await answer.locator(".body").innerText();
    assert.match(whole, /^Shipping to Canada costs \$14\.50/);
    assert.ok(seen[2].length < whole.length && whole.startsWith(seen[1]), `shown in pieces: ${JSON.stringify(seen)}`);
    const target = `${mock.host}/page/shipping#:~:text=Shipping%20to%20Canada%20costs%20%2414.50,6%20to%209%20business%20days.`;
    for (const link of [answer.locator(".body a.cite"), answer.locator("a.source-link")]) {
      assert.equal(await link.getAttribute("href"), target);
      assert.equal(await link.getAttribute("target"), "_blank");
      assert.match(await link.getAttribute("rel"), /noopener.*noreferrer/);
    }
    assert.match(await answer.locator(".sources").innerText(), /Shipping[\s\S]*Shipping to Canada costs \$14\.50 for parcels/);
    const [popup] = await Promise.all([opened.context.waitForEvent("page"), answer.locator(".body a.cite").click()]);
    await popup.waitForLoadState();
    assert.equal(new URL(popup.url()).pathname, "/page/shipping");
    assert.equal(await popup.evaluate(() => window.opener), null);
    opened.seen.strays = opened.seen.strays.filter((address) => !address.startsWith(mock.host));
    assertClean(opened.seen);
  });

  test("several quotes of one page stand under its title once", async () => {
    const page = await openChat();
    const answer = await askIn(page, "several");
    assert.deepEqual(await answer.locator(".source-title").allInnerTexts(), ["Shipping", "Returns"]);
    assert.deepEqual(await answer.locator(".sources .cite").allInnerTexts(), ["1", "3", "4"]);
    const addresses = await answer.locator(".sources a.cite").evaluateAll((links) => links.map((link) => link.hash));
    assert.equal(new Set(addresses).size, 3, "each number opens its own quote");
  });

  test("the request is the one the server asks for", async () => {
    const page = await openChat();
    await askIn(page, "What does shipping to Canada cost?");
    const [ticket] = called("/tickets");
    assert.deepEqual(ticket.body, { site: mock.site });
    const [session] = called("/sessions");
    assert.deepEqual(Object.keys(session.body), ["ticket"]);
    assert.equal(session.headers.origin, mock.chat);
    const [message] = called("/messages");
    assert.deepEqual(message.body, { message: "What does shipping to Canada cost?" });
    assert.match(message.headers.authorization, /^Bearer token-/);
    assert.equal(message.headers.accept, "text/event-stream");
    assert.equal(message.headers["content-type"], "application/json");
    assert.equal(message.headers.cookie, undefined);
  });

  test("every kind of block is shown as its element", async () => {
    const page = await openChat();
    const answer = await askIn(page, "How do I descale a kettle?");
    for (const selector of ["h3", "strong", "em", "ol > li > ul > li", "table td.align-right", "blockquote", "pre code", "hr", "a.link"]) {
      assert.ok((await answer.locator(`.body ${selector}`).count()) > 0, selector);
    }
    assertClean(opened.seen);
  });

  test("an unanswerable question gets the server's words and no source", async () => {
    const page = await openChat();
    const answer = await askIn(page, "Who won the match?");
    assert.equal(await answer.locator(".body").innerText(), "I could not find that on this site.");
    assert.equal(await answer.locator(".sources").count(), 0);
    assert.match(await answer.innerText(), /No source on this site/);
    const links = await answer.locator(".contact a").evaluateAll((found) => found.map((link) => link.getAttribute("href")));
    assert.deepEqual(links, ["mailto:help@pellamoor.example", "https://pellamoor.example/contact"]);
  });

  test("elements that are there already stay while the answer grows", async () => {
    const page = await openChat();
    await page.evaluate(() => {
      window.removed = 0;
      new MutationObserver((records) => {
        for (const record of records) for (const node of record.removedNodes) if (node.nodeType === 1 && !node.matches(".working, .pending")) window.removed += 1;
      }).observe(document.getElementById("messages"), { childList: true, subtree: true });
    });
    await askIn(page, "long answer please");
    assert.equal(await page.evaluate(() => window.removed), 0);
    assert.equal(await page.locator(".answer .body p").count(), 60);
    const [log, question] = await Promise.all([page.locator("#log").boundingBox(), page.locator(".question").boundingBox()]);
    assert.ok(question.y >= log.y && question.y < log.y + 60, "the question has reached the top, and stays in sight");
    await page.getByRole("button", { name: "Latest" }).click();
    assert.equal(await page.locator("#log").evaluate((one) => one.scrollHeight - one.scrollTop - one.clientHeight < 4), true);
  });

  test("the first piece is shown without waiting for a frame, the next one at the next frame", async () => {
    opened = await openPage(browser, [mock.chat]);
    const { page } = opened;
    // Frames happen when the test says so.
    await opened.context.addInitScript(() => {
      const waiting = [];
      window.requestAnimationFrame = (callback) => waiting.push(callback);
      window.nextFrame = () => waiting.splice(0).forEach((callback) => callback(0));
    });
    await page.goto(`${mock.chat}/embed/${mock.site}`);
    await page.locator(".starter").first().waitFor();
    await page.locator("#question").fill("gate");
    await page.locator("#question").press("Enter");
    const body = page.locator(".answer .body");
    await page.waitForFunction(() => document.querySelector(".answer .body")?.textContent === "The first part", null, { polling: 20 });
    await until(() => mock.gates.has("middle"));
    mock.gates.get("middle")();
    await until(() => mock.gates.has("end"));
    await page.evaluate(() => fetch("/assets/embed/icon.svg"));
    assert.equal(await body.textContent(), "The first part");
    await page.waitForFunction(() => {
      window.nextFrame();
      return document.querySelector(".answer .body").textContent === "The first part and the second";
    }, null, { polling: 20 });
    mock.gates.get("end")();
    await page.locator(".answer .rating").waitFor();
  });

  test("a chip tells its title and its quote", async () => {
    const page = await openChat();
    const answer = await askIn(page, "canada");
    assert.match(await answer.locator(".body a.cite").getAttribute("title"), /^Shipping\n\u201CShipping to Canada costs \$14\.50/);
  });

  test("characters cut between pieces arrive whole", async () => {
    const page = await openChat();
    const answer = await askIn(page, "half characters");
    assert.equal(await answer.locator(".body").innerText(), "Wärme für 茶 🍵");
  });

  test("a starter asks its question", async () => {
    const page = await openChat();
    await page.getByRole("button", { name: "How do I descale a kettle?" }).click();
    await page.locator(".answer .sources").waitFor();
    assert.equal(await page.locator("#welcome").isVisible(), false);
    assert.equal(await page.locator(".question").innerText().then((text) => text.includes("descale")), true);
  });

  test("characters are counted as Unicode scalar values, and too many are not sent", async () => {
    const page = await openChat();
    await page.locator("#question").fill("🍵".repeat(1000));
    assert.equal(await page.locator("#counter").innerText(), "1,000 / 1,000");
    assert.equal(await page.locator("#send").getAttribute("aria-disabled"), "false");
    await page.locator("#question").fill("🍵".repeat(1001));
    assert.equal(await page.locator("#counter").innerText(), "1 character too long");
    await page.locator("#question").press("Enter");
    await page.locator("#send").evaluate((button) => button.click());
    assert.equal(called("/messages").length, 0);
    assert.equal(await page.locator("#question").inputValue().then((value) => Array.from(value).length), 1001, "nothing is cut");
  });
});

describe("when it goes wrong", () => {
  test("a limit is said in plain words with the time to wait, and the question comes back", async () => {
    const page = await openChat();
    await page.locator("#question").fill("limit");
    await page.locator("#question").press("Enter");
    await page.locator("#notice").waitFor();
    assert.match(await page.locator("#notice-text").innerText(), /You can ask again in [12] seconds?\./);
    assert.equal(await page.locator("#question").inputValue(), "limit");
    assert.equal(await page.locator("#retry").getAttribute("aria-disabled"), "true");
    await page.getByText("You can ask again now.").first().waitFor();
    await page.locator("#retry").click();
    await page.getByText(/You can ask again in/).first().waitFor();
    assert.equal(called("/messages").length, 2);
  });

  for (const [question, words, reference] of [
    ["down", /busy/, "Reference: req_mock_0001"],
    ["oops", /went wrong on our side/, "Reference: req_mock_0001"],
    ["rejected", /Your question is too long/, "Reference: req_mock_0001"],
    ["offline", /could not be reached/, ""],
  ]) {
    test(`${question}: a plain word, and the question is not lost`, async () => {
      const page = await openChat();
      await page.locator("#question").fill(question);
      await page.locator("#question").press("Enter");
      await page.locator("#notice").waitFor();
      assert.match(await page.locator("#notice-text").innerText(), words);
      assert.equal(await page.locator("#notice-reference").isVisible(), reference !== "");
      if (reference !== "") assert.equal(await page.locator("#notice-reference").textContent(), reference);
      const kept = (await page.locator("#question").inputValue()) || (await page.locator(".bubble").last().innerText());
      assert.equal(kept, question);
    });
  }

  for (const question of ["cut", "broken"]) {
    test(`${question}: a part is marked as a part, never as the whole`, async () => {
      const page = await openChat();
      const answer = await askIn(page, question);
      assert.match(await answer.innerText(), /Cut short/);
      assert.equal(await answer.locator(".rating").count(), 0);
      assert.equal(await page.locator("#retry").isVisible(), true);
    });
  }

  test("an ended session is renewed once, silently", async () => {
    const page = await openChat();
    const answer = await askIn(page, "expired");
    assert.match(await answer.locator(".body").innerText(), /A fresh session answers/);
    assert.equal(called("/sessions").length, 2);
    assert.equal(called("/messages").length, 2);
    assert.equal(await page.locator("#notice").isVisible(), false);
  });

  test("a site that may not be used here says so, without a field to type in", async () => {
    mock.options.refuseSite = true;
    const page = await openChat({}, { isReady: false });
    await page.locator("#notice").waitFor();
    assert.match(await page.locator("#notice-text").innerText(), /not available on this site/);
    assert.equal(await page.locator("#composer").isVisible(), false);
    assert.equal(await page.locator("#retry").isVisible(), false);
    await assertAccessible(page, "refused");
  });

  test("a limit at the very start can be tried again", async () => {
    mock.options.sessionStatus = 429;
    const page = await openChat({}, { isReady: false });
    await page.getByText(/about 2 minutes/).first().waitFor();
    assert.equal(await page.locator("#retry").isVisible(), true);
  });
});

describe("stopping, rating, resuming", () => {
  test("an answer that the server cut is marked as a part", async () => {
    const page = await openChat();
    const answer = await askIn(page, "lengthy");
    assert.match(await answer.innerText(), /cut at its longest[^]*Cut short/);
    assert.equal(await answer.locator(".rating").count(), 0);
    assert.equal(await answer.locator(".sources").count(), 1);
  });

  test("a full conversation offers a new one, in which the question is asked", async () => {
    const page = await openChat();
    await askIn(page, "canada");
    await page.locator("#question").fill("full");
    await page.locator("#question").press("Enter");
    await page.getByText("This conversation has become too long.").first().waitFor();
    assert.equal(await page.getByRole("button", { name: "Try again" }).count(), 0);
    await page.getByRole("button", { name: "New conversation" }).click();
    await page.locator("#notice").waitFor();
    assert.equal(mock.opened, 2);
    assert.equal(await page.locator(".answer").count(), 0);
    assert.equal(mock.requests.findLast(({ path }) => path === "/messages").body.message, "full");
  });

  test("an answer elsewhere that is still being written: our own words, and another try", async () => {
    const page = await openChat();
    await page.locator("#question").fill("progress");
    await page.locator("#question").press("Enter");
    await page.getByText("Another answer is still being written.").first().waitFor();
    await page.getByRole("button", { name: "Try again" }).waitFor();
  });

  test("a tab in steady use takes a fresh token before half of the old one's life is over", async () => {
    mock.options.expiresAt = Math.floor(Date.now() / 1000) - 60;
    const page = await openChat();
    const reads = () => mock.requests.filter(({ method, path }) => method === "GET" && path === "/session").length;
    await askIn(page, "canada");
    assert.equal(reads(), 1);
    assert.equal(mock.requests.findLast(({ path }) => path === "/messages").headers.authorization, `Bearer ${[...mock.sessions.keys()].at(-1)}`, "the fresh token asks");
    mock.options.expiresAt = undefined;
    await askIn(page, "descale");
    await askIn(page, "canada");
    assert.equal(reads(), 2, "a token with all of its life before it is kept");
  });

  test("Arabic lists, quotes and tables stand on one side, by their first letter", async () => {
    const page = await openChat();
    const answer = await askIn(page, "arabic");
    const directions = await answer.locator(".body > *").evaluateAll((all) => all.map((one) => [one.localName, one.dir, [...new Set([...one.querySelectorAll("li, p, th, td")].map((inner) => getComputedStyle(inner).direction))].join()]));
    assert.deepEqual(directions, [["p", "rtl", ""], ["ol", "rtl", "rtl"], ["ul", "ltr", "ltr"], ["blockquote", "rtl", "rtl"], ["div", "rtl", "rtl"]]);
  });

  test("only what the site wrote is marked with the site's language", async () => {
    mock.look.language = "de";
    const page = await openChat();
    const answer = await askIn(page, "canada");
    assert.deepEqual(await answer.locator("[lang]").evaluateAll((all) => all.map((one) => [one.className, one.lang])), [["source-title", "de"], ["source-words", "de"]]);
  });

  test("a greeting keeps its lines; a long title and six starters are shown", async () => {
    Object.assign(mock.look, { title: "T".repeat(80), greeting: `Hello.\nHow are you? ${"x".repeat(470)}`, starters: ["1?", "2?", "3?", "4?", "5?", "6?", "7?"] });
    const page = await openChat();
    assert.equal(await page.locator("#title").innerText(), "T".repeat(80));
    assert.match(`${await page.locator("#greeting").innerText()} ${await page.locator(".starter").count()}`, /^Hello\.\nHow are you\? x{470} 6$/);
  });

  test("stop ends the request and keeps what came", async () => {
    const page = await openChat();
    await page.locator("#question").fill("hold");
    await page.locator("#question").press("Enter");
    await page.getByText("This is the first part").waitFor();
    await page.getByRole("button", { name: "Stop the answer" }).click();
    await page.locator(".answer .note", { hasText: "Stopped" }).waitFor();
    await assert.doesNotReject(until(() => mock.ended.length === 1));
    assert.equal(mock.ended[0].isComplete, false);
    assert.equal(await page.locator("#notice").isVisible(), false);
    const answer = await askIn(page, "canada");
    assert.match(await answer.innerText(), /14\.50/);
  });

  test("a rating is sent, with a reason when one is given", async () => {
    const page = await openChat();
    const answer = await askIn(page, "canada");
    await answer.getByRole("button", { name: "Helpful", exact: true }).click();
    await answer.getByText("Thank you.").waitFor();
    await answer.getByRole("button", { name: "Not helpful" }).click();
    await answer.getByRole("button", { name: "Out of date" }).click();
    await answer.getByLabel("Anything else? (optional)").fill("The price is old");
    await answer.getByLabel("Anything else? (optional)").press("Enter");
    await answer.locator(".reason").waitFor({ state: "detached" });
    const id = called("/feedback")[0].body.message_id;
    assert.deepEqual(called("/feedback").map((request) => request.body), [
      { message_id: id, rating: "up" },
      { message_id: id, rating: "down" },
      { message_id: id, rating: "down", reason: "Out of date; The price is old" },
    ]);
    assert.equal(await answer.getByRole("button", { name: "Not helpful" }).getAttribute("aria-pressed"), "true");
    assert.equal(await answer.getByRole("button", { name: "Helpful", exact: true }).getAttribute("aria-pressed"), "false");
  });

  test("a reload goes on where it was", async () => {
    const page = await openChat();
    await askIn(page, "canada");
    await page.reload();
    await page.locator(".answer .sources").waitFor();
    assert.equal(await page.locator(".message").count(), 2);
    assert.equal(await page.locator("#title").innerText(), "Pellamoor help");
    const [first, second] = called("/sessions").map((request) => request.body);
    assert.equal(first.resume, undefined);
    assert.equal(typeof second.resume, "string", "the same conversation, by a ticket of its own");
    assert.notEqual(second.ticket, first.ticket);
    assert.equal(mock.opened, 1);
    const answer = await askIn(page, "descale");
    assert.match(await answer.innerText(), /Descaling/);
  });

  test("a reload after the session ended starts anew without a word", async () => {
    const page = await openChat();
    await askIn(page, "canada");
    mock.sessions.clear();
    mock.resumes.clear();
    await page.reload();
    await page.locator(".starter").first().waitFor();
    assert.equal(await page.locator("#notice").isVisible(), false);
    assert.equal(called("/sessions").length, 2);
  });

  test("storage that throws does no harm", async () => {
    opened = await openPage(browser, [mock.chat]);
    await opened.context.addInitScript(() => {
      Object.defineProperty(window, "sessionStorage", { get: () => { throw new DOMException("denied", "SecurityError"); } });
    });
    await opened.page.goto(`${mock.chat}/embed/${mock.site}`);
    const answer = await askIn(opened.page, "canada");
    assert.match(await answer.innerText(), /14\.50/);
    assertClean(opened.seen);
  });
});

async function until(isTrue) {
  const deadline = Date.now() + 5_000;
  while (!isTrue()) {
    if (Date.now() > deadline) throw new Error("not in time");
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
