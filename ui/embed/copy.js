// Copying: code of an answer, a receipt, the visitor's own data.
// Owns: the ways to the clipboard, of which a frame may be denied the first, and what is said about the outcome.
// Never: reads the clipboard, or copies without a press of a button.

import { say } from "./language.js";

const SHOWN_MILLISECONDS = 2_000;

/**
 * @param {HTMLButtonElement} button that was pressed; says how it went for a moment
 * @param {Element} source whose words, or value, are copied, and selected where copying is refused
 * @param {(text: string) => void} announce
 */
export async function copyFrom(button, source, announce) {
  const outcome = await copied(source);
  announce(say(outcome ? "copied" : "selected"));
  button.textContent = say(outcome ? "copied" : "selected");
  setTimeout(() => {
    button.textContent = say("copy");
  }, SHOWN_MILLISECONDS);
}

async function copied(source) {
  try {
    await navigator.clipboard.writeText(source.value ?? source.textContent);
    return true;
  } catch {
    // Not allowed in this frame: the older way works from a selection, and leaves it for the keyboard if it does not.
    select(source);
    try {
      return document.execCommand("copy");
    } catch {
      return false;
    }
  }
}

function select(source) {
  if (typeof source.select === "function") return source.select();
  source.focus?.({ preventScroll: true });
  window.getSelection().selectAllChildren(source);
}
