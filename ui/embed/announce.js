// What a screen reader is told.
// Owns: the one live region of the page.
// Never: says a piece of an answer. The conversation itself is not a live region: read aloud piece by piece it would
// stutter. What matters is said here, once, when it is whole.

import { byId } from "./elements.js";

export function announce(text) {
  const announcer = byId("announcer");
  announcer.textContent = "";
  setTimeout(() => {
    announcer.textContent = text;
  }, 50);
}
