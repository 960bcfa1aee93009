// Marks inside a block: emphasis, code, links, citations, line breaks.
// Owns: one pass over the text with a short stack of open marks, so that the time grows with
// the length of the text and not with its square, whatever the text is.
// Never: decides whether a link is live; it hands on the address as written. Pure.

const MOST_OPEN = 24;
const LONGEST_LABEL = 400;
const LONGEST_ADDRESS = 2_048;
const SPECIAL = /[\\`*_~[!<h\n]/g;
const PUNCTUATION = /[\p{P}\p{S}]/u;

/**
 * @param {string} text
 * @param {{partial?: boolean, isLabel?: boolean, budget?: {left: number}}} [options] isLabel: inside a link, where no
 *   other link may be; budget: nodes that the whole answer may still have, after which marks are text
 * @returns {object[]} nodes: text, code, strong, emphasis, strike, link, citation, break
 */
export function parseInline(text, { partial = false, isLabel = false, budget = { left: 3_000 } } = {}) {
  const out = new Nodes(budget);
  let at = 0;
  const ends = new CodeEnds(text);
  while (at < text.length) {
    SPECIAL.lastIndex = at;
    const found = SPECIAL.exec(text);
    if (found === null || budget.left <= 0) {
      out.text(text.slice(at));
      break;
    }
    out.text(text.slice(at, found.index));
    at = found.index;
    const mark = text[at];
    let step = 0;
    if (mark === "\\") step = takeEscape(text, at, out);
    else if (mark === "\n") step = takeBreak(out);
    else if (mark === "`") step = takeCode(text, at, out, ends, partial);
    else if (mark === "[" && !isLabel) step = takeBracket(text, at, out, partial);
    else if (mark === "!" && !isLabel) step = takeImage(text, at, out);
    else if (mark === "<" && !isLabel) step = takeAngle(text, at, out);
    else if (mark === "h" && !isLabel) step = takeAddress(text, at, out);
    else if (mark === "*" || mark === "_" || mark === "~") step = takeEmphasis(text, at, out, partial);
    if (step === 0) {
      out.text(mark);
      step = 1;
    }
    at += step;
  }
  return out.finish(partial);
}

// The nodes so far, with the marks that are open: each remembers where its content begins.
class Nodes {
  #budget;
  #nodes = [];
  #open = [];

  constructor(budget) {
    this.#budget = budget;
  }

  text(value) {
    if (value === "") return;
    const last = this.#nodes[this.#nodes.length - 1];
    const isBoundary = this.#open.length > 0 && this.#open[this.#open.length - 1].index === this.#nodes.length;
    if (last?.type === "text" && !isBoundary) last.value += value;
    else this.add({ type: "text", value });
  }

  add(node) {
    this.#budget.left -= 1;
    this.#nodes.push(node);
  }

  open(mark) {
    if (this.#open.length >= MOST_OPEN) return false;
    this.#open.push({ mark, index: this.#nodes.length });
    return true;
  }

  close(mark) {
    for (let depth = this.#open.length - 1; depth >= 0; depth -= 1) {
      const opened = this.#open[depth];
      if (opened.mark !== mark || opened.index === this.#nodes.length) continue;
      while (this.#open.length > depth + 1) this.#giveUp(this.#open.pop());
      this.#open.pop();
      this.#wrap(opened);
      return true;
    }
    return false;
  }

  finish(partial) {
    while (this.#open.length > 0) {
      const opened = this.#open.pop();
      if (partial && opened.index < this.#nodes.length) this.#wrap(opened);
      else if (!partial) this.#giveUp(opened);
    }
    return joinTexts(this.#nodes);
  }

  #wrap({ mark, index }) {
    const children = joinTexts(this.#nodes.splice(index));
    const type = mark === "~~" ? "strike" : mark.length === 2 ? "strong" : "emphasis";
    this.add({ type, children });
  }

  #giveUp({ mark, index }) {
    this.#nodes.splice(index, 0, { type: "text", value: mark });
  }
}

function joinTexts(nodes) {
  const joined = [];
  for (const node of nodes) {
    const last = joined[joined.length - 1];
    if (node.type === "text" && last?.type === "text") last.value += node.value;
    else joined.push(node);
  }
  return joined;
}

function takeEscape(text, at, out) {
  const next = text[at + 1];
  if (next === undefined || !/[!-/:-@[-`{-~]/.test(next)) return 0;
  out.text(next);
  return 2;
}

function takeBreak(out) {
  out.add({ type: "break" });
  return 1;
}

// Where the last run of so many backticks stands: found once for the whole text, so that what is never closed is not
// looked for again and again.
class CodeEnds {
  #text;
  #last = null;

  constructor(text) {
    this.#text = text;
  }

  has(length, from) {
    this.#last ??= this.#find();
    return (this.#last.get(length) ?? -1) >= from;
  }

  #find() {
    const last = new Map();
    for (let at = this.#text.indexOf("`"); at >= 0; ) {
      let end = at;
      while (this.#text[end] === "`") end += 1;
      last.set(end - at, at);
      at = this.#text.indexOf("`", end);
    }
    return last;
  }
}

function takeCode(text, at, out, ends, partial) {
  let length = 1;
  while (text[at + length] === "`") length += 1;
  let end = ends.has(length, at + length) ? findRun(text, at + length, length) : -1;
  if (end < 0) {
    if (!partial || length > 2) {
      out.text("`".repeat(length));
      return length;
    }
    end = text.length;
  }
  const inner = text.slice(at + length, end).replace(/\n/g, " ");
  const isPadded = inner.startsWith(" ") && inner.endsWith(" ") && inner.trim() !== "";
  const value = isPadded ? inner.slice(1, -1) : inner;
  if (value !== "") out.add({ type: "code", value });
  return Math.min(end + length, text.length) - at;
}

function findRun(text, from, length) {
  let at = text.indexOf("`", from);
  while (at >= 0) {
    let end = at;
    while (text[end] === "`") end += 1;
    if (end - at === length) return at;
    at = text.indexOf("`", end);
  }
  return -1;
}

function takeEmphasis(text, at, out, partial) {
  const character = text[at];
  let length = 1;
  while (text[at + length] === character && length < 3) length += 1;
  const before = at === 0 ? " " : text[at - 1];
  const after = text[at + length];
  // At the end of a text that still grows, a lone mark is about to become something: hold it back.
  const pending = after === undefined && partial;
  const spaceAfter = after === undefined || /\s/.test(after);
  const spaceBefore = /\s/.test(before);
  const leftFlanking = !spaceAfter && (!PUNCTUATION.test(after) || spaceBefore || PUNCTUATION.test(before));
  const rightFlanking = !spaceBefore && (!PUNCTUATION.test(before) || spaceAfter || PUNCTUATION.test(after ?? " "));
  const inWord = character === "_";
  const canOpen = leftFlanking && (!inWord || !rightFlanking || PUNCTUATION.test(before));
  const canClose = rightFlanking && (!inWord || !leftFlanking || (after !== undefined && PUNCTUATION.test(after)));
  if (character === "~" && length !== 2) return 0;
  let rest = length;
  if (canClose) {
    while (rest > 0) {
      const size = rest >= 2 && out.close(character.repeat(2)) ? 2 : rest >= 1 && character !== "~" && out.close(character) ? 1 : 0;
      if (size === 0) break;
      rest -= size;
    }
    if (rest === 0) return length;
  }
  if (canOpen) {
    if (rest === 3 || rest === 1) {
      if (!out.open(character)) out.text(character);
    }
    if (rest >= 2 && !out.open(character.repeat(2))) out.text(character.repeat(2));
    return length;
  }
  if (!pending) out.text(character.repeat(rest));
  return length;
}

function takeBracket(text, at, out, partial) {
  const citations = /^\[(\d{1,3}(?:[ ]?,[ ]?\d{1,3}){0,8})\](?!\()/.exec(text.slice(at, at + 60));
  if (citations !== null) {
    for (const id of citations[1].split(",")) out.add({ type: "citation", id: Number.parseInt(id, 10) });
    return citations[0].length;
  }
  const link = matchLink(text, at);
  if (link !== null) {
    out.add({ type: "link", address: link.address, children: parseInline(link.label, { isLabel: true }) });
    return link.length;
  }
  if (!partial) return 0;
  const rest = text.slice(at, at + LONGEST_LABEL + LONGEST_ADDRESS);
  if (at + rest.length < text.length || rest.includes("\n")) return 0;
  // The end of an unfinished link or citation: its label can be shown, its address cannot yet.
  const unfinished = /^\[([^\]]*)(?:\](?:\([^)]*)?)?$/.exec(rest);
  if (unfinished === null || (rest.endsWith("]") && !/^\[\d+\]$/.test(rest) && rest.length > LONGEST_LABEL)) return 0;
  if (!/^\d{0,3}$/.test(unfinished[1])) out.text(unfinished[1]);
  return rest.length;
}

// An image is never shown, since nothing remote loads; its description is.
function takeImage(text, at, out) {
  if (text[at + 1] !== "[") return 0;
  const image = matchLink(text, at + 1);
  if (image === null) return 0;
  if (image.label !== "") out.text(image.label);
  return image.length + 1;
}

function matchLink(text, at) {
  let depth = 0;
  let end = -1;
  const last = Math.min(text.length, at + LONGEST_LABEL);
  for (let index = at; index < last; index += 1) {
    const character = text[index];
    if (character === "\\") index += 1;
    else if (character === "[") depth += 1;
    else if (character === "]") {
      depth -= 1;
      if (depth === 0) {
        end = index;
        break;
      }
    } else if (character === "\n" && text[index + 1] === "\n") break;
  }
  if (end < 0 || text[end + 1] !== "(") return null;
  const target = /^\(\s*(?:<([^<>\n]*)>|((?:[^\s()\\]|\\.|\([^\s()]*\))*))(?:\s+(?:"[^"\n]{0,200}"|'[^'\n]{0,200}'))?\s*\)/.exec(
    text.slice(end + 1, end + 1 + LONGEST_ADDRESS),
  );
  if (target === null) return null;
  return { label: text.slice(at + 1, end), address: target[1] ?? target[2], length: end + 1 - at + target[0].length };
}

function takeAngle(text, at, out) {
  const found = /^<(https?:\/\/[^\s<>]{1,2000})>/i.exec(text.slice(at, at + LONGEST_ADDRESS));
  if (found === null) return 0;
  out.add({ type: "link", address: found[1], children: [{ type: "text", value: found[1] }] });
  return found[0].length;
}

function takeAddress(text, at, out) {
  if (!/^https?:\/\//.test(text.slice(at, at + 8)) || /[\p{L}\p{N}]/u.test(text[at - 1] ?? " ")) return 0;
  const found = /^https?:\/\/[^\s<>"'`\\\]*]{1,2000}/.exec(text.slice(at, at + LONGEST_ADDRESS));
  if (found === null) return 0;
  // What ends the sentence is not of the address; nor is a closing bracket, unless the address opened it.
  const ends = found[0].includes("(") ? ".,;:!?…" : ".,;:!?…)";
  let end = found[0].length;
  while (ends.includes(found[0][end - 1])) end -= 1;
  const address = found[0].slice(0, end);
  if (address.length < 9) return 0;
  out.add({ type: "link", address, children: [{ type: "text", value: address }] });
  return address.length;
}
