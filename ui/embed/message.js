// One message of the conversation as elements: the question's bubble, or an answer with its
// sources and its rating.
// Owns: the elements of a message and how they change while an answer streams.
// Never: calls the server (it is given `onRate`), parses markup, or decides what is live.

import { create, button, said } from "./elements.js";
import { GrowingMarkdown } from "./growing.js";
import { allowedAddresses } from "./links.js";
import { ratingElement } from "./rating.js";
import { renderAnswer } from "./render.js";
import { soundCitations, sourcesElement } from "./sources.js";
import { clean } from "./text.js";

/** The visitor's question. Text only: nothing in it is markup. */
export function questionElement(text) {
  const item = create("li", "message question");
  const bubble = create("p", "bubble", clean(text));
  bubble.dir = "auto";
  item.append(said("h2", "hidden-text", "you"), bubble);
  return item;
}

/** An answer, streamed or from the history. */
export class AnswerView {
  #growing = new GrowingMarkdown();
  #citations = [];
  #body = create("div", "body");
  #after = create("div", "after");
  #working = said("p", "working", "working");
  #origins;
  #language;
  #shown = 0;
  #isScheduled = false;
  #isPending = false;
  #partial = true;

  /**
   * @param {Set<string>} origins whose addresses may be live in the text
   * @param {string} language of the site's pages, "" if unknown; an answer is in the visitor's
   */
  constructor(origins, language) {
    this.#origins = origins;
    this.element = create("li", "message answer");
    this.element.setAttribute("aria-busy", "true");
    this.#language = language;
    this.element.append(said("h2", "hidden-text", "answer"), this.#working, this.#body, this.#after);
  }

  /** What has been said so far, as text for a screen reader. */
  get spokenText() {
    return this.#body.textContent.replace(/\s+/g, " ").trim();
  }

  get isEmpty() {
    return this.#growing.text === "";
  }

  get citationCount() {
    return this.#citations.length;
  }

  append(piece) {
    this.#growing.append(piece);
    this.#schedule();
  }

  setCitations(citations) {
    this.#citations = soundCitations(citations);
    this.repaint();
  }

  /**
   * The whole answer. What the server says at the end counts, not the sum of the pieces.
   * @param {{text?: string, citations?: object[], note?: string, contact?: Element | null, onRetry?: () => void, isComplete: boolean}} end
   *   note: a key of the strings; contact: for an answer without sources
   */
  finish({ text, citations, note, contact, onRetry, isComplete }) {
    if (typeof text === "string") this.#growing.replace(text);
    if (Array.isArray(citations)) this.#citations = soundCitations(citations);
    this.#partial = false;
    this.repaint();
    this.#working.remove();
    this.element.removeAttribute("aria-busy");
    if (note) this.#after.append(said("p", "note", `${note}`));
    if (onRetry) {
      const again = button("button again", "retry", () => {
        again.remove();
        onRetry();
      });
      this.#after.append(again);
    }
    if (this.#citations.length > 0) this.#after.append(sourcesElement(this.#citations, this.#language));
    else if (isComplete) {
      this.#after.append(said("p", "note", "noSources"));
      if (contact) this.#after.append(contact);
    }
    this.#reportGrowth();
  }

  /** @param {(rating: "up" | "down", reason?: string) => Promise<void>} onRate */
  offerRating(onRate) {
    this.#after.append(ratingElement(onRate));
    this.#reportGrowth();
  }

  /** Takes the rating away, when the conversation it belongs to is gone. */
  withdrawRating() {
    this.#after.querySelector(".rating")?.remove();
  }

  /** All of it anew, for another language or new citations; elements that stay the same stay. */
  repaint() {
    this.#shown = 0;
    this.#paint();
    const sources = this.#after.querySelector(".sources");
    if (sources !== null) sources.replaceWith(sourcesElement(this.#citations, this.#language));
  }

  // The first piece is painted at once, and those of the same frame together at the next one.
  #schedule() {
    if (this.#isScheduled) {
      this.#isPending = true;
      return;
    }
    this.#isScheduled = true;
    this.#paint();
    const next = () => {
      this.#isScheduled = false;
      if (!this.#isPending || !this.#partial) return;
      this.#isPending = false;
      this.#schedule();
    };
    // A hidden page has no frames.
    if (document.hidden) setTimeout(next, 50);
    else requestAnimationFrame(next);
  }

  #paint() {
    const { blocks, settled } = this.#growing.blocks({ partial: this.#partial });
    if (blocks.length > 0) this.#working.remove();
    const allowed = allowedAddresses(this.#origins, this.#citations);
    renderAnswer(this.#body, blocks, { allowed, citations: this.#citations, partial: this.#partial }, this.#shown);
    this.#shown = settled;
    this.#reportGrowth();
  }

  #reportGrowth() {
    this.element.dispatchEvent(new CustomEvent("grown", { bubbles: true }));
  }
}
