// Markdown to a tree of blocks. What the model wrote is untrusted, and this is only a parser:
// markup of any other kind (HTML, entities) is text and stays text.
// Owns: blocks (paragraph, heading, list, code, quote, table, rule, plain) and the caps that keep a
// hostile answer cheap: what is over a cap stays as plain text, and nothing is lost. No pattern sees more than a short part
// of a line, so that none can go back and forth in a long one. Inline marks are inline.js.
// Never: builds an element or decides whether an address may be live (links.js). Pure.

import { parseInline } from "./inline.js";

export const LONGEST_TEXT = 60_000;
const PLAIN_PIECE = 8_000;
const DEEPEST = 6;
const MOST_BLOCKS = 1_500;
const MOST_NODES = 6_000;
const MOST_COLUMNS = 12;
const MOST_ROWS = 120;

// What begins a block is found in these characters of its first line.
const LONGEST_START = 64;
const LONGEST_DIVIDER = 2_000;
const FENCE = /^ {0,3}(?:```|~~~)/;
const HEADING = /^ {0,3}(#{1,6}) /;
const RULE = /^ {0,3}[*_-]/;
const QUOTE = /^ {0,3}> ?/;
const ITEM = /^( {0,3})([-*+]|\d{1,9}[.)])(?: |$)/;
const DIVIDER = /^ {0,3}\|? *:?-+:? *(?:\| *:?-+:? *)*\|? *$/;

/**
 * @param {string} text already through `clean`
 * @param {{partial?: boolean, before?: number}} [options] partial: more text is to come, so an unfinished mark at
 *   the very end is held back or treated as finished, and the page does not flicker; before: blocks that count already
 * @returns {object[]} blocks; those of the outermost level know the `line` that they begin at
 */
export function parseMarkdown(text, { partial = false, before = 0 } = {}) {
  const end = text.length > LONGEST_TEXT ? cutPoint(text, LONGEST_TEXT) : text.length;
  const state = { blocks: before, partial: partial && end === text.length, nodes: { left: MOST_NODES } };
  const blocks = parseBlocks(text.slice(0, end).replace(/\t/g, "    ").split("\n"), 0, state, true);
  return end === text.length ? blocks : [...blocks, ...plainBlocks(text.slice(end))];
}

/** Text without marks, in pieces that a browser lays out when they come into sight. */
export function plainBlocks(text) {
  const blocks = [];
  for (let from = 0; from < text.length; ) {
    const end = text.length - from <= PLAIN_PIECE ? text.length : from + cutPoint(text.slice(from, from + PLAIN_PIECE + 1), PLAIN_PIECE);
    blocks.push({ type: "plain", text: text.slice(from, end) });
    from = end;
  }
  return blocks;
}

/** Where to cut a text that is longer than `limit`: at the end of a line or of a word if one is near. */
export function cutPoint(text, limit) {
  for (const mark of ["\n", " "]) {
    const at = text.lastIndexOf(mark, limit - 1);
    if (at > limit - 1_000) return at + 1;
  }
  const isPair = /[\udc00-\udfff]/.test(text[limit] ?? "") && /[\ud800-\udbff]/.test(text[limit - 1]);
  return isPair ? limit - 1 : limit;
}

function parseBlocks(lines, depth, state, isLast) {
  const blocks = [];
  let at = 0;
  while (at < lines.length) {
    if (lines[at].trim() === "") {
      at += 1;
      continue;
    }
    state.blocks += 1;
    if (depth >= DEEPEST || state.blocks > MOST_BLOCKS) {
      for (const plain of plainBlocks(lines.slice(at).join("\n"))) blocks.push(depth === 0 ? { ...plain, line: at } : plain);
      return blocks;
    }
    const taken =
      takeFence(lines, at) ??
      takeHeading(lines, at, state, isLast) ??
      takeRule(lines, at) ??
      takeQuote(lines, at, depth, state, isLast) ??
      takeList(lines, at, depth, state, isLast) ??
      takeTable(lines, at, state) ??
      takeParagraph(lines, at, state, isLast);
    if (taken.block !== null) blocks.push(depth === 0 ? { ...taken.block, line: at } : taken.block);
    at = taken.next;
  }
  return blocks;
}

function atStart(pattern, line) {
  return pattern.exec(line.slice(0, LONGEST_START));
}

// The marks that open a block of code, and its language.
function fenceOf(line) {
  if (atStart(FENCE, line) === null) return null;
  const from = line.length - line.trimStart().length;
  let end = from;
  while (line[end] === line[from]) end += 1;
  if (line.includes("`", end)) return null;
  const language = /^\s{0,9}([\w+#.-]{0,30})/.exec(line.slice(end, end + LONGEST_START))[1];
  return { character: line[from], length: end - from, language };
}

function takeFence(lines, at) {
  const open = fenceOf(lines[at]);
  if (open === null) return null;
  let next = at + 1;
  const isEnd = (line) => {
    const found = line.trim();
    return found.length >= open.length && found === open.character.repeat(found.length);
  };
  while (next < lines.length && !isEnd(lines[next])) next += 1;
  const text = lines.slice(at + 1, next).join("\n");
  return { block: { type: "code", language: open.language, text }, next: Math.min(next + 1, lines.length) };
}

// A heading may end in marks that are not of its words.
function withoutClosingMarks(text) {
  let end = text.length;
  while (text[end - 1] === "#") end -= 1;
  return end > 0 && text[end - 1] === " " ? text.slice(0, end).trimEnd() : text;
}

function takeHeading(lines, at, state, isLast) {
  const heading = atStart(HEADING, lines[at]);
  if (heading === null) return null;
  const text = withoutClosingMarks(lines[at].slice(heading[0].length).trim());
  const children = parseInline(text, { partial: isPartial(lines, at + 1, state, isLast), budget: state.nodes });
  return { block: { type: "heading", level: heading[1].length, children }, next: at + 1 };
}

function isRule(line) {
  if (atStart(RULE, line) === null) return false;
  const marks = line.replaceAll(" ", "");
  return marks.length >= 3 && marks === marks[0].repeat(marks.length);
}

function takeRule(lines, at) {
  return isRule(lines[at]) ? { block: { type: "rule" }, next: at + 1 } : null;
}

function takeQuote(lines, at, depth, state, isLast) {
  const inner = [];
  let next = at;
  for (; next < lines.length; next += 1) {
    const quote = atStart(QUOTE, lines[next]);
    if (quote === null) break;
    inner.push(lines[next].slice(quote[0].length));
  }
  if (next === at) return null;
  const children = parseBlocks(inner, depth + 1, state, isLast && next >= lines.length);
  return { block: { type: "quote", children }, next };
}

function takeList(lines, at, depth, state, isLast) {
  const first = atStart(ITEM, lines[at]);
  if (first === null) return null;
  const ordered = /\d/.test(first[2]);
  const items = [];
  let next = at;
  while (next < lines.length) {
    const item = atStart(ITEM, lines[next]);
    if (item === null || /\d/.test(item[2]) !== ordered || isRule(lines[next])) break;
    const indent = item[1].length + item[2].length + 1;
    const body = [lines[next].slice(indent).trimStart()];
    next += 1;
    next = takeItemBody(lines, next, indent, body);
    items.push(body);
  }
  // Only the last item can be the one that is still being written.
  const children = items.map((body, index) =>
    parseBlocks(body, depth + 1, state, isLast && index === items.length - 1 && next >= lines.length),
  );
  const start = ordered ? Number.parseInt(first[2], 10) : 1;
  return { block: { type: "list", ordered, start, items: children }, next };
}

// The lines under an item: indented ones, blank ones between them, and lazy continuations.
function takeItemBody(lines, from, indent, body) {
  let next = from;
  while (next < lines.length) {
    const line = lines[next];
    const margin = line.length - line.trimStart().length;
    if (line.trim() === "") {
      let after = next;
      while (after < lines.length && lines[after].trim() === "") after += 1;
      const following = lines[after] ?? "";
      const belongs = following.length - following.trimStart().length >= 2;
      if (after >= lines.length || !belongs) return atStart(ITEM, following) === null ? next : after;
      body.push("");
      next = after;
    } else if (margin >= 2) {
      body.push(line.slice(Math.min(margin, indent)));
      next += 1;
    } else if (startsItem(line) || startsOther(line)) {
      return next;
    } else {
      body.push(line.trimStart());
      next += 1;
    }
  }
  return next;
}

function takeTable(lines, at, state) {
  const divider = lines[at + 1];
  if (!lines[at].includes("|") || divider === undefined || !isDivider(divider)) return null;
  const head = splitRow(lines[at]);
  const align = splitRow(divider).map((cell) => {
    if (cell.startsWith(":") && cell.endsWith(":")) return "center";
    return cell.endsWith(":") ? "right" : "left";
  });
  if (head.length !== align.length || head.length > MOST_COLUMNS) return null;
  const rows = [];
  let next = at + 2;
  while (next < lines.length && lines[next].includes("|") && lines[next].trim() !== "" && rows.length < MOST_ROWS) {
    const cells = splitRow(lines[next]);
    // More cells than the head has: the last one takes the words of the rest.
    if (cells.length > head.length) cells.push(cells.splice(head.length - 1).join(" | "));
    while (cells.length < head.length) cells.push("");
    rows.push(cells.map((cell) => parseInline(cell, { budget: state.nodes })));
    next += 1;
  }
  return { block: { type: "table", align, head: head.map((cell) => parseInline(cell, { budget: state.nodes })), rows }, next };
}

// A bar that is escaped is a bar of the cell's text.
function splitRow(line) {
  const bare = line.trim();
  const marked = bare.slice(bare.startsWith("|") ? 1 : 0).replaceAll("\\|", "\u0000");
  const inner = marked.endsWith("|") ? marked.slice(0, -1) : marked;
  return inner.split("|").map((cell) => cell.replaceAll("\u0000", "|").trim());
}

function takeParagraph(lines, at, state, isLast) {
  let next = at + 1;
  while (next < lines.length && !startsBlock(lines, next)) next += 1;
  const text = lines
    .slice(at, next)
    .map((line) => line.trimStart())
    .join("\n")
    .trimEnd();
  const children = parseInline(text, { partial: isPartial(lines, next, state, isLast), budget: state.nodes });
  return { block: children.length === 0 ? null : { type: "paragraph", children }, next };
}

function startsBlock(lines, at) {
  const line = lines[at];
  return line.trim() === "" || startsItem(line) || startsOther(line) || (line.includes("|") && takesTable(lines, at));
}

function startsItem(line) {
  return atStart(ITEM, line) !== null;
}

function startsOther(line) {
  return atStart(HEADING, line) !== null || atStart(QUOTE, line) !== null || isRule(line) || fenceOf(line) !== null;
}

function takesTable(lines, at) {
  return lines[at + 1] !== undefined && lines[at + 1].includes("|") && isDivider(lines[at + 1]);
}

function isDivider(line) {
  return line.length <= LONGEST_DIVIDER && line.includes("-") && DIVIDER.test(line);
}

function isPartial(lines, next, state, isLast) {
  return state.partial && isLast && next >= lines.length;
}
