// One event as a row of the table, and its details below it.
// Owns: what is shown of an event and how. Never: shows anything as markup; whatever strangers sent is text.

import { button, make } from "./elements.js";
import { words } from "./words.js";

const COLUMNS = Object.keys(words.columns);
const CLOCK = new Intl.DateTimeFormat("en", { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const DAY = new Intl.DateTimeFormat("en", { year: "numeric", month: "short", day: "numeric" });
let rows = 0;

/** The table with no row yet. Its roles are written out: a narrow page lays rows out as cards, which takes them away. */
export function eventTable() {
  const heads = COLUMNS.map((name) => make("th", { scope: "col", role: "columnheader", class: `c-${name}` }, words.columns[name]));
  const body = make("tbody", { role: "rowgroup" });
  const table = make("table", { role: "table" }, make("caption", {}, words.caption), make("thead", { role: "rowgroup" }, make("tr", { role: "row" }, heads)), body);
  return { table, body };
}

/** @param {(part: object) => void} narrow asks for events that have this in common with the row's */
export function eventRow({ event }, narrow) {
  const id = `details-${(rows += 1)}`;
  const time = timeOf(event.time);
  const toggle = button(make("span", { class: "event-name" }, event.event), open, { class: "toggle", "aria-expanded": "false", "aria-label": words.detailsOf(event.event, time.textContent) });
  const cells = {
    time: [time],
    severity: [severityOf(event)],
    event: [toggle, event.count ? make("span", { class: "count", title: words.countOf(event.count) }, words.count(event.count)) : null, summaryOf(event)],
    address: [event.address ? make("span", { class: "mono" }, event.address) : null],
    place: [pieceOf(event.site), pieceOf(event.session)],
    who: [pieceOf(event.actor), pieceOf(event.subject)],
  };
  const row = make("tr", { role: "row", class: `event severity-${levelOf(event)}` }, COLUMNS.map((name) => cellOf(name, cells[name].filter((piece) => piece !== null))));

  function open() {
    const isOpen = toggle.getAttribute("aria-expanded") === "true";
    toggle.setAttribute("aria-expanded", String(!isOpen));
    row.classList.toggle("open", !isOpen);
    if (isOpen) {
      toggle.removeAttribute("aria-controls");
      document.getElementById(id)?.remove();
    } else {
      toggle.setAttribute("aria-controls", id);
      row.after(detailsOf(event, id, narrow));
    }
  }

  return row;
}

/** Takes a row away, with its details. */
export function removeRow(row) {
  if (row.nextElementSibling?.classList.contains("details")) row.nextElementSibling.remove();
  row.remove();
}

function cellOf(name, pieces) {
  return make("td", { role: "cell", class: `c-${name}${pieces.length === 0 ? " empty" : ""}`, "data-label": words.columns[name] }, pieces);
}

function timeOf(text) {
  const at = new Date(text);
  if (Number.isNaN(at.getTime())) return make("span", {}, text);
  return make("time", { datetime: text, title: text.replace("T", " ").replace("Z", " UTC") }, make("span", { class: "clock" }, CLOCK.format(at)), " ", make("span", { class: "day" }, DAY.format(at)));
}

const levelOf = (event) => (event.category === "AUDIT" ? "record" : (event.severity ?? "info"));

// A shape of its own beside its word: colour alone tells nobody who does not see it.
function severityOf(event) {
  const level = levelOf(event);
  return make("span", { class: "severity" }, make("span", { class: "shape", "aria-hidden": "true" }), words.severities[level] ?? level);
}

const summaryOf = (event) => (event.detail && event.category !== "AUDIT" ? make("span", { class: "summary" }, event.detail) : null);
const pieceOf = (text) => (text ? make("span", { class: "piece mono", title: text }, text) : null);

function detailsOf(event, id, narrow) {
  const list = make("dl");
  for (const [name, label] of Object.entries(words.fields)) {
    const value = event[name];
    if (value === undefined || value === null || value === "") continue;
    list.append(make("div", { class: `f-${name}` }, make("dt", {}, label), make("dd", {}, textOf(name, value))));
  }
  const offers = [
    [words.onlyName, { name: event.event }, true],
    [words.onlyAddress, { address: event.address }, event.address],
    [words.onlySession, { session: event.session }, event.session],
  ];
  const buttons = offers.filter(([, , has]) => has).map(([label, part]) => button(label, () => narrow(part), { class: "small" }));
  const cell = make("td", { role: "cell", colspan: COLUMNS.length }, list, make("p", { class: "only" }, make("span", {}, words.only), buttons));
  return make("tr", { role: "row", class: "details", id }, cell);
}

function textOf(name, value) {
  if (name === "category") return words.categories[value] ?? value;
  if (name === "severity") return words.severities[value] ?? value;
  return name === "count" ? words.countOf(value) : String(value);
}
