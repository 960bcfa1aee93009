// The few ways in which the chat's own elements are made.
// Owns: elements with a class and a text, buttons, drawn icons.
// Never: an element of an answer (render.js has a closed list), or markup as text.

import { label } from "./language.js";

const OUTWARD = { target: "_blank", rel: "noopener noreferrer nofollow", referrerPolicy: "no-referrer" };
const SVG = "http://www.w3.org/2000/svg";

export function create(tag, className = "", text) {
  const element = document.createElement(tag);
  if (className !== "") element.className = className;
  if (text !== undefined) element.textContent = text;
  return element;
}

/** @param {string} spec as `label` takes it: "send" */
export function said(tag, className, spec, values) {
  return label(create(tag, className), spec, values);
}

export function button(className, spec, onClick) {
  const element = said("button", className, spec);
  element.type = "button";
  if (onClick) element.addEventListener("click", onClick);
  return element;
}

/** A link that leaves the chat; nothing of this page goes with it. */
export function outLink(className, address, text) {
  return Object.assign(create("a", className, text), { href: address, ...OUTWARD });
}

/** @param {string} shape path data on a field of 24 by 24 */
export function icon(shape) {
  const drawn = document.createElementNS(SVG, "svg");
  drawn.setAttribute("viewBox", "0 0 24 24");
  drawn.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", shape);
  drawn.append(path);
  return drawn;
}

export const byId = (id) => document.getElementById(id);
