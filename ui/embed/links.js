// Which addresses may be live, and how a citation's address points at its quote.
// Owns: rule "a link is live only to the site's origins, the owner's list or a retrieved
// passage's address", and text fragments (https://wicg.github.io/scroll-to-text-fragment/).
// Never: builds an element or fetches an address. Everything doubtful is "not live".

import { cleanLine } from "./text.js";

const LONGEST_ADDRESS = 2048;

/**
 * The address to link to, or null when the text must stay text.
 * @param {unknown} raw as the model wrote it; relative addresses are never resolved
 * @param {{origins: Set<string>, cited: Set<string>}} allowed
 * @returns {string | null}
 */
export function liveAddress(raw, allowed) {
  const url = webAddress(raw);
  if (url === null) return null;
  const live = allowed.origins.has(url.origin) || allowed.cited.has(withoutFragment(url));
  return live ? url.href : null;
}

/** A parsed http or https address without credentials, or null. */
export function webAddress(raw) {
  if (typeof raw !== "string" || raw.length > LONGEST_ADDRESS) return null;
  // A parser would drop tabs and line ends and turn backslashes; what is shown must be what is opened.
  if (!/^https?:\/\//i.test(raw) || /[\s\\\u0000-\u001f\u007f\u202a-\u202e\u2066-\u2069]/.test(raw)) return null;
  try {
    const url = new URL(raw);
    const plain = (url.protocol === "https:" || url.protocol === "http:") && url.username === "" && url.password === "";
    return plain ? url : null;
  } catch {
    return null;
  }
}

/** What `liveAddress` needs, from the server's origins and the citations of one answer. */
export function allowedAddresses(origins, citations) {
  const cited = new Set();
  for (const citation of citations) {
    const url = webAddress(citation.url);
    if (url !== null) cited.add(withoutFragment(url));
  }
  return { origins, cited };
}

/**
 * The address of a citation, pointing at the quoted words where the browser can find them.
 * @returns {string | null} null when the address is not one we would open
 */
export function citationAddress(citation) {
  const url = webAddress(citation.url);
  if (url === null) return null;
  const fragment = textFragment(citation.quote);
  if (fragment === "") return url.href;
  const base = url.href;
  return base.includes("#") ? `${base}:~:${fragment}` : `${base}#:~:${fragment}`;
}

/** Host and path, short enough to read under a title. */
export function sayAddress(raw) {
  const url = webAddress(raw);
  if (url === null) return "";
  return cleanLine(`${url.host}${url.pathname === "/" ? "" : decoded(url.pathname)}`, 60);
}

function decoded(path) {
  try {
    return decodeURI(path);
  } catch {
    return path;
  }
}

// Long quotes are given as "first words, last words": the browser marks everything between
// them, also across the cells of a table, where the exact words would not match.
function textFragment(quote) {
  // A quote that was cut may end within a word, which the browser would not find.
  const isCut = /…\s*$/.test(String(quote ?? ""));
  const parts = String(quote ?? "")
    .split(/\s*[|\n…]\s*/)
    .map((part) => part.trim().split(/\s+/).filter(Boolean))
    .filter((words) => words.length > 0);
  if (isCut && parts.length > 0 && parts[parts.length - 1].length > 1) parts[parts.length - 1].pop();
  if (parts.length === 0) return "";
  const first = parts[0];
  const last = parts[parts.length - 1];
  if (parts.length === 1 && first.length <= 8) return `text=${encodeTerm(first.join(" "))}`;
  const start = first.slice(0, 5);
  // The two must not share a word: the end is looked for behind the start.
  const end = last.slice(parts.length === 1 ? Math.max(5, last.length - 5) : -5);
  return `text=${encodeTerm(start.join(" "))},${encodeTerm(end.join(" "))}`;
}

// The dash is a mark of the fragment's own grammar, and the one that encodeURIComponent leaves.
function encodeTerm(term) {
  return encodeURIComponent(term.toWellFormed ? term.toWellFormed() : term).replace(/-/g, "%2D");
}

function withoutFragment(url) {
  const copy = new URL(url.href);
  copy.hash = "";
  return copy.href;
}
