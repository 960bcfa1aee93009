// The list of messages: what is in it, how far back it reaches, and where it is scrolled to.
// Owns: older messages in slices (the newest are there at once, the rest when they are wanted), following an answer
// that grows, the way back to the latest.
// Never: calls the server, or moves words away from under a reader's eyes.

import { byId } from "./elements.js";

const SLICE = 30;
const NEAR_END_PIXELS = 80;
const ABOVE_QUESTION_PIXELS = 12;
const EARLIER_MARGIN = "600px 0px 0px 0px";

export class Conversation {
  #log = byId("log");
  #list = byId("messages");
  #latest = byId("latest");
  #earlier = byId("earlier");
  #older = [];
  #build = null;
  #followsEnd = true;
  #sight = new IntersectionObserver((seen) => {
    if (seen.some((one) => one.isIntersecting)) this.#showOlder();
  }, { root: this.#log, rootMargin: EARLIER_MARGIN });

  constructor() {
    this.#log.addEventListener("scroll", () => {
      this.#followsEnd = this.#distanceToEnd() < NEAR_END_PIXELS;
      this.#latest.hidden = this.#followsEnd;
    }, { passive: true });
    this.#log.addEventListener("grown", () => this.#follow());
    this.#latest.addEventListener("click", () => {
      this.scrollToEnd();
      this.#log.focus({ preventScroll: true });
    });
    this.#earlier.addEventListener("click", () => {
      const next = this.#list.firstElementChild;
      this.#showOlder();
      // A button that goes away takes no focus with it.
      if (this.#earlier.hidden) next?.previousElementSibling?.scrollIntoView({ block: "nearest" });
      if (this.#earlier.hidden) this.#log.focus({ preventScroll: true });
    });
    this.#sight.observe(this.#earlier);
  }

  get isEmpty() {
    return this.#list.childElementCount === 0;
  }

  /** @param {object[]} history oldest first @param {(message: object) => Element | null} build */
  showHistory(history, build) {
    this.#older = [...history];
    this.#build = build;
    this.#showOlder();
    this.scrollToEnd();
  }

  append(element) {
    this.#list.append(element);
  }

  /** @param {number} [keep] how many of the last elements stay */
  clear(keep = 0) {
    this.#older = [];
    this.#earlier.hidden = true;
    this.#list.replaceChildren(...[...this.#list.children].slice(this.#list.childElementCount - keep));
    this.#latest.hidden = true;
    this.#followsEnd = true;
  }

  scrollToEnd() {
    this.#followsEnd = true;
    this.#latest.hidden = true;
    this.#log.scrollTop = this.#log.scrollHeight;
  }

  #showOlder() {
    if (this.#older.length === 0) {
      this.#earlier.hidden = true;
      return;
    }
    const elements = this.#older.splice(-SLICE).map((message) => this.#build(message)).filter((element) => element !== null);
    const first = this.#list.firstElementChild;
    const before = first?.getBoundingClientRect().top;
    this.#list.prepend(...elements);
    this.#earlier.hidden = this.#older.length === 0;
    // What was in sight stays where it was. Browsers do this by themselves, but not all, and none of them always.
    if (first !== null) this.#log.scrollTop += first.getBoundingClientRect().top - before;
    // Observed anew, since it is told only of changes, and the button may be in sight still.
    this.#sight.unobserve(this.#earlier);
    this.#sight.observe(this.#earlier);
  }

  // An answer that grows is followed until its question reaches the top: from there it is read
  // downwards, and moving it on would take the words away from under the reader's eyes.
  #follow() {
    if (!this.#followsEnd) return;
    const end = this.#log.scrollHeight - this.#log.clientHeight;
    const question = this.#list.querySelector(".question:nth-last-child(2)");
    const top = question === null ? end : question.offsetTop - ABOVE_QUESTION_PIXELS;
    this.#log.scrollTop = this.#log.scrollTop > top ? end : Math.min(end, top);
  }

  #distanceToEnd() {
    return this.#log.scrollHeight - this.#log.scrollTop - this.#log.clientHeight;
  }
}
