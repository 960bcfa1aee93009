// Builds elements, for the documentation page.
// Owns: one function per kind of element, and turning `code` marks and blank lines of a
// description into elements.
// Never: sets innerHTML, a style attribute, or an address that is not a fragment of this page.

/** @param {Record<string, string>} attributes @param {...(Node | string)} children */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children.filter((child) => child !== null));
  return element;
}

/** A description of the document: paragraphs, with `code` between backticks. */
export function prose(text) {
  return String(text ?? "")
    .split(/\n{2,}/)
    .filter((paragraph) => paragraph.trim() !== "")
    .map((paragraph) => make("p", {}, ...phrase(paragraph)));
}

/** One line of text with `code` between backticks. */
export function phrase(text) {
  return String(text ?? "")
    .split(/(`[^`\n]+`)/)
    .filter((part) => part !== "")
    .map((part) => (/^`[^`]+`$/.test(part) ? make("code", {}, part.slice(1, -1)) : part));
}

/** A block of code with a button that copies it. */
export function codeBlock(text, label) {
  const button = make("button", { type: "button", class: "copy", "aria-label": `Copy: ${label}` }, "Copy");
  const block = make("pre", { tabindex: "0", role: "group", "aria-label": label }, make("code", {}, text));
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = "Copied";
    } catch {
      // Without permission the text is selected, one key away from the clipboard.
      window.getSelection().selectAllChildren(block);
      button.textContent = "Selected";
    }
    setTimeout(() => {
      button.textContent = "Copy";
    }, 2000);
  });
  return make("div", { class: "code" }, block, button);
}

/** A table that scrolls by itself where it is too wide. */
export function table(label, heads, rows) {
  return make(
    "div",
    { class: "table", tabindex: "0", role: "group", "aria-label": label },
    make(
      "table",
      {},
      make("thead", {}, make("tr", {}, ...heads.map((head) => make("th", { scope: "col" }, head)))),
      make("tbody", {}, ...rows.map((cells) => make("tr", {}, ...cells.map((cell) => make("td", {}, ...[cell].flat()))))),
    ),
  );
}
