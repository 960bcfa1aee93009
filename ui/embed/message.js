// One message of the conversation as elements: the question's bubble, or an answer with its
// sources and its rating.
// Owns: the elements of a message and how they change while an answer streams.
// Never: calls the server (it is given `onRate`), parses markup, or decides what is live.

import { allowedAddresses, citationAddress, sayAddress } from "./links.js";
import { parseMarkdown } from "./markdown.js";
import { outsideLink, renderAnswer } from "./render.js";
import { strings } from "./strings.js";
import { clean, cleanLine } from "./text.js";

const MOST_CITATIONS = 20;
const LONGEST_REASON = 500;

/** The visitor's question. Text only: nothing in it is markup. */
export function questionElement(text) {
  const item = create("li", "message question");
  item.append(heading(strings.you));
  const bubble = create("p", "bubble", clean(text));
  bubble.dir = "auto";
  item.append(bubble);
  return item;
}

/** An answer, streamed or from the history. */
export class AnswerView {
  #text = "";
  #citations = [];
  #body = create("div", "body");
  #after = create("div", "after");
  #working = create("p", "working", strings.working);
  #origins;
  #scheduled = false;
  #partial = true;

  /** @param {Set<string>} origins whose addresses may be live in the text */
  constructor(origins) {
    this.#origins = origins;
    this.element = create("li", "message answer");
    this.element.setAttribute("aria-busy", "true");
    this.element.append(heading(strings.answer), this.#working, this.#body, this.#after);
  }

  /** What has been said so far, as text for a screen reader. */
  get spokenText() {
    return this.#body.textContent.replace(/\s+/g, " ").trim();
  }

  get isEmpty() {
    return this.#text === "";
  }

  get citationCount() {
    return this.#citations.length;
  }

  append(piece) {
    this.#text += piece;
    this.#schedule();
  }

  setCitations(citations) {
    this.#citations = soundCitations(citations);
    this.#schedule();
  }

  /**
   * The whole answer. What the server says at the end counts, not the sum of the pieces.
   * @param {{text?: string, citations?: object[], note?: string, isComplete: boolean}} end
   */
  finish({ text, citations, note, isComplete }) {
    if (typeof text === "string") this.#text = text;
    if (Array.isArray(citations)) this.#citations = soundCitations(citations);
    this.#partial = false;
    this.#paint();
    this.#working.remove();
    this.element.removeAttribute("aria-busy");
    if (note) this.#after.append(create("p", "note", note));
    if (this.#citations.length > 0) this.#after.append(sourcesElement(this.#citations));
    else if (isComplete) this.#after.append(create("p", "note", strings.noSources));
    this.#reportGrowth();
  }

  /** @param {(rating: "up" | "down", reason?: string) => Promise<void>} onRate */
  offerRating(onRate) {
    this.#after.append(ratingElement(onRate));
    this.#reportGrowth();
  }

  /** Takes the rating away, when the conversation it belongs to is gone. */
  withdrawRating() {
    this.#after.querySelector(".rating")?.remove();
  }

  // Pieces may come faster than frames; each frame paints once. A hidden page has no frames.
  #schedule() {
    if (this.#scheduled) return;
    this.#scheduled = true;
    const paint = () => {
      this.#scheduled = false;
      if (this.#partial) this.#paint();
    };
    if (document.hidden) setTimeout(paint, 50);
    else requestAnimationFrame(paint);
  }

  #paint() {
    const blocks = parseMarkdown(clean(this.#text), { partial: this.#partial });
    if (blocks.length > 0) this.#working.remove();
    const allowed = allowedAddresses(this.#origins, this.#citations);
    renderAnswer(this.#body, blocks, { allowed, citations: this.#citations, partial: this.#partial });
    this.#reportGrowth();
  }

  #reportGrowth() {
    this.element.dispatchEvent(new CustomEvent("grown", { bubbles: true }));
  }
}

function soundCitations(citations) {
  if (!Array.isArray(citations)) return [];
  return citations.filter((citation) => Number.isInteger(citation?.id) && typeof citation.url === "string").slice(0, MOST_CITATIONS);
}

function sourcesElement(citations) {
  const section = create("section", "sources");
  const title = create("h3", "sources-title", strings.sources);
  const list = create("ol", "sources-list");
  // The numbers are written out, as those in the text are; a list without marks keeps its role here.
  list.setAttribute("role", "list");
  // Several quotes of one page stand under its title once.
  const pages = new Map();
  for (const citation of citations) pages.set(citation.url, [...(pages.get(citation.url) ?? []), citation]);
  for (const quotes of pages.values()) list.append(sourceElement(quotes));
  section.append(title, list);
  return section;
}

function sourceElement(citations) {
  const [first] = citations;
  const item = create("li", "source");
  const address = citationAddress(first);
  const name = cleanLine(first.title, 120) || sayAddress(first.url);
  const title = linkElement("source-link", address);
  const words = create("span", "source-title", name);
  words.dir = "auto";
  title.append(words, create("span", "source-address", sayAddress(first.url)));
  if (address !== null) title.append(create("span", "hidden-text", `, ${strings.opensNewTab}`));
  item.append(title);
  for (const citation of citations) {
    const row = create("div", "source-quote");
    const number = linkElement("cite", citationAddress(citation));
    number.textContent = String(citation.id);
    if (number.localName === "a") number.setAttribute("aria-label", strings.sourceLabel(citation.id, name));
    row.append(number);
    const quote = cleanLine(citation.quote, 280);
    if (quote !== "") {
      const block = create("blockquote", "source-words", quote);
      block.dir = "auto";
      row.append(block);
    }
    item.append(row);
  }
  return item;
}

// A link out of the chat, or the same words without one when the address is not one to open.
function linkElement(className, address) {
  const element = create(address === null ? "span" : "a", className);
  if (address !== null) {
    for (const [name, value] of Object.entries(outsideLink(address))) element.setAttribute(name, value);
  }
  return element;
}

function ratingElement(onRate) {
  const element = create("div", "rating");
  const buttons = create("div", "rating-buttons");
  const up = ratingButton("up", strings.helpful);
  const down = ratingButton("down", strings.notHelpful);
  const status = create("p", "rating-status");
  status.setAttribute("role", "status");
  buttons.append(up, down, status);
  element.append(buttons);

  const rate = async (rating, reason) => {
    status.textContent = "";
    try {
      await onRate(rating, reason);
      up.setAttribute("aria-pressed", String(rating === "up"));
      down.setAttribute("aria-pressed", String(rating === "down"));
      status.textContent = strings.feedbackThanks;
      element.querySelector(".reason")?.remove();
      if (rating === "down" && reason === undefined) element.append(reasonElement((text) => rate("down", text)));
    } catch {
      status.textContent = strings.feedbackFailed;
    }
  };
  up.addEventListener("click", () => rate("up"));
  down.addEventListener("click", () => rate("down"));
  return element;
}

function reasonElement(onSend) {
  const element = create("div", "reason");
  const label = create("label", "reason-label", strings.feedbackWhy);
  const input = create("input", "reason-input");
  input.type = "text";
  input.maxLength = LONGEST_REASON;
  input.autocomplete = "off";
  input.dir = "auto";
  label.append(input);
  const send = create("button", "button", strings.feedbackSend);
  send.type = "button";
  const submit = () => {
    const reason = clean(input.value).trim();
    if (reason === "") return input.focus();
    // The field goes away with the answer to this; the focus must not go with it.
    element.closest(".rating")?.querySelector("[data-rating=down]")?.focus();
    return onSend(reason);
  };
  send.addEventListener("click", submit);
  input.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.isComposing) return;
    // Else the same key press would go on to the button that gets the focus.
    event.preventDefault();
    submit();
  });
  element.append(label, send);
  return element;
}

const THUMB = "M7.5 11v8.5H4.5V11h3Zm0 0 3.7-6.7c1.300 0 2.200 1 2.200 2.300 0 .9-.2 1.900-.5 2.900h4.600a2 2 0 0 1 2 2.400l-1.100 5.600a2.5 2.5 0 0 1-2.400 2H7.5";

function ratingButton(rating, label) {
  const button = create("button", "icon-button small");
  button.type = "button";
  button.dataset.rating = rating;
  button.setAttribute("aria-label", label);
  button.setAttribute("aria-pressed", "false");
  button.title = label;
  const icon = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  icon.setAttribute("viewBox", "0 0 24 24");
  icon.setAttribute("aria-hidden", "true");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", THUMB);
  icon.append(path);
  button.append(icon);
  return button;
}

function heading(text) {
  return create("h2", "hidden-text", text);
}

function create(tag, className, text) {
  const element = document.createElement(tag);
  element.className = className;
  if (text !== undefined) element.textContent = text;
  return element;
}
