// The answers on the page, as far as they are more than one: made, ended, rated, said anew in another language.
// Owns: the set of them; which of them can be rated, and with which session.
// Never: asks a question, or keeps a rating for a conversation that is gone.

import { sendFeedback } from "./api.js";
import { AnswerView } from "./message.js";

export class Answers {
  #session;
  #onRated;
  #views = new Set();
  /** The owner's settings, settled. */
  look = {};
  /** @type {() => Element | null} whom to ask when the site does not say */
  contact = () => null;

  /** @param {object} session @param {(rating: string) => void} onRated */
  constructor(session, onRated) {
    this.#session = session;
    this.#onRated = onRated;
  }

  create() {
    const view = new AnswerView(this.look.linkOrigins, this.look.language);
    this.#views.add(view);
    return view;
  }

  /** @param {object} message of the session's history @param {() => void} [onRetry] for one that was interrupted */
  fromHistory({ id, text, citations, state }, onRetry) {
    const view = this.create();
    const wasCut = state === "interrupted";
    this.end(view, { id, text: String(text ?? ""), citations: citations ?? [], wasCut, onRetry: wasCut ? onRetry : undefined });
    return view.element;
  }

  /** @param {{id: unknown, text: string, citations: object[], wasCut: boolean, onRetry?: () => void}} end */
  end(view, { id, text, citations, wasCut, onRetry }) {
    view.finish({ text, citations, note: wasCut ? "cutShort" : "", contact: this.contact(), onRetry, isComplete: !wasCut });
    if (wasCut || typeof id !== "string" || id === "") return;
    view.offerRating(async (rating, reason) => {
      const feedback = reason === undefined ? { message_id: id, rating } : { message_id: id, rating, reason };
      await this.#session.run((token) => sendFeedback(token, feedback), this.withdrawRatings);
      this.#onRated(rating);
    });
  }

  remove(view) {
    view.element.remove();
    this.#views.delete(view);
  }

  clear() {
    this.#views.clear();
  }

  repaint() {
    for (const view of this.#views) view.repaint();
  }

  /** A new session does not know the messages of the old one. */
  withdrawRatings = () => {
    for (const view of this.#views) view.withdrawRating();
  };
}
