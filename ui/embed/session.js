// The visitor's token: got for a ticket, held in memory, and gone with the page.
// Owns: when a session starts, the visitor's agreement where one is asked for, and the one silent renewal after a 401.
// Never: gives the token to the page or to any storage; believes a session that is for another page than this one;
// goes on with a conversation for somebody else than it was begun for.

import { ApiError, readSession, startSession } from "./api.js";

// A ticket lives for thirty seconds; one that may not live long enough is not tried.
const TICKET_MILLISECONDS = 25_000;
const MOST_TRADES = 3;

export class Session {
  #binding;
  #token = "";
  #resume = null;
  #init = null;
  #initAt = 0;
  #starting = null;
  // What the page said since the loader's last word, and what the session was begun with.
  #given;
  #proven;
  #refused;
  #isNew = false;
  #gotAt = 0;
  #endsAt = 0;
  look = {};
  /** The server's name of the conversation; "" when there is none. */
  id = "";
  isResumed = false;
  hasAgreed = false;
  onStarted = () => {};
  onIdentityRefused = () => {};
  /** Resolves when the visitor has agreed. */
  onAgreementWanted = async () => {};

  constructor(binding) {
    this.#binding = binding;
  }

  get hasToken() {
    return this.#token !== "";
  }

  /** Whether the server may hold a conversation that this page can reach. */
  get isKnown() {
    return this.hasToken || this.#resume !== null;
  }

  get isIdentified() {
    return this.#proven !== undefined;
  }

  /** What a later page needs to go on with this conversation, together with a ticket. */
  get resume() {
    return this.#resume;
  }

  get identity() {
    return this.#given;
  }

  /** @param {string | null | undefined} token signed by the owner's server; null: nobody; undefined: what the loader says */
  set identity(token) {
    this.#given = token;
    this.#refused = undefined;
    if (this.hasToken) this.#proven = token ?? undefined;
  }

  /** The loader's first word; its ticket is kept for `start`. */
  async meet() {
    this.#init = await this.#binding.ticket();
    this.#initAt = performance.now();
    return this.#init;
  }

  /** Starts a session unless there is one; calls at the same time share one request. */
  async start() {
    if (this.hasToken) return;
    this.#starting ??= this.#begin().finally(() => {
      this.#starting = null;
    });
    await this.#starting;
  }

  /**
   * Runs a call with the token. A 401 gets a new session and one more try.
   * @param {(token: string) => Promise<T>} use
   * @param {() => void} [onRenewed] told when the old conversation is gone; what it throws ends the call
   * @template T
   */
  async run(use, onRenewed = () => {}) {
    const { id } = this;
    const started = async () => {
      await this.start();
      if (id !== "" && id !== this.id) onRenewed();
    };
    await started();
    const token = this.#token;
    try {
      return await use(token);
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 401) throw error;
      if (this.#token === token) this.#token = "";
      await started();
      return use(this.#token);
    }
  }

  /** A tab in steady use keeps its session: past half of its life the token is exchanged for a fresher one. */
  async freshen(onRenewed) {
    if (!this.hasToken || Date.now() - this.#gotAt < (this.#endsAt - this.#gotAt) / 2) return;
    this.renew(await this.run(readSession, onRenewed));
  }

  /** Takes over what the session's own answer brought: a fresher token, a later end. */
  renew({ token, expires_at: end, look, resume }) {
    if (typeof token === "string" && token !== "") this.#token = token;
    if (typeof resume === "string" && resume !== "") this.#resume = resume;
    this.#gotAt = Date.now();
    this.#endsAt = Number.isFinite(end) ? end * 1000 : Infinity;
    if (look !== null && typeof look === "object") this.look = look;
  }

  /**
   * Drops all of it here; the server's part is the caller's. The next start is a new conversation.
   * @param {boolean} [isByPage] its loader knows already
   */
  forget(isByPage = false) {
    this.leave();
    this.#init = null;
    this.#given = undefined;
    this.#binding.keepResume(null, isByPage);
  }

  /** The conversation may be somebody else's: it is not gone on with. */
  leave() {
    this.#token = this.id = "";
    this.#resume = null;
    this.#proven = undefined;
    this.#isNew = true;
  }

  async #begin() {
    const isFresh = this.#init !== null && performance.now() - this.#initAt < TICKET_MILLISECONDS;
    if (!isFresh) await this.meet();
    let answer = await this.#trade();
    if (answer.needs_consent === true) {
      this.#confirm(answer);
      await this.onAgreementWanted();
      await this.meet();
      answer = await this.#trade();
    }
    if (typeof answer.token !== "string" || answer.token === "") throw new ApiError(200, "malformed");
    this.#resume = null;
    this.#confirm(answer);
    this.id = String(answer.session);
    this.isResumed = answer.resumed === true;
    this.#isNew = false;
    this.onStarted();
  }

  #confirm(answer) {
    if (!this.#binding.confirm(answer.origin)) throw new ApiError(403, "origin_mismatch");
    this.look = {};
    this.renew(answer);
  }

  // A ticket is spent whatever follows. Neither a late one nor a refused identity keeps the visitor from asking: with
  // the identity that is refused goes the conversation that it may not be for, then the identity itself.
  async #trade() {
    for (let left = MOST_TRADES - 1; ; left -= 1) {
      const offer = this.#offer();
      try {
        const answer = await startSession(offer);
        this.#proven = offer.identity;
        return answer;
      } catch (error) {
        const isRefused = error instanceof ApiError && error.code === "identity_invalid";
        if (left === 0 || (!isRefused && error.code !== "ticket_invalid")) throw error;
        if (isRefused) {
          if (offer.resume === undefined) this.#refused = offer.identity;
          this.leave();
          this.onIdentityRefused();
        }
        await this.meet();
      }
    }
  }

  #offer() {
    const { ticket, resume, identity } = this.#init;
    this.#init = null;
    const offer = { ticket };
    const earlier = this.#isNew ? null : (this.#resume ?? resume);
    if (isText(earlier)) offer.resume = earlier;
    const proof = this.#given === undefined ? identity : this.#given;
    if (isText(proof) && proof !== this.#refused) offer.identity = proof;
    if (this.hasAgreed) offer.agreed = true;
    return offer;
  }
}

const isText = (value) => typeof value === "string" && value !== "";
