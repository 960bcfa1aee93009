// The chat page: brings the session, the conversation and the composer together.
// Owns: the order of things (meet, agree, start, resume, ask, stop, rate, erase) and what is said aloud.
// Never: stores or sends anything before the visitor agreed where that is asked for, tells the page what was said, or
// shows text that has not been through text.js.

import { Agreement } from "./agreement.js";
import { announce } from "./announce.js";
import { Answers } from "./answers.js";
import { ApiError, ask, readSession, readStrings, sendIdentity } from "./api.js";
import { bind } from "./binding.js";
import { Composer } from "./composer.js";
import { Conversation } from "./conversation.js";
import { copyFrom } from "./copy.js";
import { byId } from "./elements.js";
import { chooseLocale, say, setEnglish, switchLocale, useLocale } from "./language.js";
import { load } from "./later.js";
import { settleLook, wear } from "./look.js";
import { questionElement } from "./message.js";
import { Notice } from "./notice.js";
import { OwnData } from "./owndata.js";
import { Session } from "./session.js";
import { clean, countCharacters } from "./text.js";
import { Unread } from "./unread.js";
import { showWelcome } from "./welcome.js";
import en from "words:app";

// What waits for its turn has an end.
const MOST_WAITING = 5;

setEnglish(en);
useLocale("en", en);

const site = /^\/embed\/([A-Za-z0-9_]{1,100})\/?$/.exec(window.location.pathname)?.[1] ?? "";
const binding = bind(site, hear);
const session = new Session(binding);
const unread = new Unread(binding);
const agreement = new Agreement();
const own = new OwnData(session);
const answers = new Answers(session, (rating) => tell("feedback", { rating }));
const conversation = new Conversation();
const notice = new Notice(announce, ({ name, detail }) => tell(name, detail));
const composer = new Composer({ limit: 1000, onSend: send, onStop: () => running?.abort(), announce });

let people = null;
let page = {};
let look = settleLook({}, {});
let running = null;
let isShown = !binding.isFramed && !document.hidden;
let context = null;
let waiting = [];
let pageTheme = null;
let isStarting = false;
let isStarted = false;

// ---- start -----------------------------------------------------------------------------------

async function start() {
  notice.clear();
  isStarting = true;
  try {
    const init = await session.meet();
    page = { ...init.presentation, origin: init.origin };
    if (init.open === true) isShown = true;
    settle();
    // The page's own wish to ask is known before anything is sent; the owner's comes with the first answer.
    if (look.consent && !init.resume && !session.hasAgreed) await agree();
    await session.start();
    settle();
    await Promise.all([speak(), meetPeople()]);
    keepResume();
    if (session.isResumed) await resume();
    present();
    isStarting = false;
    isStarted = true;
    ready();
    sendWaiting();
  } catch (error) {
    isStarting = false;
    await speak();
    present();
    if (composer.isEmpty) composer.set(waiting.shift() ?? "");
    notice.show(error, start);
    if (isRefused(error)) byId("composer").hidden = true;
  }
}

// Until the visitor agrees, the page shows who asks and nothing of theirs is sent.
async function agree() {
  await speak();
  present();
  await agreement.ask(look, ready);
  session.hasAgreed = true;
  composer.focus();
}

// Not every owner names somebody to ask.
async function meetPeople() {
  if (look.contact !== "" || look.quietHours !== null) people ??= await load("contact").catch(() => null);
}

async function resume() {
  const history = await session.run(readSession);
  session.renew(history);
  settle();
  const messages = Array.isArray(history.messages) ? history.messages.filter((message) => message?.role === "user" || message?.role === "assistant") : [];
  const last = messages.at(-1);
  conversation.showHistory(messages, (message) => {
    if (message.role === "user") return questionElement(message.text);
    const question = message === last ? messages.at(-2)?.text : undefined;
    return answers.fromHistory(message, typeof question === "string" ? () => askByButton(question) : undefined);
  });
  own.note();
}

// Said after every ticket: the loader holds back what the page wants until then.
function ready() {
  binding.post("look", { color: look.color, position: look.position, title: titleNow(), unread: unread.count });
  binding.post("ready");
}

// The page's loader keeps what a later page needs; nothing is kept before the chat was opened.
function keepResume() {
  if (isShown && session.resume !== null) binding.keepResume(session.resume);
}

// ---- looks and words ---------------------------------------------------------------------------

function settle() {
  look = settleLook(session.look, page);
  wear({ ...look, theme: pageTheme ?? look.theme });
  answers.look = look;
  composer.limit = look.maxCharacters;
  byId("close").hidden = !binding.isFramed || isInline();
}

async function speak() {
  const wanted = chooseLocale({ asked: page.locale, preferred: navigator.languages, offered: look.languages, own: look.language });
  // Without the words of a language, those that are there already will do.
  const isNew = await switchLocale(wanted, (locale) => (locale === "en" ? en : readStrings(locale))).catch(() => false);
  if (isNew) {
    composer.resay();
    answers.repaint();
  }
  delete document.documentElement.dataset.starting;
}

function present() {
  showWelcome(look, conversation.isEmpty, askByButton);
  sayUnread();
}

// ---- ask -------------------------------------------------------------------------------------

async function send(question) {
  if (isStarting || running !== null || agreement.isAsked || !isStarted) {
    if (waiting.length < MOST_WAITING) waiting.push(question);
    else tell("error", { code: "too_many_waiting" });
    if (!isStarting && running === null && !agreement.isAsked) start();
    return;
  }
  notice.clear();
  tell("message", { length: countCharacters(question) });
  const asked = questionElement(question);
  conversation.append(asked);
  present();
  await answer(question, asked);
}

// By a button, which goes away with it; the focus must not.
function askByButton(question) {
  send(question);
  composer.focus();
}

async function answer(question, asked) {
  const abort = new AbortController();
  const view = answers.create();
  running = abort;
  composer.isBusy = true;
  conversation.append(view.element);
  conversation.scrollToEnd();
  announce(say("working"));
  let failure = null;
  try {
    await session.freshen(answers.withdrawRatings).catch(() => {});
    const done = await session.run(
      (token) =>
        ask(token, question, {
          context,
          onDelta: (text) => view.append(text),
          onCitations: (citations) => view.setCitations(citations),
          signal: abort.signal,
        }),
      answers.withdrawRatings,
    );
    const isComplete = done.cut_short !== true;
    answers.end(view, { id: done.message_id, text: done.text, citations: done.citations, wasCut: !isComplete });
    announce(spoken(view, isComplete));
    tell("answer", { citations: view.citationCount, complete: isComplete });
  } catch (error) {
    failure = error;
  }
  running = null;
  composer.isBusy = false;
  own.note();
  if (!isShown) {
    unread.count += 1;
    sayUnread();
  }
  if (failure !== null) settleFailure(failure, { abort, view, asked, question });
  sendWaiting();
}

// What was asked before the chat was ready, or by the page while an answer came in.
function sendWaiting() {
  if (waiting.length > 0 && running === null) send(waiting.shift());
}

function settleFailure(error, { abort, view, asked, question }) {
  if (abort.signal.aborted) {
    view.finish({ note: "stopped", isComplete: false });
    announce(say("stopped"));
    tell("answer", { citations: 0, complete: false });
    return;
  }
  const wasRefused = error instanceof ApiError && error.status >= 400;
  if (view.isEmpty) answers.remove(view);
  else {
    view.finish({ note: "cutShort", isComplete: false });
    tell("answer", { citations: 0, complete: false });
  }
  if (wasRefused && view.isEmpty) {
    // The server did not take the question: it goes back where it can be changed.
    asked.remove();
    if (composer.isEmpty) composer.set(question);
    present();
    const again = () => {
      composer.set("");
      send(question);
    };
    notice.show(error, again, () => {
      const had = context;
      clearAll(true);
      context = had;
      again();
    });
  } else {
    notice.show(error, () => answer(question, asked));
  }
  conversation.scrollToEnd();
}

function spoken({ spokenText, citationCount: n }, isComplete) {
  return `${spokenText} ${say(!isComplete ? "cutShort" : n === 0 ? "noSources" : "sourcesCount", { n })}`;
}

// ---- erase ------------------------------------------------------------------------------------------

async function erase() {
  running?.abort();
  const had = [context, session.identity];
  const outcome = await own.erase();
  // What the page said meanwhile is for the next conversation.
  const next = [context, session.identity];
  clearAll();
  if (next[0] !== had[0]) context = next[0];
  if (next[1] !== had[1]) session.identity = next[1];
  if (look.consent) session.hasAgreed = isStarted = false;
  if (outcome.isWhole) announce(say("erased"));
  return outcome;
}

// The next question begins a new conversation; until then the server is asked for nothing.
function clearAll(isByPage) {
  running?.abort();
  session.forget(isByPage);
  dropMessages();
  context = null;
  waiting = [];
  notice.clear();
  present();
}

function dropMessages(keep = 0) {
  conversation.clear(keep);
  if (keep === 0) answers.clear();
  own.clear();
}

function afterPrivacy(wasErased) {
  if (wasErased && look.consent) agreeAgain();
  else if (wasErased) composer.focus();
}

const agreeAgain = () => agree().then(sendWaiting, (error) => notice.show(error, agreeAgain));

// ---- page ------------------------------------------------------------------------------------

function hear(name, data) {
  if (name === "shown") return show();
  if (name === "hidden") isShown = false;
  if (name === "ask" && typeof data.text === "string" && clean(data.text).trim() !== "") {
    const question = clean(data.text).trim();
    if (countCharacters(question) <= look.maxCharacters) send(question);
    else composer.set(question);
  }
  if (name === "locale") {
    page.locale = data.locale;
    speak().then(present);
  };
  if (name === "theme") {
    pageTheme = ["auto", "light", "dark"].includes(data.theme) ? data.theme : null;
    settle();
  }
  if (name === "context") context = data.context !== null && typeof data.context === "object" ? data.context : null;
  if (name === "identify") identify(typeof data.token === "string" ? data.token : null);
  if (name === "reset") clearAll(true);
  if (name === "forget") erase().catch((error) => tell("error", { code: error?.code ?? "failed" }));
}

function show() {
  isShown = true;
  unread.count = 0;
  sayUnread();
  keepResume();
  // While the people behind it are away, a chat that opens by itself leaves the focus where it is.
  if (document.hasFocus() || !people?.quietUntil(look.quietHours, new Date())) {
    if (byId("consent").hidden) composer.focus();
    else byId("consent-accept").focus();
  }
}

// Who somebody is decides whose conversation it is: with another, or none, it is a new one.
async function identify(token) {
  const wasIdentified = session.isIdentified;
  session.identity = token;
  if (token === null && wasIdentified) clearAll(true);
  if (token === null || !session.hasToken) return;
  try {
    await session.run((visitor) => sendIdentity(visitor, token));
  } catch (error) {
    tell("error", { code: error?.code ?? "failed" });
    if (error?.code !== "identity_invalid") return;
    running?.abort();
    session.leave();
    dropMessages();
    start();
  }
}

function tell(name, detail) {
  binding.post("event", { name, detail });
}

// Within the page's own text there is nothing to close.
const isInline = () => page.position === "inline";
const sayUnread = () => unread.tell(titleNow());
const titleNow = () => look.title || say("defaultTitle");
const isRefused = ({ status }) => status === 403 || status === 404;

byId("log").addEventListener("click", ({ target }) => {
  if (target.matches?.("button.copy")) copyFrom(target, target.parentElement.querySelector("pre"), announce);
});

byId("privacy-open").addEventListener("click", () => {
  own.open(look, erase, afterPrivacy).catch((error) => notice.show(error, null));
});

if (binding.isFramed) {
  byId("close").hidden = false;
  byId("close").addEventListener("click", () => binding.post("close"));
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || event.defaultPrevented || event.isComposing || byId("privacy").open) return;
    if (running !== null) running.abort();
    else if (!isInline()) binding.post("close");
  });
} else {
  composer.focus();
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) isShown = false;
    else show();
  });
}

session.onStarted = () => {
  keepResume();
  if (!isStarting) ready();
};
answers.contact = () => people?.contactElement(look) ?? null;
session.onAgreementWanted = async () => {
  settle();
  await agree();
};
session.onIdentityRefused = () => {
  tell("error", { code: "identity_invalid" });
  // What is being asked now stays.
  dropMessages(running === null ? 0 : 2);
};
start();
