// What binds the chat to the page that it stands on: a ticket that the page's loader got for that page alone.
// Owns: the messages to and from the loader, and who is believed: the parent window, and of its messages those from the
// origin that the first ticket came from. The session's answer must name the same origin (session.js drops all if not).
// Never: tells the page a word of the conversation or the visitor's token, or anything but "hello" to an unknown page.

import { ApiError, createTicket } from "./api.js";

const WAIT_MILLISECONDS = 20_000;
const REFUSALS = { offline: 0, limited: 429 };

/** @param {string} site @param {(name: string, data: object) => void} onMessage told what the page wants */
export function bind(site, onMessage) {
  return window.parent === window ? new Alone(site) : new Framed(site, onMessage);
}

class Framed {
  isFramed = true;
  #site;
  #onMessage;
  #origin = "";
  #isBound = false;
  #waiting = null;
  #unsent = [];
  #keepsItself = false;

  constructor(site, onMessage) {
    this.#site = site;
    this.#onMessage = onMessage;
    window.addEventListener("message", (event) => this.#hear(event));
  }

  /** @returns {Promise<object>} `init` of the loader, with a ticket that was not used yet */
  ticket() {
    this.#waiting?.reject(new ApiError(0, "slow"));
    return new Promise((resolve, reject) => {
      const late = setTimeout(() => reject(new ApiError(0, "slow")), WAIT_MILLISECONDS);
      this.#waiting = { resolve, reject, late };
      if (this.#isBound) this.post("renew");
      // Whoever frames this page learns that it is there, which it knows, and nothing else.
      else window.parent.postMessage({ chatward: "hello" }, "*");
    });
  }

  /** The session's answer named the same origin as the messages came from. */
  confirm(origin) {
    this.#isBound = origin === this.#origin;
    if (!this.#isBound) this.#origin = "";
    return this.#isBound;
  }

  post(name, data = {}) {
    const message = { chatward: name, ...data };
    if (this.#origin === "") this.#unsent.push(message);
    else window.parent.postMessage(message, this.#origin);
    if (this.#unsent.length > 20) this.#unsent.shift();
  }

  /**
   * @param {string | null} resume kept by the loader; here only when the page has no storage for it
   * @param {boolean} [isKnown] to the loader
   */
  keepResume(resume, isKnown = false) {
    if (!isKnown) this.post("resume", { resume });
    if (this.#keepsItself) keep(this.#site, resume);
  }

  #hear({ source, origin, data }) {
    if (source !== window.parent || data === null || typeof data !== "object" || typeof data.chatward !== "string") return;
    if (this.#origin !== "" && origin !== this.#origin) return;
    const isAnswer = data.chatward === "init" || data.chatward === "refused";
    if (!isAnswer) {
      if (this.#origin !== "") this.#onMessage(data.chatward, data);
      return;
    }
    if (this.#waiting === null) return;
    const { resolve, reject, late } = this.#waiting;
    this.#waiting = null;
    clearTimeout(late);
    this.#origin = origin;
    for (const message of this.#unsent.splice(0)) this.post(message.chatward, message);
    if (data.chatward === "refused") return reject(refusal(data));
    this.#keepsItself = data.storage === false;
    return resolve({ ...data, origin, resume: data.resume ?? (this.#keepsItself ? kept(this.#site) : null) });
  }
}

/** The page of its own, opened by its address. */
class Alone {
  isFramed = false;
  #site;

  constructor(site) {
    this.#site = site;
  }

  async ticket() {
    const { ticket } = await createTicket(this.#site);
    return { ticket, origin: window.location.origin, resume: kept(this.#site), presentation: {}, open: true };
  }

  confirm(origin) {
    return origin === window.location.origin;
  }

  post() {}

  keepResume(resume) {
    keep(this.#site, resume);
  }
}

function refusal({ code, retry_after: seconds }) {
  return new ApiError(REFUSALS[code] ?? 403, String(code), { retryAfterSeconds: Number.isFinite(seconds) ? Math.min(Math.max(seconds, 0), 86_400) : 0 });
}

// Storage may be partitioned, full or forbidden: then the conversation ends with the page.
function kept(site) {
  try {
    return window.sessionStorage.getItem(`chatward:${site}`);
  } catch {
    return null;
  }
}

function keep(site, resume) {
  try {
    if (resume === null) window.sessionStorage.removeItem(`chatward:${site}`);
    else window.sessionStorage.setItem(`chatward:${site}`, resume);
  } catch {
    // Memory alone, then.
  }
}
