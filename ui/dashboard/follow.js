// The live view: the socket of events, for as long as it is wanted.
// Owns: one connection at a time, its filter, its liveness, the growing waits between attempts, and when to give up.
// Never: keeps an event; what was missed while there was no connection is asked for by whoever follows.

import { frame } from "./filter.js";
import { whoIsIn } from "./server.js";
import { words } from "./words.js";

const PATH = "/api/v1/events/stream";
const FIRST_WAIT_SECONDS = 1;
const LONGEST_WAIT_SECONDS = 60;
/** A connection that held so long begins its waits anew. */
const STEADY_MILLISECONDS = 10_000;
/** How often the server is asked whether it is there, and how long it may take to answer. */
const PING_MILLISECONDS = 30_000;
const PONG_MILLISECONDS = 15_000;
/** The token ended: another connection is opened at once. */
const EXPIRED = 4001;
/** Whoever may not, or not any more: as a close, and as an answer. */
const REFUSED = 1008;
const REFUSED_STATUS = 403;

/**
 * @param {{onEvent: Function, onReady: Function, onState: Function, onEnd: Function, onOut: Function}} listener `onReady` when
 * nothing is missed from now on; `onEnd` when it is given up, with the reason; `onOut` when nobody is logged in any more
 */
export class Follower {
  #listener;
  #filter;
  #socket = null;
  #timer = null;
  #pulse = null;
  #wait = FIRST_WAIT_SECONDS;
  #narrowing = 0;
  #isReady = false;
  #stopped = false;

  constructor(filter, listener) {
    this.#filter = filter;
    this.#listener = listener;
    window.addEventListener("online", this.#now);
    this.#attempt();
  }

  /** Follows something else from now on. */
  narrow(filter) {
    this.#filter = filter;
    if (this.#socket?.readyState === WebSocket.OPEN) this.#sendFilter();
  }

  stop() {
    this.#stopped = true;
    window.removeEventListener("online", this.#now);
    clearTimeout(this.#timer);
    clearTimeout(this.#pulse);
    this.#socket?.close(1000);
    this.#socket = null;
  }

  #now = () => {
    if (this.#socket === null && this.#timer !== null) this.#attempt();
  };

  async #attempt() {
    clearTimeout(this.#timer);
    this.#timer = null;
    this.#listener.onState(words.connecting);
    let person;
    try {
      // Also continues the login where that is due: a browser says nothing of why an upgrade was refused.
      person = await whoIsIn();
    } catch (refusal) {
      if (refusal.status === REFUSED_STATUS && !this.#stopped) this.#giveUp(refusal.message);
      else this.#later();
      return;
    }
    if (this.#stopped || this.#socket !== null) return;
    if (person === null) this.#listener.onOut();
    else this.#open();
  }

  #open() {
    const socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}${PATH}`);
    const began = Date.now();
    this.#socket = socket;
    this.#isReady = false;
    this.#narrowing = 0;
    socket.addEventListener("message", ({ data }) => {
      if (socket === this.#socket) this.#hear(JSON.parse(data));
    });
    socket.addEventListener("close", ({ code, reason }) => {
      if (socket !== this.#socket) return;
      this.#socket = null;
      clearTimeout(this.#pulse);
      if (Date.now() - began > STEADY_MILLISECONDS) this.#wait = FIRST_WAIT_SECONDS;
      if (code === EXPIRED) this.#attempt();
      // Before it was ready there was no cookie, as when its time ran out on the way; another attempt has the next one.
      else if (code === REFUSED && this.#isReady) this.#end(reason);
      else this.#later();
    });
  }

  #hear(said) {
    this.#beat();
    if (said.type === "ready") {
      this.#isReady = true;
      this.#sendFilter();
    } else if (said.type === "filtered") {
      this.#narrowing -= 1;
      if (this.#narrowing > 0) return;
      this.#listener.onState(words.connected);
      this.#listener.onReady();
    } else if (said.type === "event" && this.#narrowing === 0) this.#listener.onEvent(said.event);
    else if (said.type === "error") {
      const socket = this.#socket;
      this.#socket = null;
      socket.close(1000);
      this.#end(said.error?.message);
    }
  }

  #sendFilter() {
    this.#narrowing += 1;
    this.#socket.send(frame(this.#filter));
  }

  /** A connection can be gone without a word: the next word is waited for, asked for, and waited for once more. */
  #beat() {
    clearTimeout(this.#pulse);
    this.#pulse = setTimeout(() => {
      this.#socket?.send('{"type":"ping"}');
      this.#pulse = setTimeout(() => this.#lose(), PONG_MILLISECONDS);
    }, PING_MILLISECONDS);
  }

  #lose() {
    const socket = this.#socket;
    this.#socket = null;
    socket?.close();
    this.#later();
  }

  #later() {
    if (this.#stopped) return;
    // Not all at the same moment, after a server has come back.
    const seconds = Math.ceil(this.#wait * (0.75 + Math.random() / 2));
    this.#wait = Math.min(this.#wait * 2, LONGEST_WAIT_SECONDS);
    this.#listener.onState(words.disconnected(seconds), true);
    this.#timer = setTimeout(() => this.#attempt(), seconds * 1000);
  }

  async #end(reason) {
    const person = await whoIsIn().catch(() => undefined);
    if (this.#stopped) return;
    if (person === null) this.#listener.onOut();
    else this.#giveUp(reason);
  }

  #giveUp(reason) {
    this.stop();
    this.#listener.onEnd(words.ended((reason || words.endedUnknown).replace(/\.$/, "")));
  }
}
