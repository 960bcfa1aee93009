// What may be shown: text from a visitor or a model, made harmless and countable.
// Owns: removal of control characters, Unicode tag characters and unbalanced bidirectional
// overrides (joiners stay), and counting as the server counts, in Unicode scalar values.
// Never: markup, addresses or elements. Pure: the same text in gives the same text out.

const CONTROL = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\ufeff\ufff9-\ufffb]|[\u{e0000}-\u{e007f}]/gu;
const DIRECTION = /[\u202a-\u202e\u2066-\u2069]/;
// Scripts stack a few marks on one letter; hundreds are an attack on the lines above and below.
const STACKED_MARKS = /(\p{M}{8})\p{M}+/gu;

/**
 * Text as it may be shown. Line ends become `\n`.
 * @param {unknown} raw
 * @returns {string}
 */
export function clean(raw) {
  if (typeof raw !== "string") return "";
  let text = raw.replace(/\r\n?|[\u2028\u2029]/g, "\n").replace(CONTROL, "");
  if (typeof text.toWellFormed === "function") text = text.toWellFormed();
  text = text.replace(STACKED_MARKS, "$1");
  return DIRECTION.test(text) ? balanceDirections(text) : text;
}

/** One line of `clean` text, shortened to `limit` characters, for titles and labels. */
export function cleanLine(raw, limit) {
  const line = clean(raw).replace(/\s+/g, " ").trim();
  const characters = Array.from(line);
  return characters.length <= limit ? line : `${characters.slice(0, limit - 1).join("").trimEnd()}…`;
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

// An override that is opened in a paragraph must be closed in it, and the other way round;
// those that are not are dropped, so that they cannot turn the text that follows.
function balanceDirections(text) {
  const units = Array.from(text);
  const open = [];
  const drop = new Set();
  const dropOpen = () => {
    for (const index of open) drop.add(index);
    open.length = 0;
  };
  units.forEach((unit, index) => {
    const code = unit.codePointAt(0);
    if (unit === "\n") {
      dropOpen();
    } else if (code === 0x202c) {
      if (open.length > 0 && isEmbedding(units[open[open.length - 1]])) open.pop();
      else drop.add(index);
    } else if (code === 0x2069) {
      while (open.length > 0 && isEmbedding(units[open[open.length - 1]])) drop.add(open.pop());
      if (open.length > 0) open.pop();
      else drop.add(index);
    } else if ((code >= 0x202a && code <= 0x202e) || (code >= 0x2066 && code <= 0x2068)) {
      open.push(index);
    }
  });
  dropOpen();
  return units.filter((_, index) => !drop.has(index)).join("");
}

function isEmbedding(unit) {
  const code = unit.codePointAt(0);
  return code >= 0x202a && code <= 0x202e && code !== 0x202c;
}
