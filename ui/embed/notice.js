// What went wrong, in plain words, under the conversation.
// Owns: the words for each kind of failure, the waiting time of a limit, the "try again" button.
// Never: repeats a call by itself, or shows a server's text that is not its public message.

import { ApiError } from "./api.js";
import { sayWait, strings } from "./strings.js";
import { cleanLine } from "./text.js";

const DEFAULT_WAIT_SECONDS = 60;

export class Notice {
  #element;
  #text;
  #reference;
  #retry;
  #announce;
  #timer = 0;
  #onRetry = null;

  /** @param {(text: string) => void} announce */
  constructor(announce) {
    this.#announce = announce;
    this.#element = document.getElementById("notice");
    this.#text = document.getElementById("notice-text");
    this.#reference = document.getElementById("notice-reference");
    this.#retry = document.getElementById("retry");
    this.#retry.addEventListener("click", () => {
      const again = this.#onRetry;
      if (this.#retry.getAttribute("aria-disabled") === "true" || again === null) return;
      this.clear();
      again();
    });
  }

  clear() {
    clearInterval(this.#timer);
    this.#onRetry = null;
    this.#element.hidden = true;
  }

  /**
   * @param {unknown} error
   * @param {(() => void) | null} onRetry offered as "try again"; null when that cannot help
   */
  show(error, onRetry) {
    this.clear();
    const words = wordsFor(error);
    const canRetry = onRetry !== null && words.canRetry;
    this.#onRetry = canRetry ? onRetry : null;
    this.#text.textContent = words.text;
    this.#reference.textContent = words.reference;
    this.#reference.hidden = words.reference === "";
    this.#retry.hidden = !canRetry;
    this.#retry.removeAttribute("aria-disabled");
    this.#element.hidden = false;
    this.#element.classList.toggle("limited", words.waitSeconds > 0);
    this.#announce(words.text);
    if (words.waitSeconds > 0) this.#countDown(words.waitSeconds);
  }

  // The seen text counts down; it is said aloud only at the beginning and the end.
  #countDown(seconds) {
    const until = performance.now() + seconds * 1000;
    this.#retry.setAttribute("aria-disabled", "true");
    this.#timer = setInterval(() => {
      const left = Math.ceil((until - performance.now()) / 1000);
      if (left > 0) {
        this.#text.textContent = strings.limited(sayWait(left));
        return;
      }
      clearInterval(this.#timer);
      this.#text.textContent = strings.limitOver;
      this.#retry.removeAttribute("aria-disabled");
      this.#announce(strings.limitOver);
    }, 1000);
  }
}

function wordsFor(error) {
  const words = { text: strings.failed, reference: "", waitSeconds: 0, canRetry: true };
  if (!(error instanceof ApiError)) return words;
  if (error.status === 429) {
    words.waitSeconds = error.retryAfterSeconds || DEFAULT_WAIT_SECONDS;
    words.text = strings.limited(sayWait(words.waitSeconds));
  } else if (error.status === 0) {
    words.text = { offline: strings.offline, slow: strings.slow, cut_short: strings.connectionEnded }[error.code] ?? strings.failed;
  } else if (error.status === 403 || error.status === 404 || error.status === 421) {
    words.text = strings.refused;
    words.canRetry = false;
  } else if (error.status === 503) {
    words.text = strings.busy;
  } else if (error.status >= 400 && error.status < 500 && error.message !== "") {
    // About what was typed: the server's public text says what to change.
    words.text = cleanLine(error.message, 300);
    words.canRetry = false;
  }
  const id = cleanLine(error.requestId, 80);
  if (id !== "" && error.status !== 429) words.reference = strings.reference(id);
  return words;
}
