// The field a question is typed in: its counter, its height, send and stop.
// Owns: what counts as a sendable question, in the server's units (Unicode scalar values).
// Never: sends anything itself (it is given `onSend` and `onStop`), or cuts what was typed.

import { byId } from "./elements.js";
import { say, sayNumber } from "./language.js";
import { clean, countCharacters } from "./text.js";

// A text this long would hold up the browser's layout for seconds; it does not get into the field.
const LONGEST_INSERTION = 20_000;
// A count that nobody needs is noise; it appears when the end comes near.
const NEAR_LIMIT = 0.8;

export class Composer {
  #field = byId("question");
  #counter = byId("counter");
  #send = byId("send");
  #stop = byId("stop");
  #limit;
  #isBusy = false;

  /** @param {{limit: number, onSend: (question: string) => void, onStop: () => void, announce: (text: string) => void}} options limit in Unicode scalar values */
  constructor({ limit, onSend, onStop, announce }) {
    this.#limit = limit;
    const send = () => {
      if (this.#isBusy || !this.#isSendable()) {
        if (this.#counter.classList.contains("over")) announce(this.#counter.textContent);
        return;
      }
      const question = clean(this.#field.value).trim();
      this.set("");
      onSend(question);
    };
    this.#field.addEventListener("input", () => this.#update());
    this.#field.addEventListener("beforeinput", (event) => {
      const inserted = event.data ?? event.dataTransfer?.getData("text/plain") ?? "";
      if (inserted.length <= LONGEST_INSERTION) return;
      event.preventDefault();
      this.#show(inserted.length + this.#field.value.length);
      announce(this.#counter.textContent);
    });
    this.#field.addEventListener("keydown", (event) => {
      // Enter that ends the input of a Chinese, Japanese or Korean word is not "send".
      if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return;
      event.preventDefault();
      send();
    });
    this.#send.addEventListener("click", () => {
      send();
      this.focus();
    });
    this.#stop.addEventListener("click", () => {
      onStop();
      this.focus();
    });
    this.#update();
  }

  /** The counter's words in the language of now. */
  resay() {
    this.#update();
  }

  get isEmpty() {
    return this.#field.value.trim() === "";
  }

  focus() {
    this.#field.focus({ preventScroll: true });
  }

  set(text) {
    this.#field.value = text;
    this.#update();
  }

  set limit(limit) {
    this.#limit = limit;
    this.#update();
  }

  /** While an answer comes in, the next question can be typed but not sent. */
  set isBusy(isBusy) {
    const hadFocus = document.activeElement === this.#stop;
    this.#isBusy = isBusy;
    this.#stop.hidden = !isBusy;
    this.#send.hidden = isBusy;
    if (hadFocus && !isBusy) this.focus();
    this.#update();
  }

  #isSendable() {
    const text = clean(this.#field.value).trim();
    return text !== "" && countCharacters(text) <= this.#limit;
  }

  #update() {
    this.#show(countCharacters(clean(this.#field.value).trim()));
    // Browsers without `field-sizing` get the height by hand.
    if (!CSS.supports("field-sizing", "content")) {
      this.#field.style.height = "auto";
      this.#field.style.height = `${Math.min(this.#field.scrollHeight, 160)}px`;
    }
  }

  #show(used) {
    const over = used - this.#limit;
    this.#counter.textContent = over > 0 ? say("tooLong", { n: over }) : used < this.#limit * NEAR_LIMIT ? "" : `${sayNumber(used)} / ${sayNumber(this.#limit)}`;
    this.#counter.classList.toggle("over", over > 0);
    this.#field.setAttribute("aria-invalid", String(over > 0));
    this.#send.setAttribute("aria-disabled", String(this.#isBusy || used === 0 || over > 0));
  }
}
