// What may be shown: text from a visitor or a model, made harmless and countable.
// Owns: removal of control characters, Unicode tag characters, explicit directions (joiners
// stay), and counting as the server counts, in Unicode scalar values.
// Never: markup, addresses or elements. Pure: the same text in gives the same text out.

// A flag of a region is spelled in tag characters and stays. Marks that turn the direction of what follows (overrides,
// embeddings, isolates) go: every paragraph here is isolated by its element, and the others only deceive.
const CONTROL = /(\u{1f3f4}[\u{e0030}-\u{e007a}]{2,6}\u{e007f})|[\u202a-\u202e\u2066-\u2069\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\ufeff\ufff9-\ufffb]|[\u{e0000}-\u{e007f}]/gu;
// Scripts stack a few marks on one letter; hundreds are an attack on the lines above and below. Joiners between the marks
// do not start the count again.
const STACKED_MARKS = /([\p{M}\u200b-\u200d\u2060]{8})[\p{M}\u200b-\u200d\u2060]+/gu;

/**
 * Text as it may be shown. Line ends become `\n`.
 * @param {unknown} raw
 * @returns {string}
 */
export function clean(raw) {
  if (typeof raw !== "string") return "";
  let text = raw.replace(/\r\n?|[\u2028\u2029]/g, "\n").replace(CONTROL, "$1");
  if (typeof text.toWellFormed === "function") text = text.toWellFormed();
  return text.replace(STACKED_MARKS, "$1");
}

/** One line of `clean` text, shortened to `limit` characters, for titles and labels. */
export function cleanLine(raw, limit) {
  const line = clean(raw).replace(/\s+/g, " ").trim();
  const characters = Array.from(line);
  if (characters.length <= limit) return line;
  let end = limit - 1;
  // Not between the parts of one emoji, or a letter and its mark.
  while (end > 1 && (/^[\p{M}\u200d\u{1f3fb}-\u{1f3ff}]/u.test(characters[end]) || characters[end - 1] === "\u200d")) end -= 1;
  return `${characters.slice(0, end).join("").trimEnd()}…`;
}

/**
 * How many Unicode scalar values the text has, which is what the server's limit counts.
 * An emoji of one code point is one, whatever JavaScript's `length` says.
 */
export function countCharacters(text) {
  let count = 0;
  for (const _ of text) count += 1;
  return count;
}
