// The form of the filter.
// Owns: its fields, what was typed into them, and which field a refusal of the server belongs to.
// Never: asks the server itself.

import { button, field, make } from "./elements.js";
import { TEXTS, tidy } from "./filter.js";
import { words } from "./words.js";

/** The server names the part at the beginning of what it says. */
const NAMED = /^The (name|address|key|session|time)\b/;

/** @param {(filter: import("./filter.js").Filter) => void} search */
export function filterForm(search) {
  const text = (name) => field(`filter-${name}`, words[name], make("input", { type: "text", name, autocomplete: "off", autocapitalize: "none", spellcheck: "false", maxlength: 256 }), words[`${name}Advice`]);
  const moment = (name) => field(`filter-${name}`, words[name], make("input", { type: "datetime-local", name, step: "1" }));
  const texts = Object.fromEntries(TEXTS.map((name) => [name, text(name)]));
  const choices = Object.entries(words.times).map(([value, label]) => make("option", { value }, label));
  const time = field("filter-time", words.time, make("select", { name: "time", change: showMoments }, choices));
  const moments = { since: moment("since"), until: moment("until") };
  const exact = make("div", { class: "moments" }, moments.since.box, moments.until.box);
  const all = [...Object.values(texts), time, ...Object.values(moments)];

  function showMoments() {
    exact.hidden = time.control.value !== "exact";
  }

  function typed() {
    const filter = {};
    for (const name of TEXTS) {
      const value = tidy(name, texts[name].control.value);
      texts[name].control.value = value;
      if (value !== "") filter[name] = value;
    }
    if (time.control.value !== "") filter.time = time.control.value;
    if (filter.time !== "exact") return filter;
    for (const [name, { control, complain }] of Object.entries(moments)) {
      if (control.validity.badInput) complain(words.notATime);
      if (control.value !== "") filter[name] = Math.floor(Date.parse(control.value) / 1000);
    }
    if (!("since" in filter || "until" in filter)) delete filter.time;
    return filter;
  }

  function submit(event) {
    event.preventDefault();
    for (const { complain } of all) complain("");
    const filter = typed();
    const wrong = all.find(({ control }) => control.hasAttribute("data-wrong"));
    if (wrong) wrong.control.focus();
    else search(filter);
  }

  function clear() {
    show({});
    search({});
  }

  /** Shows a filter. */
  function show(filter) {
    for (const name of TEXTS) texts[name].control.value = filter[name] ?? "";
    time.control.value = filter.time ?? "";
    for (const [name, { control }] of Object.entries(moments)) control.value = filter[name] === undefined ? "" : localText(filter[name]);
    for (const { complain } of all) complain("");
    showMoments();
  }

  /** Says a refusal beside the field that it is about; false where it is about none. */
  function complain(message) {
    const name = NAMED.exec(message)?.[1];
    const at = { ...texts, time }[name];
    if (!at) return false;
    at.complain(message);
    at.control.focus();
    return true;
  }

  const form = make(
    "form",
    { class: "filter-form", submit, "aria-label": words.filter, autocomplete: "off", novalidate: true },
    Object.values(texts).map(({ box }) => box),
    time.box,
    exact,
    make("p", { class: "actions" }, make("button", { type: "submit", class: "primary" }, words.search), button(words.clear, clear)),
  );
  showMoments();
  return { form, show, complain };
}

/** A time as a field for times of the reader's zone takes it. */
function localText(seconds) {
  const at = new Date(seconds * 1000);
  const two = (number) => String(number).padStart(2, "0");
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}T${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
}
