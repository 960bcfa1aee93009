// The room of the events: what is looked for, what was found, and more of it.
// Owns: the reading of pages by their cursors, bounded, and what is said when nothing is there or nothing came.
// Never: keeps anything when it is left, or shows what another filter asked for.

import { button, make, phrase, statusLine } from "./elements.js";
import { filterForm } from "./filter-form.js";
import { bounds, countOf, fromAddress, query, toAddress } from "./filter.js";
import { EventList, KEPT } from "./list.js";
import { Live } from "./live.js";
import { eventRow, eventTable, removeRow } from "./rows.js";
import { call } from "./server.js";
import { words } from "./words.js";

const PAGE = 50;
/** Pages that are read for one look: a page of a long log may hold nothing and have a next one. */
const LOOK = 5;
/** Rows that one list shows. */
const MOST = 2000;
const REFUSALS = ["role_insufficient", "second_factor_required"];

export class EventsRoom {
  filter = {};
  list = new EventList();
  #rows = new WeakMap();
  #shown = 0;
  /** Where the next page begins; null where there is none. */
  #next = null;
  #turn = 0;
  #leave;
  #form = filterForm((filter) => this.#go({ ...filter, ...(this.filter.follow ? { follow: true } : {}) }));
  #filterTitle = make("summary", {}, words.filter);
  #status = statusLine({ class: "result" });
  #error = make("div", { class: "problem", role: "alert", hidden: true });
  #empty = make("div", { class: "nothing", hidden: true });
  #more = button(words.more, () => this.#readOn(), { class: "more", hidden: true });
  #table = eventTable();
  body = this.#table.body;
  top = make("h1", { tabindex: "-1" }, words.room);
  #live = new Live(this);
  #found = make("div", { class: "found", hidden: true }, this.#table.table);

  /** @param {{out: (said: string) => void, refuse: (refusal: Error) => void}} leave */
  constructor(leave) {
    this.#leave = leave;
    const open = matchMedia("(min-width: 48rem)").matches;
    this.view = make(
      "section",
      { class: "room" },
      make("div", { class: "head" }, make("div", {}, this.top, make("p", { class: "lead" }, words.lead, " ", words.zone(Intl.DateTimeFormat().resolvedOptions().timeZone)))),
      make("details", { class: "filter", open }, this.#filterTitle, this.#form.form),
      make("div", { class: "above" }, this.#live.box, this.#status),
      this.#live.bar,
      this.#error,
      this.#empty,
      this.#found,
      make("p", { class: "below" }, this.#more),
    );
  }

  start() {
    window.addEventListener("hashchange", this.#onAddress);
    this.#onAddress();
  }

  stop() {
    this.#turn += 1;
    window.removeEventListener("hashchange", this.#onAddress);
    this.#live.stop();
    this.list.clear();
    this.body.replaceChildren();
  }

  out(said) {
    this.#leave.out(said);
  }

  /** Turns following on or off; the address says so too. */
  setFollow(wanted) {
    const { follow: _, ...rest } = this.filter;
    this.filter = wanted ? { ...rest, follow: true } : rest;
    history.replaceState(null, "", location.pathname + toAddress(this.filter));
    this.#live.follow(wanted);
  }

  /** Takes events in without showing them. @returns {number} how many are new */
  take(events) {
    const added = this.list.take(events).length;
    this.#drop(this.list.trim(MOST + KEPT));
    return added;
  }

  /** How many are here and not shown. */
  waiting() {
    return this.list.size - this.#shown;
  }

  /** Shows what is here and not shown yet, and lets go of the oldest. */
  show(most = KEPT) {
    this.#drop(this.list.trim(most));
    let below = null;
    for (let at = this.list.size - 1; at >= 0; at -= 1) {
      const entry = this.list.entries[at];
      let row = this.#rows.get(entry);
      if (!row) {
        row = eventRow(entry, (part) => this.#narrow(part));
        this.#rows.set(entry, row);
        this.body.insertBefore(row, below);
        this.#shown += 1;
      }
      below = row;
    }
    this.#found.hidden = this.list.size === 0;
    if (this.list.size > 0) this.#empty.hidden = true;
    this.#tell();
    this.#live.update();
  }

  #drop(entries) {
    for (const entry of entries) {
      const row = this.#rows.get(entry);
      if (!row) continue;
      removeRow(row);
      this.#shown -= 1;
    }
    // What went is found again from the oldest that stayed; that second is read twice and shown once.
    if (entries.length > 0) this.#next = { until: Math.floor(Date.parse(this.list.oldest) / 1000) + 1 };
  }

  #onAddress = () => {
    this.filter = fromAddress(location.hash);
    // A key or a session that came in an address whole does not stay in it.
    history.replaceState(null, "", location.pathname + toAddress(this.filter));
    this.#form.show(this.filter);
    this.#load();
  };

  #go(filter) {
    this.filter = filter;
    const address = location.pathname + toAddress(filter);
    if (address !== location.pathname + location.hash) history.pushState(null, "", address);
    this.#load();
  }

  #narrow(part) {
    const filter = { ...this.filter, ...part };
    this.#form.show(filter);
    this.#go(filter);
    this.top.focus();
  }

  async #load() {
    this.#turn += 1;
    this.list.clear();
    this.body.replaceChildren();
    this.#shown = 0;
    this.#next = {};
    this.#found.hidden = true;
    this.#empty.hidden = true;
    this.#filterTitle.textContent = words.filterSet(countOf(this.filter));
    this.#live.update();
    if (await this.#readOn()) this.#live.follow(this.filter.follow === true);
    else this.#live.follow(false);
  }

  /** Reads on until there is something to show; false where that did not work. */
  async #readOn() {
    const turn = this.#turn;
    const had = this.list.size;
    this.#error.hidden = true;
    this.#more.disabled = true;
    this.#status.textContent = words.loading;
    try {
      for (let page = 0; page < LOOK && this.#next !== null && this.list.size === had; page += 1) {
        if (this.#next.until <= bounds(this.filter).since) this.#next = null;
        else await this.#readPage(turn);
        if (turn !== this.#turn) return false;
      }
    } catch (refusal) {
      if (turn === this.#turn) this.#fail(refusal);
      return false;
    } finally {
      this.#more.disabled = false;
    }
    this.show(MOST);
    if (this.list.size === 0) this.#sayNothing();
    return true;
  }

  async #readPage(turn) {
    const { events, next_cursor: cursor } = await call("GET", query(this.filter, { limit: PAGE, ...this.#next }));
    if (turn !== this.#turn) return;
    this.list.take(events);
    this.#next = cursor ? { cursor } : null;
  }

  #fail(refusal) {
    this.#status.textContent = "";
    this.#more.hidden = this.list.size === 0;
    if (refusal.status === 401) return this.out(words.loginEnded);
    if (REFUSALS.includes(refusal.code)) return this.#leave.refuse(refusal);
    if (refusal.status === 422 && this.#form.complain(refusal.message)) {
      this.#filterTitle.parentElement.open = true;
      return undefined;
    }
    this.#error.hidden = false;
    this.#error.replaceChildren(make("h2", {}, words.failed), make("p", {}, phrase(refusal.message)), button(words.retry, () => (this.list.size === 0 ? this.#load() : this.#readOn())));
    return undefined;
  }

  #tell() {
    const full = this.list.size >= MOST;
    this.#status.textContent = this.list.size === 0 ? "" : words.shown(this.#shown, this.#next !== null) + (full && this.#next !== null ? ` ${words.enough}` : "");
    this.#more.hidden = this.#next === null || full;
    this.#more.textContent = this.list.size === 0 ? words.further : words.more;
  }

  #sayNothing() {
    const filtered = countOf(this.filter) > 0;
    const [title, lead] = this.#next !== null ? [words.nothingSoFar, words.nothingSoFarLead] : [words.nothing, filtered ? words.nothingFits : words.nothingYet];
    this.#empty.replaceChildren(make("h2", {}, title), make("p", {}, lead));
    this.#empty.hidden = false;
  }
}
