// Following as the reader meets it: the switch, what it says, and what is held back while the reader is further down.
// Owns: when new rows may appear, how their coming is told, and the fetching of what was missed.
// Never: draws a row.

import { button, make, statusLine } from "./elements.js";
import { bounds, isInTime, query } from "./filter.js";
import { Follower } from "./follow.js";
import { call } from "./server.js";
import { words } from "./words.js";

/** The server writes its log a moment after an event happened, so what was missed is read after that moment. */
const WRITTEN_MILLISECONDS = 500;
/** What another clock or another order of writing may hide is read once more; what is there already is not shown twice. */
const OVERLAP_SECONDS = 2;
const PAGE = 200;
const PAGES = 3;
const TELL_MILLISECONDS = 3000;

export class Live {
  #room;
  #follower = null;
  #untold = 0;
  #teller = null;
  #turn = 0;
  #state = statusLine({ class: "live-state" });
  #told = statusLine({ class: "unseen" });
  #switch = button(words.follow, () => this.#room.setFollow(!this.isOn), { class: "switch", role: "switch", "aria-checked": "false", title: words.followAdvice });
  #fresh = button("", () => this.#toTop(), { class: "fresh", hidden: true });
  box = make("div", { class: "live" }, this.#switch, this.#state, this.#told);
  bar = make("div", { class: "fresh-bar" }, this.#fresh);

  /** @param {{filter: object, list: object, body: Element, setFollow: Function, take: Function, show: Function, waiting: Function, out: Function}} room */
  constructor(room) {
    this.#room = room;
    window.addEventListener("scroll", this.#onScroll, { passive: true });
  }

  get isOn() {
    return this.#switch.getAttribute("aria-checked") === "true";
  }

  /** Whether new rows wait: whoever reads further down must not have the page move under them. */
  get isPaused() {
    return this.#room.body.getBoundingClientRect().top < 0;
  }

  /** Follows the room's filter, or stops. */
  follow(wanted) {
    this.#turn += 1;
    this.#switch.setAttribute("aria-checked", String(wanted));
    const { until = Infinity } = bounds(this.#room.filter);
    const bounded = wanted && until * 1000 <= Date.now();
    if (!wanted || bounded) {
      this.#follower?.stop();
      this.#follower = null;
      this.#say(bounded ? words.bounded : "");
    } else if (this.#follower) {
      this.#follower.narrow(this.#room.filter);
    } else {
      this.#follower = new Follower(this.#room.filter, {
        onEvent: (event) => this.#hear(event),
        onReady: () => this.#catchUp(),
        onState: (text, lost) => this.#say(text, lost),
        onEnd: (text) => this.#end(text),
        onOut: () => this.#room.out(words.loginEnded),
      });
    }
  }

  /** Ends for good. */
  stop() {
    this.follow(false);
    clearTimeout(this.#teller);
    window.removeEventListener("scroll", this.#onScroll);
  }

  /** Says how many rows wait. */
  update() {
    const waiting = this.#room.waiting();
    this.#fresh.hidden = waiting === 0;
    this.#fresh.textContent = words.fresh(waiting);
  }

  #onScroll = () => {
    if (!this.#fresh.hidden && !this.isPaused) this.#room.show();
  };

  #toTop() {
    this.#room.show();
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.#room.top.scrollIntoView({ behavior: still ? "auto" : "smooth", block: "start" });
    this.#switch.focus({ preventScroll: true });
  }

  #hear(event) {
    if (isInTime(this.#room.filter, event)) this.#arrived([event]);
  }

  #arrived(events) {
    const added = this.#room.take(events);
    if (added === 0) return;
    if (!this.isPaused) this.#room.show();
    this.update();
    this.#untold += added;
    // Gathered: a burst is told once.
    this.#teller ??= setTimeout(() => {
      this.#told.textContent = words.announced(this.#untold);
      this.#untold = 0;
      this.#teller = null;
    }, TELL_MILLISECONDS);
  }

  async #catchUp() {
    const turn = this.#turn;
    await new Promise((done) => setTimeout(done, WRITTEN_MILLISECONDS));
    const { filter, list } = this.#room;
    const newest = Date.parse(list.newest);
    const { since = -Infinity, until = Infinity } = bounds(filter);
    const from = Math.max(since, Number.isNaN(newest) ? -Infinity : Math.floor(newest / 1000) - OVERLAP_SECONDS);
    let cursor;
    try {
      for (let page = 0; page < PAGES; page += 1) {
        if (turn !== this.#turn || from >= until) return;
        const answer = await call("GET", query(filter, { since: Number.isFinite(from) ? from : undefined, limit: PAGE, cursor }));
        if (turn !== this.#turn) return;
        this.#arrived(answer.events);
        cursor = answer.next_cursor;
        // A list that was empty has no gap to be filled.
        if (!cursor || Number.isNaN(newest)) return;
      }
      this.#say(words.missed, true);
    } catch (refusal) {
      if (turn !== this.#turn) return;
      if (refusal.status === 401) this.#room.out(words.loginEnded);
      else this.#say(`${words.missed} ${refusal.message}`, true);
    }
  }

  #end(text) {
    this.#follower = null;
    this.#switch.setAttribute("aria-checked", "false");
    this.#say(text, true);
  }

  #say(text, lost = false) {
    this.#state.textContent = text;
    this.#state.classList.toggle("lost", lost);
  }
}
