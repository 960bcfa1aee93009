// How many answers came while the chat was closed.
// Owns: the number, and where it is told: in the page's title and to the loader, once for each change, in words for who
// cannot see it. The frame of a closed chat is heard by nobody.
// Never: tells the loader what the answers say.

import { say } from "./language.js";

export class Unread {
  #binding;
  #told = 0;
  count = 0;

  constructor(binding) {
    this.#binding = binding;
  }

  /** @param {string} title of the chat */
  tell(title) {
    document.title = this.count > 0 ? `(${this.count}) ${title}` : title;
    if (this.count !== this.#told) this.#binding.post("unread", { count: this.count, words: this.count > 0 ? say("unread", { n: this.count }) : "" });
    this.#told = this.count;
  }
}
