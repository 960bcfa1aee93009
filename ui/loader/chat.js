// One chat on a page: the page's API on one side, the messages to and from the frame on the other.
// Owns: when a ticket is asked for, what waits until the frame is ready, the resume id.
// Never: holds an answer, a question that a visitor typed, or the visitor's token: those never leave
// the frame. What passes here (a ticket, a resume id) any script of the page could have by itself, and
// a browser lets no page use it in the frame's place. Carried off, a resume is bound to the address it was given to.
// Nothing is asked for and nothing is stored before the first opening.

import { createStage } from "./stage.js";
import { requestTicket } from "./tickets.js";

const MOST_WAITING = 10;
// A frame that a policy or the network stopped fires `load` as well, and then says nothing.
const SILENCE_MS = 3000;

export function createChat(settings, onDestroy) {
  const { site, origin, presentation } = settings;
  const key = `chatward:${site}`;
  const stop = new AbortController();
  const stage = createStage(settings, stop, toggle, close, retry, lose);
  let hearers = [];
  let waiting = [];
  let resume = null;
  let storage = true;
  let identity;
  let context;
  // The frame: asked for, has said hello, has a session.
  let isLoaded = false;
  let isHere = false;
  let isReady = false;
  // What a frame was told, and what changed since its `init`.
  let isGreeted = false;
  let told;
  let late = {};
  // The ticket: being asked for, had, wanted by the frame.
  let isAsking = false;
  let held;
  let isWanted = false;
  let complained;
  let silence;

  window.addEventListener("message", hear, stop);
  window.addEventListener("online", () => isLoaded && !isHere && retry(), stop);
  // A policy of the page that stops us says so to nobody but its console, in words that are not about us.
  document.addEventListener("securitypolicyviolation", ({ blockedURI, effectiveDirective }) => {
    if (blockedURI.startsWith(origin)) complain({ code: "blocked", message: `its CSP lacks ${effectiveDirective} ${origin}` });
  }, stop);

  const api = {
    open: () => open(true),
    close,
    toggle,
    show() {
      stage.launcher.hidden = false;
    },
    hide() {
      close();
      stage.launcher.hidden = true;
    },
    ask(text) {
      open(true);
      tell("ask", { text: String(text) }, true);
    },
    setLocale(wanted) {
      const locale = (presentation.locale = String(wanted));
      stage.speak(locale);
      tell("locale", { locale });
    },
    setTheme(wanted) {
      const theme = (presentation.theme = String(wanted));
      stage.dress({ theme });
      tell("theme", { theme });
    },
    identify(claim) {
      const token = claim && claim.token;
      if (claim !== null && typeof token !== "string") return console.error("Chatward: identify takes {token} or null.");
      identity = token;
      tell("identify", { token });
    },
    setContext(members) {
      context = {};
      for (const name of Object.keys(members)) context[name] = String(members[name]);
      if (isReady) post("context", { context });
    },
    reset() {
      keep();
      if (isLoaded) tell("reset", {}, true);
    },
    forget() {
      // What a visit of an earlier page left on the server is erased too, without opening anything. Who it was is still
      // needed for that: it goes with the resume id.
      if (!isLoaded && !recall()) return drop();
      load();
      tell("forget", {}, true);
    },
    destroy() {
      stop.abort();
      // Nothing is asked for after the end.
      isLoaded = true;
      stage.remove();
      hearers = [];
      onDestroy(api);
    },
    on: (name, hearer) => hearers.push([name, hearer]),
    off(name, hearer) {
      hearers = hearers.filter((one) => one[0] !== name || one[1] !== hearer);
    },
    push(...calls) {
      for (const call of calls) {
        attempt(() => {
          const [name, ...rest] = call;
          api[name]?.(...rest);
        });
      }
    },
  };
  return { api, mount: stage.mount, open };

  // ---- opening -----------------------------------------------------------------------------

  function open(takesFocus) {
    if (stop.signal.aborted || stage.isOpen()) return;
    load();
    stage.show(takesFocus);
    tellSeen();
    emit("open");
  }

  function close() {
    if (!stage.isOpen()) return;
    stage.hide();
    tellSeen();
    emit("close");
  }

  function toggle() {
    if (stage.isOpen()) close();
    else open(true);
  }

  function load() {
    if (isLoaded) return;
    isLoaded = true;
    stage.load().onload = () => {
      silence = setTimeout(() => isHere || stage.cover(true, true), SILENCE_MS);
    };
    // At once, beside the frame: a page that may not show the chat gets no frame that could ask.
    askForTicket();
  }

  // The frame begins anew; what waits for it goes on waiting.
  function lose() {
    isHere = isReady = isGreeted = false;
    told = 0;
    clearTimeout(silence);
    stage.cover();
  }

  function retry() {
    lose();
    isLoaded = false;
    load();
  }

  // ---- the frame's messages ----------------------------------------------------------------

  function hear({ isTrusted, source, origin: from, data }) {
    // A script can make a message event with any source and origin, but not a trusted one.
    if (!isTrusted || !source || source !== stage.frame()?.contentWindow || from !== origin || !data) return;
    const { chatward, name, detail } = data;
    if (chatward === "hello") {
      isHere = true;
      clearTimeout(silence);
      stage.uncover();
    }
    if (chatward === "hello" || chatward === "renew") {
      isReady = false;
      isWanted = true;
      askForTicket();
    } else if (chatward === "ready") {
      isReady = true;
      if (context) post("context", { context });
      for (const name in late) post(name, late[name]);
      late = {};
      // Who went on with the page meanwhile keeps the focus there.
      if (!isGreeted && stage.isOpen() && !stage.isFocused()) told = "shown";
      tellSeen();
      for (const one of waiting.splice(0)) post(...one);
      if (!isGreeted) emit("ready");
      isGreeted = true;
    } else if (chatward === "close") close();
    else if (chatward === "look") stage.dress(data);
    else if (chatward === "unread") stage.count(data.count, data.words);
    else if (chatward === "resume") keep(data.resume);
    else if (chatward === "event") emit(name, detail);
  }

  function tell(name, rest, waits) {
    if (isReady) post(name, rest);
    else if (!waits) late[name] = rest;
    else if (waiting.length < MOST_WAITING) waiting.push([name, rest]);
  }

  function tellSeen() {
    const now = stage.isOpen() ? "shown" : "hidden";
    if (isReady && now !== told) post((told = now));
  }

  function post(name, rest) {
    stage.frame().contentWindow?.postMessage({ chatward: name, ...rest }, origin);
  }

  // ---- tickets -----------------------------------------------------------------------------

  async function askForTicket() {
    if (isAsking) return;
    if (!(held?.until > performance.now())) {
      isAsking = true;
      held = await requestTicket(origin, site);
      isAsking = false;
    }
    if (stop.signal.aborted) return;
    const { ticket, code, retry_after } = held;
    if (!ticket) complain(held);
    if (isWanted && isHere) {
      isWanted = false;
      held = null;
      // All of it is in what follows.
      late = {};
      if (ticket) post("init", { ticket, resume: recall(), identity, presentation, open: stage.isOpen(), storage });
      else post("refused", { code, retry_after });
    } else if (!ticket && !isHere) stage.cover(true, code === "offline" || code === "limited");
  }

  function complain({ code, message }) {
    emit("error", { code });
    if (complained === (complained = code + message)) return;
    const here = location.origin;
    const allow = `may not show this chat. To allow it: chatward site set ${site} --add-origin ${here}`;
    console.error(`Chatward: ${here} ${code === "origin_not_allowed" ? allow : `got no chat: ${message ?? code}`}`);
  }

  // ---- the resume id, in this tab's storage for this page's origin ------------------------------

  function recall() {
    try {
      resume ??= sessionStorage.getItem(key);
    } catch {
      storage = false;
    }
    return resume;
  }

  function keep(value) {
    resume = value;
    if (!resume) drop();
    try {
      if (resume) sessionStorage.setItem(key, resume);
      else sessionStorage.removeItem(key);
    } catch {
      // Memory alone, then: the next page starts anew.
      storage = false;
    }
  }

  // Who it was and what the page told go with the conversation that they were given for.
  function drop() {
    identity = context = 0;
  }

  function emit(event, detail) {
    for (const [name, hearer] of hearers) if (name === event) attempt(() => hearer(detail));
  }
}

// What the page's own code throws is the page's to see, and stops nothing here.
function attempt(run) {
  try {
    run();
  } catch (error) {
    reportError(error);
  }
}
