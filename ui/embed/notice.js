// What went wrong, in plain words, under the conversation.
// Owns: the words for each kind of failure, the waiting time of a limit, the "try again" button, and the line that says
// that there is no network.
// Never: repeats a call by itself, or shows a text of the server's.

import { ApiError } from "./api.js";
import { byId } from "./elements.js";
import { label, say, sayWait } from "./language.js";
import { cleanLine } from "./text.js";

const DEFAULT_WAIT_SECONDS = 60;
const BY_CODE = { conversation_full: "conversationFull", message_too_long: "messageTooLong", answer_in_progress: "answerInProgress" };

export class Notice {
  #element = byId("notice");
  #text = byId("notice-text");
  #reference = byId("notice-reference");
  #retry = byId("retry");
  #announce;
  #onShown;
  #timer = 0;
  #onRetry = null;

  /** @param {(text: string) => void} announce @param {(what: {name: string, detail: object}) => void} onShown */
  constructor(announce, onShown) {
    this.#announce = announce;
    this.#onShown = onShown;
    this.#retry.addEventListener("click", () => {
      const again = this.#onRetry;
      if (this.#retry.getAttribute("aria-disabled") === "true" || again === null) return;
      this.clear();
      again();
    });
    const network = () => {
      const isOffline = navigator.onLine === false;
      if (isOffline === !byId("offline").hidden) return;
      byId("offline").hidden = !isOffline;
      announce(say(isOffline ? "youAreOffline" : "backOnline"));
    };
    window.addEventListener("online", network);
    window.addEventListener("offline", network);
    network();
  }

  clear() {
    clearInterval(this.#timer);
    this.#onRetry = null;
    this.#element.hidden = true;
  }

  /**
   * @param {unknown} error
   * @param {(() => void) | null} onRetry offered as "try again"; null when that cannot help
   * @param {() => void} [onNew] offered as "new conversation" where only that helps
   */
  show(error, onRetry, onNew) {
    this.clear();
    const { key, reference, waitSeconds, canRetry } = wordsFor(error);
    const isFull = onNew !== undefined && key === "conversationFull";
    this.#onRetry = isFull ? onNew : canRetry ? onRetry : null;
    label(this.#text, `${key}`, { wait: sayWait(Math.max(1, waitSeconds)) });
    label(this.#retry, isFull ? "newConversation" : "retry");
    label(this.#reference, "reference", { id: reference });
    this.#reference.hidden = reference === "";
    this.#retry.hidden = this.#onRetry === null;
    this.#retry.removeAttribute("aria-disabled");
    this.#element.hidden = false;
    this.#element.classList.toggle("limited", waitSeconds > 0);
    this.#announce(this.#text.textContent);
    if (waitSeconds > 0) this.#countDown(waitSeconds);
    this.#onShown(waitSeconds > 0 ? { name: "limit", detail: { retry_after: waitSeconds } } : { name: "error", detail: { code: error?.code ?? "failed" } });
  }

  // The seen text counts down; it is said aloud only at the beginning and the end.
  #countDown(seconds) {
    const until = performance.now() + seconds * 1000;
    this.#retry.setAttribute("aria-disabled", "true");
    this.#timer = setInterval(() => {
      const left = Math.ceil((until - performance.now()) / 1000);
      if (left > 0) {
        label(this.#text, "limited", { wait: sayWait(left) });
        return;
      }
      clearInterval(this.#timer);
      label(this.#text, "limitOver");
      this.#retry.removeAttribute("aria-disabled");
      this.#announce(say("limitOver"));
    }, 1000);
  }
}

function wordsFor(error) {
  const words = { key: "failed", reference: "", waitSeconds: 0, canRetry: true };
  if (!(error instanceof ApiError)) return words;
  if (error.status === 429) {
    words.waitSeconds = error.retryAfterSeconds || DEFAULT_WAIT_SECONDS;
    words.key = "limited";
  } else if (error.status === 0) {
    words.key = { offline: "offline", slow: "slow", cut_short: "connectionEnded" }[error.code] ?? "failed";
  } else if (error.status === 403 || error.status === 404 || error.status === 421) {
    words.key = "refused";
    words.canRetry = false;
  } else if (error.status === 503) {
    words.key = "busy";
  } else if (BY_CODE[error.code] !== undefined) {
    words.key = BY_CODE[error.code];
    words.canRetry = error.code === "answer_in_progress";
  }
  if (error.status !== 429) words.reference = cleanLine(error.requestId, 80);
  return words;
}
