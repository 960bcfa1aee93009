// Builds elements, for the dashboard.
// Owns: one function that makes an element, one for a labelled field, one that tells a screen reader, and one for what the
// server says, which marks code by backticks.
// Never: sets innerHTML or a style attribute, or makes an attribute out of a handler.

/** @param {Record<string, string | number | boolean | null | Function>} attributes a function is a listener; null and false are left out */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value !== null && value !== false) element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.flat().filter((child) => child !== null));
  return element;
}

export const button = (text, click, attributes = {}) => make("button", { type: "button", click, ...attributes }, text);

/** A label, its control, what it takes, and the place for what is wrong with it. */
export function field(id, label, control, advice = null) {
  const error = make("span", { class: "field-error", id: `${id}-error` });
  const hint = advice === null ? null : make("span", { class: "field-advice", id: `${id}-advice` }, advice);
  control.id = id;
  control.setAttribute("aria-describedby", `${advice === null ? "" : `${id}-advice `}${id}-error`);
  const box = make("div", { class: "field" }, make("label", { for: id }, label), control, hint, error);
  const complain = (text) => {
    error.textContent = text;
    control.toggleAttribute("data-wrong", text !== "");
    control.setAttribute("aria-invalid", String(text !== ""));
  };
  return { box, control, complain };
}

/** One line of the server's words, with `code` between backticks. */
export const phrase = (text) => text.split(/(`[^`\n]+`)/).filter((part) => part !== "").map((part) => (/^`[^`]+`$/.test(part) ? make("code", {}, part.slice(1, -1)) : part));

/** A line that is read out when it changes. */
export const statusLine = (attributes = {}, text = "") => make("p", { role: "status", ...attributes }, text);
