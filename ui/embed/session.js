// The visitor's token: got for a ticket, held in memory, and gone with the page.
// Owns: when a session starts, and the one silent renewal after a 401.
// Never: gives the token to the page or to any storage; believes a session that is for another page than this one.

import { ApiError, startSession } from "./api.js";

// A ticket lives for thirty seconds; one that may not live long enough is not tried.
const TICKET_MILLISECONDS = 25_000;

export class Session {
  #binding;
  #token = "";
  #resume = null;
  #init = null;
  #initAt = 0;
  #starting = null;
  #identity = null;
  #isNew = false;
  look = {};
  isResumed = false;
  onStarted = () => {};
  onIdentityRefused = () => {};
  /** Milliseconds since 1970, or 0 when it is not known. */
  endsAt = 0;

  constructor(binding) {
    this.#binding = binding;
  }

  get hasToken() {
    return this.#token !== "";
  }

  /** What a later page needs to go on with this conversation, together with a ticket. */
  get resume() {
    return this.#resume;
  }

  /** @param {string} token a signed identity from the owner's server, for the next start */
  set identity(token) {
    this.#identity = token;
  }

  /** The loader's first word; its ticket is kept for `start`. */
  async meet() {
    this.#init = await this.#binding.ticket();
    this.#initAt = performance.now();
    return this.#init;
  }

  /** Starts a session unless there is one; calls at the same time share one request. */
  async start() {
    if (this.#token !== "") return;
    this.#starting ??= this.#begin().finally(() => {
      this.#starting = null;
    });
    await this.#starting;
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
      if (this.#token === token) this.#token = "";
      await this.start();
      if (!this.isResumed) onRenewed();
      return use(this.#token);
    }
  }

  /** Takes over what the session's own answer brought: a fresher token, a later end. */
  renew({ token, expires_at: end, look, resume }) {
    if (typeof token === "string" && token !== "") this.#token = token;
    if (typeof resume === "string" && resume !== "") this.#resume = resume;
    if (Number.isFinite(end)) this.endsAt = end * 1000;
    if (look !== null && typeof look === "object") this.look = look;
  }

  /** Drops all of it here; the server's part is the caller's. The next start is a new conversation. */
  forget() {
    this.#token = "";
    this.#resume = null;
    this.#init = null;
    this.#isNew = true;
    this.#binding.keepResume(null);
  }

  async #begin() {
    const isFresh = this.#init !== null && performance.now() - this.#initAt < TICKET_MILLISECONDS;
    if (!isFresh) await this.meet();
    let answer;
    try {
      answer = await this.#trade();
    } catch (error) {
      // The ticket is spent either way; an identity that is refused does not keep the visitor from asking.
      const code = error instanceof ApiError ? error.code : "";
      if (code !== "ticket_invalid" && code !== "identity_invalid") throw error;
      const init = await this.meet();
      if (code === "identity_invalid") {
        this.#identity = null;
        init.identity = undefined;
        this.onIdentityRefused();
      }
      answer = await this.#trade();
    }
    if (!this.#binding.confirm(answer.origin)) throw new ApiError(403, "origin_mismatch");
    this.look = {};
    this.#resume = null;
    this.renew(answer);
    this.isResumed = answer.resumed === true;
    this.#isNew = false;
    this.onStarted();
  }

  #trade() {
    const { ticket, resume, identity } = this.#init;
    // Spent, whatever follows.
    this.#init = null;
    const wanted = { ticket };
    const earlier = this.#isNew ? null : (this.#resume ?? resume);
    if (typeof earlier === "string" && earlier !== "") wanted.resume = earlier;
    const proven = this.#identity ?? identity;
    if (typeof proven === "string" && proven !== "") wanted.identity = proven;
    return startSession(wanted);
  }
}
