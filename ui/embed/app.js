// The chat page: brings the session, the conversation and the composer together.
// Owns: the order of things (start, resume, ask, stop, rate, delete) and what is said aloud.
// Never: trusts a message of the embedding page with more than "you are shown", tells it
// anything but "ready" and "close", or shows text that has not been through text.js.

import { ApiError, ask, deleteSession, readSession, sendFeedback } from "./api.js";
import { Composer } from "./composer.js";
import { AnswerView, questionElement } from "./message.js";
import { Notice } from "./notice.js";
import { Session } from "./session.js";
import { strings } from "./strings.js";
import { cleanLine } from "./text.js";

const MOST_STARTERS = 4;
const MOST_ORIGINS = 50;
const DEFAULT_CHARACTERS = 1000;
const NEAR_END_PIXELS = 80;
const ABOVE_QUESTION_PIXELS = 12;

const byId = (id) => document.getElementById(id);
const log = byId("log");
const messages = byId("messages");
const welcome = byId("welcome");
const latest = byId("latest");
const deleteButton = byId("delete");
const dialog = byId("confirm");
const isFramed = window.parent !== window;

const site = /^\/embed\/([A-Za-z0-9_]{1,100})\/?$/.exec(window.location.pathname)?.[1] ?? "";
const session = new Session(site);
const notice = new Notice(announce);
const composer = new Composer({ limit: DEFAULT_CHARACTERS, onSend: send, onStop: () => running?.abort(), announce });

let running = null;
let views = [];
let followsEnd = true;

// ---- start -----------------------------------------------------------------------------------

async function start() {
  notice.clear();
  try {
    if (session.hasToken) await resume();
    else await session.start();
    applyLook();
  } catch (error) {
    applyLook();
    notice.show(error, start);
    if (isRefused(error)) byId("composer").hidden = true;
  }
}

async function resume() {
  let isGone = false;
  const history = await session.run(readSession, () => {
    isGone = true;
  });
  if (isGone || !Array.isArray(history.messages)) return;
  for (const message of history.messages) {
    if (message?.role === "user") messages.append(questionElement(message.text));
    else if (message?.role === "assistant") addAnswer(message);
  }
  showWelcome();
  scrollToEnd();
}

function addAnswer({ id, text, citations }) {
  const view = new AnswerView(linkOrigins());
  messages.append(view.element);
  views.push(view);
  view.finish({ text: String(text ?? ""), citations: citations ?? [], isComplete: true });
  offerRating(view, id);
}

function applyLook() {
  const { look } = session;
  const title = cleanLine(look.title, 60) || strings.defaultTitle;
  document.title = title;
  byId("title").textContent = title;
  byId("greeting").textContent = cleanLine(look.greeting, 400) || strings.defaultGreeting;
  if (typeof look.language === "string" && /^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}$/.test(look.language)) {
    messages.lang = look.language;
    welcome.lang = look.language;
  }
  if (Number.isInteger(look.max_characters) && look.max_characters > 0) composer.limit = look.max_characters;
  const starters = Array.isArray(look.starters) ? look.starters.slice(0, MOST_STARTERS) : [];
  byId("starters").replaceChildren(...starters.map(starterElement));
  showWelcome();
}

function starterElement(text) {
  const item = document.createElement("li");
  const button = document.createElement("button");
  button.type = "button";
  button.className = "starter";
  button.dir = "auto";
  button.textContent = cleanLine(text, 120);
  button.addEventListener("click", () => {
    if (running !== null) return;
    send(button.textContent);
    composer.focus();
  });
  item.append(button);
  return item;
}

// ---- ask -------------------------------------------------------------------------------------

async function send(question) {
  if (running !== null) return;
  notice.clear();
  const asked = questionElement(question);
  messages.append(asked);
  showWelcome();
  await answer(question, asked);
}

async function answer(question, asked) {
  const abort = new AbortController();
  const view = new AnswerView(linkOrigins());
  running = abort;
  composer.isBusy = true;
  messages.append(view.element);
  scrollToEnd();
  announce(strings.working);
  let failure = null;
  try {
    const done = await session.run(
      (token) =>
        ask(token, question, {
          onDelta: (text) => view.append(text),
          onCitations: (citations) => view.setCitations(citations),
          signal: abort.signal,
        }),
      forgetOldRatings,
    );
    view.finish({ text: done.text, citations: done.citations, isComplete: true });
    views.push(view);
    offerRating(view, done.message_id);
    announce(spoken(view));
  } catch (error) {
    failure = error;
  }
  running = null;
  composer.isBusy = false;
  if (failure !== null) settleFailure(failure, { abort, view, asked, question });
}

function settleFailure(error, { abort, view, asked, question }) {
  if (abort.signal.aborted) {
    view.finish({ note: strings.stopped, isComplete: false });
    announce(strings.stopped);
    return;
  }
  const wasRefused = error instanceof ApiError && error.status >= 400;
  if (view.isEmpty) view.element.remove();
  else view.finish({ note: strings.cutShort, isComplete: false });
  if (wasRefused && view.isEmpty) {
    // The server did not take the question: it goes back where it can be changed.
    asked.remove();
    if (composer.isEmpty) composer.set(question);
    showWelcome();
    notice.show(error, () => {
      composer.set("");
      send(question);
    });
  } else {
    notice.show(error, () => answer(question, asked));
  }
  scrollToEnd();
}

function spoken(view) {
  const count = view.citationCount;
  const sources = count === 0 ? strings.noSources : `${strings.sources}: ${count}.`;
  return `${view.spokenText} ${sources}`;
}

// ---- rate, delete ----------------------------------------------------------------------------

function offerRating(view, messageId) {
  if (typeof messageId !== "string" || messageId === "") return;
  view.offerRating((rating, reason) => {
    const feedback = reason === undefined ? { message_id: messageId, rating } : { message_id: messageId, rating, reason };
    return session.run((token) => sendFeedback(token, feedback), forgetOldRatings);
  });
}

// A new session does not know the messages of the old one.
function forgetOldRatings() {
  for (const view of views) view.withdrawRating();
  views = [];
}

async function deleteConversation() {
  const yes = byId("confirm-yes");
  if (yes.getAttribute("aria-disabled") === "true") return;
  yes.setAttribute("aria-disabled", "true");
  yes.textContent = strings.deleting;
  byId("confirm-error").textContent = "";
  running?.abort();
  try {
    if (session.hasToken) {
      await session.run(deleteSession).catch((error) => {
        // A session that is gone already is what was asked for.
        if (!(error instanceof ApiError) || error.status !== 404) throw error;
      });
    }
    session.forget();
    messages.replaceChildren();
    views = [];
    notice.clear();
    dialog.close();
    showWelcome();
    announce(strings.deleted);
    composer.focus();
    await start();
  } catch {
    byId("confirm-error").textContent = strings.deleteFailed;
  } finally {
    yes.removeAttribute("aria-disabled");
    yes.textContent = strings.remove;
  }
}

// ---- page ------------------------------------------------------------------------------------

function linkOrigins() {
  const { link_origins: listed } = session.look;
  return new Set(Array.isArray(listed) ? listed.filter((origin) => typeof origin === "string").slice(0, MOST_ORIGINS) : []);
}

function showWelcome() {
  const isEmpty = messages.childElementCount === 0;
  welcome.hidden = !isEmpty;
  deleteButton.hidden = isEmpty;
}

function isRefused(error) {
  return error instanceof ApiError && (error.status === 403 || error.status === 404);
}

// The conversation itself is not a live region: read aloud piece by piece it would stutter.
// What matters is said here, once, when it is whole.
function announce(text) {
  const announcer = byId("announcer");
  announcer.textContent = "";
  setTimeout(() => {
    announcer.textContent = text;
  }, 50);
}

function scrollToEnd() {
  followsEnd = true;
  log.scrollTop = log.scrollHeight;
}

// An answer that grows is followed until its question reaches the top: from there it is read
// downwards, and moving it on would take the words away from under the reader's eyes.
function followAnswer() {
  if (!followsEnd) return;
  const end = log.scrollHeight - log.clientHeight;
  const question = messages.querySelector(".question:nth-last-child(2)");
  const top = question === null ? end : question.offsetTop - ABOVE_QUESTION_PIXELS;
  log.scrollTop = log.scrollTop > top ? end : Math.min(end, top);
}

log.addEventListener("scroll", () => {
  followsEnd = log.scrollHeight - log.scrollTop - log.clientHeight < NEAR_END_PIXELS;
  latest.hidden = followsEnd;
}, { passive: true });

log.addEventListener("grown", followAnswer);

latest.addEventListener("click", () => {
  scrollToEnd();
  log.focus({ preventScroll: true });
});

deleteButton.addEventListener("click", () => {
  byId("confirm-error").textContent = "";
  dialog.showModal();
  byId("confirm-no").focus();
});
byId("confirm-no").addEventListener("click", () => dialog.close());
byId("confirm-yes").addEventListener("click", deleteConversation);

if (isFramed) {
  const closeChat = () => window.parent.postMessage("chatward:close", "*");
  byId("close").hidden = false;
  byId("close").addEventListener("click", closeChat);
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || event.defaultPrevented || event.isComposing || dialog.open) return;
    if (running === null) closeChat();
    else running.abort();
  });
  window.addEventListener("message", (event) => {
    if (event.source === window.parent && event.data === "chatward:shown") composer.focus();
  });
  // No secret is in it, and the parent's origin is not known for certain: hence "*".
  window.parent.postMessage("chatward:ready", "*");
} else {
  composer.focus();
}

start();
