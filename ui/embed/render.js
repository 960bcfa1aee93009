// A tree of blocks to elements, node by node; an answer that grows is patched, not replaced,
// so that nothing flickers and a selection survives.
// Owns: which elements and attributes an answer may consist of (a closed list), link targets.
// Never: parses markup, sets innerHTML or a style, or makes an address live that links.js refused.

import { say } from "./language.js";
import { citationAddress, liveAddress } from "./links.js";
import { cleanLine } from "./text.js";

const TAGS = new Set([
  "a", "blockquote", "br", "button", "code", "del", "div", "em", "h3", "h4", "h5", "h6", "hr", "li", "ol", "p", "pre",
  "span", "strong", "table", "tbody", "td", "th", "thead", "tr", "ul",
]);
const ATTRIBUTES = new Set(["aria-label", "class", "dir", "href", "referrerpolicy", "rel", "role", "scope", "start", "tabindex", "target", "title", "type"]);
// Hebrew, Arabic and their neighbours, https://www.unicode.org/reports/tr9/#Bidirectional_Character_Types
const RIGHT_TO_LEFT = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\u{10800}-\u{10fff}\u{1e800}-\u{1efff}]/u;

/**
 * @param {Element} parent whose children become the answer
 * @param {object[]} blocks from `parseMarkdown`
 * @param {{allowed: {origins: Set<string>, cited: Set<string>}, citations: object[], partial: boolean}} context
 * @param {number} [from] the blocks before it are shown already and have not changed; their elements are not looked at
 */
export function renderAnswer(parent, blocks, context, from = 0) {
  const byId = new Map(context.citations.map((citation) => [citation.id, citation]));
  const scope = { ...context, byId, headingLevel: 2 };
  for (const block of blocks.slice(0, from)) if (block.type === "heading") deepen(scope, block);
  patchChildren(parent, blocks.slice(from).map((block) => blockNode(block, scope)), from);
}

/** The attributes of every link that leaves the chat. */
function outsideLink(address) {
  return { href: address, target: "_blank", rel: "noopener noreferrer nofollow", referrerpolicy: "no-referrer" };
}

// The direction of a whole list, quote or table is that of its first letter, so that marks and columns stand on one side;
// what is inside inherits it.
function blockNode(block, scope, isInside = false) {
  const direction = isInside ? {} : { dir: directionOf(block) };
  switch (block.type) {
    case "heading":
      return node(`h${deepen(scope, block)}`, direction, inlineNodes(block.children, scope));
    case "list": {
      const attributes = direction;
      if (block.ordered && block.start !== 1) attributes.start = String(block.start);
      return node(block.ordered ? "ol" : "ul", attributes, block.items.map((item) => itemNode(item, scope)));
    }
    case "code":
      return codeNode(block);
    case "plain":
      return node("p", { dir: "auto", class: "plain" }, [block.text]);
    case "quote":
      return node("blockquote", direction, block.children.map((child) => blockNode(child, scope, true)));
    case "table":
      return tableNode(block, scope, direction);
    case "rule":
      return node("hr", {}, []);
    default:
      return node("p", direction, inlineNodes(block.children, scope));
  }
}

// Text in code has the direction of code, and is no sign of the language.
function lettersOf(block) {
  if (block.type === "code") return "";
  const inside = [block.value ?? "", block.head ?? [], block.items ?? [], block.children ?? [], (block.rows ?? []).flat()].flat(2);
  return inside.map((one) => (typeof one === "string" ? one : lettersOf(one))).join(" ");
}

function directionOf(block) {
  const [letter] = /\p{L}/u.exec(lettersOf(block)) ?? [];
  return letter === undefined ? "auto" : RIGHT_TO_LEFT.test(letter) ? "rtl" : "ltr";
}

// Levels follow the page's outline: the message is h2, and none is skipped.
function deepen(scope, { level }) {
  scope.headingLevel = Math.min(level + 2, scope.headingLevel + 1, 6);
  return scope.headingLevel;
}

// What the button does is copy.js, which hears the click.
function codeNode({ language, text }) {
  return node("div", { class: "code", dir: "ltr" }, [
    node("span", { class: "code-language" }, language ? [language] : []),
    node("button", { class: "copy", type: "button" }, [say("copy")]),
    node("pre", { tabindex: "0", role: "group", "aria-label": language || say("code") }, [node("code", {}, [text])]),
  ]);
}

// An item of one paragraph is shown without the paragraph's margins.
function itemNode(blocks, scope) {
  const children = blocks.flatMap((block, index) =>
    index === 0 && block.type === "paragraph" ? inlineNodes(block.children, scope) : [blockNode(block, scope, true)],
  );
  return node("li", {}, children);
}

function tableNode(block, scope, direction) {
  const cell = (tag, attributes) => (children, column) =>
    node(tag, { ...attributes, class: `align-${block.align[column]}` }, inlineNodes(children, scope));
  return node("div", { class: "table", tabindex: "0", role: "group", "aria-label": say("table"), ...direction }, [
    node("table", {}, [
      node("thead", {}, [node("tr", {}, block.head.map(cell("th", { scope: "col" })))]),
      node("tbody", {}, block.rows.map((row) => node("tr", {}, row.map(cell("td", {}))))),
    ]),
  ]);
}

function inlineNodes(children, scope) {
  const nodes = children.flatMap((child) => inlineNode(child, scope));
  // A citation stays on the line of the words it belongs to.
  return nodes.map((one, index) => {
    const isBeforeCitation = nodes[index + 1]?.attributes?.class?.startsWith("cite");
    return typeof one === "string" && isBeforeCitation ? one.replace(/ $/, "\u00a0") : one;
  });
}

function inlineNode(child, scope) {
  switch (child.type) {
    case "text":
      return [child.value];
    case "break":
      return [node("br", {}, [])];
    case "code":
      return [node("code", { dir: "ltr" }, [child.value])];
    case "strong":
      return [node("strong", {}, inlineNodes(child.children, scope))];
    case "emphasis":
      return [node("em", {}, inlineNodes(child.children, scope))];
    case "strike":
      return [node("del", {}, inlineNodes(child.children, scope))];
    case "citation":
      return [citationNode(child, scope)];
    case "link":
      return linkNodes(child, scope);
    default:
      return [];
  }
}

function linkNodes(link, scope) {
  const label = inlineNodes(link.children, scope);
  const address = liveAddress(link.address, scope.allowed);
  if (address !== null) return [node("a", { ...outsideLink(address), class: "link", dir: "auto" }, label)];
  // Not live: the words stay, and a web address that they hid is shown, as text.
  const isHidden = /^https?:\/\//i.test(link.address) && !(label.length === 1 && label[0] === link.address);
  return isHidden ? [...label, ` (${cleanLine(link.address, 120)})`] : label;
}

function citationNode({ id }, scope) {
  const citation = scope.byId.get(id);
  if (citation === undefined) {
    // While the answer streams its sources may be still to come; in the end an unknown number is text.
    return scope.partial ? node("span", { class: "cite pending" }, [String(id)]) : `[${id}]`;
  }
  const title = cleanLine(citation.title, 120) || cleanLine(citation.url, 120);
  const quote = cleanLine(citation.quote, 280);
  const words = quote === "" ? title : `${title}\n\u201C${quote}\u201D`;
  const address = citationAddress(citation);
  if (address === null) return node("span", { class: "cite", title: words }, [String(id)]);
  return node("a", { ...outsideLink(address), class: "cite", title: words, "aria-label": say("sourceLabel", { n: id, title }) }, [String(id)]);
}

function node(tag, attributes, children) {
  return { tag, attributes, children };
}

// Makes `parent`'s children equal to `wanted` with as few changes as a comparison by place gives;
// an answer grows at its end, where that is exact.
function patchChildren(parent, wanted, from = 0) {
  wanted.forEach((want, index) => {
    const have = parent.childNodes[from + index];
    if (have === undefined) parent.append(build(want));
    else if (!patch(have, want)) have.replaceWith(build(want));
  });
  while (parent.childNodes.length > from + wanted.length) parent.lastChild.remove();
}

function patch(have, want) {
  if (typeof want === "string") {
    if (have.nodeType !== Node.TEXT_NODE) return false;
    if (have.data === want) return true;
    if (want.startsWith(have.data)) have.appendData(want.slice(have.data.length));
    else have.data = want;
    return true;
  }
  if (have.nodeType !== Node.ELEMENT_NODE || have.localName !== want.tag) return false;
  for (const name of have.getAttributeNames()) if (!(name in want.attributes)) have.removeAttribute(name);
  setAttributes(have, want.attributes);
  patchChildren(have, want.children);
  return true;
}

function build(want) {
  if (typeof want === "string") return document.createTextNode(want);
  if (!TAGS.has(want.tag)) throw new Error(`not of an answer: ${want.tag}`);
  const element = document.createElement(want.tag);
  setAttributes(element, want.attributes);
  patchChildren(element, want.children);
  return element;
}

function setAttributes(element, attributes) {
  for (const [name, value] of Object.entries(attributes)) {
    if (!ATTRIBUTES.has(name)) throw new Error(`not of an answer: ${name}`);
    if (element.getAttribute(name) !== value) element.setAttribute(name, value);
  }
}
