// The loader's own four texts in the interface languages, and which language to use.
// Owns: the choice. The texts are cut from ui/strings.json by ui/build.mjs: the name of the launcher and what is said when
// the chat cannot be had. Everything else that a visitor reads is the frame's.
// Never: a text from the page's attributes; those go to the frame, which bounds them.

// A line each: language | name | close | try again | cannot be had
import lines from "words:loader";

const WORDS = lines.split("\n");

/**
 * @param {string} [wanted] a language tag; the browser's own languages follow
 * @returns {string[]} the language and its texts, in the order above
 */
export function wordsFor(wanted) {
  for (const tag of [wanted, ...navigator.languages]) {
    const found = WORDS.find((line) => String(tag).toLowerCase().startsWith(line.slice(0, 2)));
    if (found) return found.split("|");
  }
  return WORDS[0].split("|");
}
