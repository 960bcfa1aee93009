// What the visitor has here: whether a copy or an erasure reached all that is shown.
// Owns: which sessions the messages on the page belong to, and what is said when one of them is gone.
// Never: opens a session only to empty it, or calls "everything" or "erased" what this page could not reach.

import { ApiError, deleteSession, exportSession } from "./api.js";
import { load } from "./later.js";

export class OwnData {
  #session;
  #dialog = null;
  #shown = new Set();

  constructor(session) {
    this.#session = session;
  }

  /** A message on the page is of the session as it is now. */
  note() {
    if (this.#session.id !== "") this.#shown.add(this.#session.id);
  }

  clear() {
    this.#shown.clear();
  }

  /** @param {() => Promise<object>} onErase @param {(wasErased: boolean) => void} onClosed */
  async open(look, onErase, onClosed) {
    const { Privacy } = await load("privacy");
    this.#dialog ??= new Privacy({ onExport: () => this.#copy(), onErase, onClosed });
    this.#dialog.open({ ...look, isEmpty: !this.#session.isKnown });
  }

  async #copy() {
    const text = await this.#session.run(exportSession, ended);
    return { text, isWhole: this.#isWhole };
  }

  /** @returns {Promise<{receipt: object | null, isWhole: boolean}>} without a receipt when there was nothing to erase */
  async erase() {
    try {
      const receipt = this.#session.isKnown ? ((await this.#session.run(deleteSession, ended)).receipt ?? null) : null;
      return { receipt, isWhole: this.#isWhole };
    } catch (error) {
      if (error?.code !== "session_ended") throw error;
      return { receipt: null, isWhole: false };
    }
  }

  get #isWhole() {
    return [...this.#shown].every((id) => id === this.#session.id);
  }
}

function ended() {
  throw new ApiError(401, "session_ended");
}
