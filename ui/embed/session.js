// The visitor's token and the site's look: in memory, and in this tab's sessionStorage so that
// a reload goes on where it was.
// Owns: when a session starts, and the one silent renewal after a 401.
// Never: gives the token to the embedding page, keeps it beyond the tab, or fails because
// storage does (it may be partitioned, full or forbidden).

import { ApiError, startSession } from "./api.js";

export class Session {
  #site;
  #token = "";
  #look = {};
  #starting = null;

  constructor(site) {
    this.#site = site;
    const kept = readKept(this.#key);
    if (kept !== null) {
      this.#token = kept.token;
      this.#look = kept.look;
    }
  }

  /** Title, greeting and starters as the server sent them; unchecked. */
  get look() {
    return this.#look;
  }

  /** Whether a token is at hand; at page load that means that there may be a history. */
  get hasToken() {
    return this.#token !== "";
  }

  /** Starts a session unless there is one; calls at the same time share one request. */
  async start() {
    if (this.#token !== "") return;
    this.#starting ??= startSession(this.#site).finally(() => {
      this.#starting = null;
    });
    const started = await this.#starting;
    this.#token = started.token;
    this.#look = started.look !== null && typeof started.look === "object" ? started.look : {};
    keep(this.#key, { token: this.#token, look: this.#look });
  }

  /**
   * Runs a call with the token. A 401 gets a new session and one more try.
   * @param {(token: string) => Promise<T>} use
   * @param {() => void} [onRenewed] told when the old conversation is gone
   * @template T
   */
  async run(use, onRenewed = () => {}) {
    await this.start();
    const token = this.#token;
    try {
      return await use(token);
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 401) throw error;
      if (this.#token === token) this.forget();
      await this.start();
      onRenewed();
      return use(this.#token);
    }
  }

  /** Drops the token here; the server's part is the caller's. */
  forget() {
    this.#token = "";
    try {
      window.sessionStorage.removeItem(this.#key);
    } catch {
      // Nothing was kept, then.
    }
  }

  get #key() {
    return `chatward:${this.#site}`;
  }
}

function readKept(key) {
  try {
    const kept = JSON.parse(window.sessionStorage.getItem(key) ?? "null");
    const sound = typeof kept?.token === "string" && kept.token !== "" && typeof kept.look === "object" && kept.look !== null;
    return sound ? kept : null;
  } catch {
    return null;
  }
}

function keep(key, value) {
  try {
    window.sessionStorage.setItem(key, JSON.stringify(value));
  } catch {
    // Memory alone, then: a reload starts anew.
  }
}
