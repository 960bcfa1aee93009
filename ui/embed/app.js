// The chat page: brings the session, the conversation and the composer together.
// Owns: the order of things (meet, agree, start, resume, ask, stop, rate, erase) and what is said aloud.
// Never: stores or sends anything before the visitor agreed where that is asked for, tells the page what was said, or
// shows text that has not been through text.js.

import { announce } from "./announce.js";
import { ApiError, ask, deleteSession, exportSession, readSession, readStrings, sendFeedback, sendIdentity } from "./api.js";
import { bind } from "./binding.js";
import { Composer } from "./composer.js";
import { askConsent, forgetAgreement, hasAgreed, rememberAgreement } from "./consent.js";
import { contactElement } from "./contact.js";
import { Conversation } from "./conversation.js";
import { copyFrom } from "./copy.js";
import { button, byId, create, outLink, said } from "./elements.js";
import { chooseLocale, currentLocale, label, say, sayTime, setEnglish, useLocale } from "./language.js";
import { settleLook, wear } from "./look.js";
import { AnswerView, questionElement } from "./message.js";
import { Notice } from "./notice.js";
import { quietUntil } from "./quiet.js";
import { Session } from "./session.js";
import { en } from "./strings.json";
import { clean, countCharacters } from "./text.js";
import { showWelcome } from "./welcome.js";

setEnglish(en);
useLocale("en", en);

const site = /^\/embed\/([A-Za-z0-9_]{1,100})\/?$/.exec(window.location.pathname)?.[1] ?? "";
const binding = bind(site, hear);
const session = new Session(binding);
const conversation = new Conversation();
const notice = new Notice(announce, ({ name, detail }) => tell(name, detail));
const composer = new Composer({ limit: 1000, onSend: send, onStop: () => running?.abort(), announce });

let privacy = null;
let page = {};
let look = settleLook({}, {});
let running = null;
let views = new Set();
let isShown = !binding.isFramed && !document.hidden;
let unread = 0;
let toldUnread = 0;
let context = null;
let waitingQuestion = "";
let wantedLocale = "";
let pageTheme = null;
let isStarting = false;

// ---- start -----------------------------------------------------------------------------------

async function start() {
  notice.clear();
  isStarting = true;
  try {
    const init = await session.meet();
    page = { ...init.presentation, origin: init.origin };
    if (init.open === true) isShown = true;
    settle();
    if (init.resume) rememberAgreement();
    if (look.consent && !hasAgreed()) await agree();
    await session.start();
    settle();
    await speak();
    if (session.isResumed || !look.consent) rememberAgreement();
    if (!hasAgreed()) await agree();
    keepResume();
    if (session.isResumed) await resume();
    present();
    isStarting = false;
    ready();
    sendWaiting();
  } catch (error) {
    isStarting = false;
    await speak();
    present();
    if (composer.isEmpty) composer.set(waitingQuestion);
    waitingQuestion = "";
    notice.show(error, start);
    if (isRefused(error)) byId("composer").hidden = true;
  }
}

// Until the visitor agrees, the page shows who asks and nothing is sent.
async function agree() {
  await speak();
  present();
  ready();
  await askConsent(look);
  composer.focus();
}

async function resume() {
  const history = await session.run(readSession);
  session.renew(history);
  settle();
  const messages = Array.isArray(history.messages) ? history.messages.filter((message) => message?.role === "user" || message?.role === "assistant") : [];
  const last = messages.at(-1);
  conversation.showHistory(messages, (message) => {
    if (message.role === "user") return questionElement(message.text);
    return answerElement(message, message === last ? messages.at(-2)?.text : undefined);
  });
}

function answerElement({ id, text, citations, state }, question) {
  const view = newView();
  const wasCut = state === "interrupted";
  const onRetry = wasCut && typeof question === "string" ? () => askByButton(question) : undefined;
  view.finish({ text: String(text ?? ""), citations: citations ?? [], note: wasCut ? "cutShort" : "", onRetry, isComplete: !wasCut });
  if (!wasCut) offerRating(view, id);
  return view.element;
}

function newView() {
  const view = new AnswerView(look.linkOrigins, look.language);
  views.add(view);
  return view;
}

// Said after every ticket: the loader holds back what the page wants until then.
function ready() {
  binding.post("look", { color: look.color, position: look.position, title: look.title || say("defaultTitle"), unread });
  binding.post("ready");
}

// The page's loader keeps what a later page needs; nothing is kept before the chat was opened.
function keepResume() {
  if (isShown && hasAgreed() && session.resume !== null) binding.keepResume(session.resume);
}

// ---- looks and words ---------------------------------------------------------------------------

function settle() {
  look = settleLook(session.look, page);
  wear({ ...look, theme: pageTheme ?? look.theme });
  composer.limit = look.maxCharacters;
}

async function speak() {
  const wanted = chooseLocale({ asked: page.locale, preferred: navigator.languages, offered: look.languages, own: look.language });
  wantedLocale = wanted;
  if (wanted !== currentLocale()) {
    try {
      const words = wanted === "en" ? en : await readStrings(wanted);
      // Another one may have been wanted meanwhile.
      if (wanted !== wantedLocale) return;
      useLocale(wanted, words);
      composer.resay();
      for (const view of views) view.repaint();
    } catch {
      // The words that are there already will do.
    }
  }
  delete document.documentElement.dataset.starting;
}

function present() {
  showWelcome(look, conversation.isEmpty, askByButton);
  sayUnread();
}

// ---- ask -------------------------------------------------------------------------------------

async function send(question) {
  if (isStarting || running !== null || !hasAgreed()) {
    waitingQuestion = question;
    if (!isStarting && running === null && byId("consent").hidden) start();
    return;
  }
  waitingQuestion = "";
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
  const view = newView();
  running = abort;
  composer.isBusy = true;
  conversation.append(view.element);
  conversation.scrollToEnd();
  announce(say("working"));
  let failure = null;
  try {
    const done = await session.run(
      (token) =>
        ask(token, question, {
          context,
          onDelta: (text) => view.append(text),
          onCitations: (citations) => view.setCitations(citations),
          signal: abort.signal,
        }),
      forgetOldRatings,
    );
    view.finish({ text: done.text, citations: done.citations, contact: contactElement(look), isComplete: true });
    offerRating(view, done.message_id);
    announce(spoken(view));
    tell("answer", { citations: view.citationCount, complete: true });
  } catch (error) {
    failure = error;
  }
  running = null;
  composer.isBusy = false;
  if (!isShown) {
    unread += 1;
    sayUnread();
  }
  if (failure !== null) settleFailure(failure, { abort, view, asked, question });
  sendWaiting();
}

// What was asked before the chat was ready, or by the page while an answer came in.
function sendWaiting() {
  if (waitingQuestion !== "") send(waitingQuestion);
}

function settleFailure(error, { abort, view, asked, question }) {
  if (abort.signal.aborted) {
    view.finish({ note: "stopped", isComplete: false });
    announce(say("stopped"));
    tell("answer", { citations: 0, complete: false });
    return;
  }
  const wasRefused = error instanceof ApiError && error.status >= 400;
  if (view.isEmpty) {
    view.element.remove();
    views.delete(view);
  } else {
    view.finish({ note: "cutShort", isComplete: false });
    tell("answer", { citations: 0, complete: false });
  }
  if (wasRefused && view.isEmpty) {
    // The server did not take the question: it goes back where it can be changed.
    asked.remove();
    if (composer.isEmpty) composer.set(question);
    present();
    notice.show(error, () => {
      composer.set("");
      send(question);
    });
  } else {
    notice.show(error, () => answer(question, asked));
  }
  conversation.scrollToEnd();
}

function spoken(view) {
  const count = view.citationCount;
  return `${view.spokenText} ${count === 0 ? say("noSources") : say("sourcesCount", { n: count })}`;
}

// ---- rate, erase ---------------------------------------------------------------------------------

function offerRating(view, messageId) {
  if (typeof messageId !== "string" || messageId === "") return;
  view.offerRating(async (rating, reason) => {
    const feedback = reason === undefined ? { message_id: messageId, rating } : { message_id: messageId, rating, reason };
    await session.run((token) => sendFeedback(token, feedback), forgetOldRatings);
    tell("feedback", { rating });
  });
}

// A new session does not know the messages of the old one.
function forgetOldRatings() {
  for (const view of views) view.withdrawRating();
}

async function erase() {
  running?.abort();
  const receipt = session.hasToken ? ((await session.run(deleteSession)).receipt ?? null) : null;
  clearAll();
  if (look.consent) forgetAgreement();
  announce(say("erased"));
  return receipt;
}

// The next question begins a new conversation; until then the server is asked for nothing.
function clearAll() {
  running?.abort();
  session.forget();
  conversation.clear();
  views = new Set();
  context = null;
  waitingQuestion = "";
  notice.clear();
  present();
}

function afterPrivacy(wasErased) {
  if (wasErased && !hasAgreed() && look.consent) askConsent(look).then(() => composer.focus());
  if (wasErased) (byId("consent").hidden ? composer : byId("consent-accept")).focus();
}

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
  }
  if (name === "theme") {
    pageTheme = ["auto", "light", "dark"].includes(data.theme) ? data.theme : null;
    settle();
  }
  if (name === "context") context = data.context !== null && typeof data.context === "object" ? data.context : null;
  if (name === "identify" && typeof data.token === "string") identify(data.token);
  if (name === "reset") clearAll();
  if (name === "forget") erase().catch((error) => tell("error", { code: error?.code ?? "failed" }));
}

function show() {
  isShown = true;
  unread = 0;
  sayUnread();
  keepResume();
  // While the people behind it are away, a chat that opens by itself leaves the focus where it is.
  if (document.hasFocus() || quietUntil(look.quietHours, new Date()) === "") {
    if (byId("consent").hidden) composer.focus();
    else byId("consent-accept").focus();
  }
}

async function identify(token) {
  session.identity = token;
  if (!session.hasToken) return;
  try {
    await session.run((visitor) => sendIdentity(visitor, token));
  } catch (error) {
    tell("error", { code: error?.code ?? "failed" });
  }
}

function tell(name, detail) {
  binding.post("event", { name, detail });
}

function sayUnread() {
  const title = look.title || say("defaultTitle");
  document.title = unread > 0 ? `(${unread}) ${title}` : title;
  if (unread !== toldUnread) binding.post("unread", { count: unread });
  toldUnread = unread;
}

const isRefused = (error) => error instanceof ApiError && (error.status === 403 || error.status === 404);

byId("log").addEventListener("click", ({ target }) => {
  if (target.matches?.("button.copy")) copyFrom(target, target.parentElement.querySelector("pre"), announce);
});

byId("privacy-open").addEventListener("click", async () => {
  try {
    // Few ask for it: it is loaded for those who do.
    const { Privacy } = await import("/assets/embed/privacy.js");
    privacy ??= new Privacy({ button, said, create, outLink, label, say, sayTime, copyFrom }, { onExport: () => session.run(exportSession), onErase: erase, onClosed: afterPrivacy, announce });
    privacy.open({ ...look, endsAt: session.endsAt, isEmpty: !session.hasToken });
  } catch {
    notice.show(new ApiError(0, "offline"), null);
  }
});

if (binding.isFramed) {
  const close = byId("close");
  close.hidden = false;
  close.addEventListener("click", () => binding.post("close"));
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || event.defaultPrevented || event.isComposing || byId("privacy").open) return;
    if (running === null) binding.post("close");
    else running.abort();
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
session.onIdentityRefused = () => tell("error", { code: "identity_invalid" });
start();
