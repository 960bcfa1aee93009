// The text of an answer that grows: parsed anew only where it can still change.
// Owns: which blocks are settled (nothing that may follow changes them), and the text that is over the cap.
// Never: shows half a character: a surrogate whose other half is still under way waits. Pure, no elements.

import { LONGEST_TEXT, cutPoint, parseMarkdown, plainBlocks } from "./markdown.js";
import { clean } from "./text.js";

const LINE_END = /\r\n|[\r\n\u2028\u2029]/g;

export class GrowingMarkdown {
  #text = "";
  #tailAt = 0;
  #settled = [];
  #settledLength = 0;
  #isOver = false;

  get text() {
    return this.#text;
  }

  append(piece) {
    this.#text += piece;
  }

  /** Another text instead; all of it is parsed anew. */
  replace(text) {
    if (text === this.#text) return;
    this.#text = text;
    this.#tailAt = 0;
    this.#settled = [];
    this.#settledLength = 0;
    this.#isOver = false;
  }

  /**
   * @param {{partial: boolean}} options partial: more is to come
   * @returns {{blocks: object[], settled: number}} the first `settled` blocks are the same objects as ever after
   */
  blocks({ partial }) {
    let tail = this.#text.slice(this.#tailAt);
    if (partial && /[\ud800-\udbff]$/.test(tail)) tail = tail.slice(0, -1);
    if (this.#isOver) return this.#plain(tail);
    const room = LONGEST_TEXT - this.#settledLength;
    if (tail.length > room) return this.#overflow(tail, room);
    const blocks = parseMarkdown(clean(tail), { partial, before: this.#settled.length });
    if (!partial) return { blocks: [...this.#settled, ...blocks], settled: this.#settled.length };
    const settled = this.#settle(tail, blocks);
    return { blocks: [...this.#settled, ...blocks.slice(settled)], settled: this.#settled.length };
  }

  // What stands before the last block cannot change any more once the last block's first line is whole: until then the
  // line may turn out to go on with the block before it.
  #settle(tail, blocks) {
    if (blocks.length < 2) return 0;
    const starts = lineStarts(tail);
    const last = blocks[blocks.length - 1];
    const keep = last.line + 1 < starts.length ? 1 : 2;
    const count = blocks.length - keep;
    if (count <= 0) return 0;
    const at = starts[blocks[count].line];
    this.#settled.push(...blocks.slice(0, count));
    this.#settledLength += at;
    this.#tailAt += at;
    return count;
  }

  #overflow(tail, room) {
    const at = room <= 0 ? 0 : cutPoint(tail, room);
    this.#settled.push(...parseMarkdown(clean(tail.slice(0, at)), { before: this.#settled.length }));
    this.#tailAt += at;
    this.#isOver = true;
    return this.#plain(tail.slice(at));
  }

  #plain(tail) {
    const blocks = plainBlocks(tail);
    for (const block of blocks.slice(0, -1)) {
      this.#tailAt += block.text.length;
      this.#settled.push({ type: "plain", text: clean(block.text) });
    }
    const rest = blocks.slice(-1).map((block) => ({ type: "plain", text: clean(block.text) }));
    return { blocks: [...this.#settled, ...rest], settled: this.#settled.length };
  }
}

function lineStarts(text) {
  const starts = [0];
  for (const end of text.matchAll(LINE_END)) starts.push(end.index + end[0].length);
  return starts;
}
