// Whether the visitor is being asked for an agreement.
// Owns: that the part of the page that asks (consent.js) is there before anything else is said of it.
// Never: agrees for the visitor.

import { load } from "./later.js";

export class Agreement {
  isAsked = false;

  /** Resolves when the visitor agrees. @param {object} look settled @param {() => void} onShown */
  async ask(look, onShown) {
    this.isAsked = true;
    try {
      const agreed = (await load("consent")).askConsent(look);
      onShown();
      await agreed;
    } finally {
      this.isAsked = false;
    }
  }
}
