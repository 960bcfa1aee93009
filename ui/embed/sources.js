// The sources under an answer: each page once, with its quotes, each of which opens the page at its words.
// Owns: which citations of the server are sound, and the elements that show them.
// Never: shows a citation that the server did not send, or opens an address that links.js refused.

import { create, outLink, said } from "./elements.js";
import { say } from "./language.js";
import { citationAddress, sayAddress } from "./links.js";
import { cleanLine } from "./text.js";

const MOST_CITATIONS = 20;

export function soundCitations(citations) {
  if (!Array.isArray(citations)) return [];
  return citations.filter((citation) => Number.isInteger(citation?.id) && typeof citation.url === "string").slice(0, MOST_CITATIONS);
}

/** @param {string} language of the site's pages, "" if unknown */
export function sourcesElement(citations, language) {
  const section = create("section", "sources");
  const list = create("ol", "sources-list");
  // The numbers are written out, as those in the text are; a list without marks keeps its role here.
  list.setAttribute("role", "list");
  const pages = new Map();
  for (const citation of citations) pages.set(citation.url, [...(pages.get(citation.url) ?? []), citation]);
  for (const quotes of pages.values()) list.append(sourceElement(quotes, language));
  section.append(said("h3", "sources-title", "sources"), list);
  return section;
}

function sourceElement(citations, language) {
  const [first] = citations;
  const item = create("li", "source");
  const address = citationAddress(first);
  const name = cleanLine(first.title, 120) || sayAddress(first.url);
  const title = linkElement("source-link", address);
  const words = create("span", "source-title", name);
  words.dir = "auto";
  if (language !== "") words.lang = language;
  const place = create("span", "source-address", sayAddress(first.url));
  place.dir = "ltr";
  title.append(words, place);
  if (address !== null) title.append(create("span", "hidden-text", ", "), said("span", "hidden-text", "opensNewTab"));
  item.append(title, ...citations.map((citation) => quoteElement(citation, name, language)));
  return item;
}

function quoteElement(citation, name, language) {
  const row = create("div", "source-quote");
  const number = linkElement("cite", citationAddress(citation));
  number.textContent = String(citation.id);
  if (number.localName === "a") number.setAttribute("aria-label", say("sourceLabel", { n: citation.id, title: name }));
  row.append(number);
  const quote = cleanLine(citation.quote, 280);
  if (quote !== "") {
    const block = create("blockquote", "source-words", quote);
    block.dir = "auto";
    if (language !== "") block.lang = language;
    row.append(block);
  }
  return row;
}

// A link out of the chat, or the same words without one when the address is not one to open.
function linkElement(className, address) {
  return address === null ? create("span", className) : outLink(className, address);
}
