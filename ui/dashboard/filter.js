// What somebody looks for, and its form in the page's address.
// Owns: the parts of a filter, their way into the address and back, into a query of the API and a frame of the socket, and
// which times it takes. Never: puts a secret into an address; a whole key becomes its public id, a whole session its
// beginning.

export const TEXTS = ["name", "address", "key", "session"];
const SPANS = { hour: 3600, day: 86_400, week: 604_800 };
const LONGEST = 256;
/** Characters of a session's id that the log keeps. */
const SESSION = 16;

/**
 * @typedef {{name?: string, address?: string, key?: string, session?: string, time?: string, since?: number, until?: number, follow?: boolean}} Filter
 * times are seconds since 1970
 */

/** @returns {Filter} what stands behind the `#`; what is not understood is left out */
export function fromAddress(hash) {
  const said = new URLSearchParams(hash.slice(1));
  const filter = {};
  for (const name of TEXTS) {
    const text = tidy(name, said.get(name) ?? "");
    if (text !== "") filter[name] = text;
  }
  const time = said.get("time");
  if (Object.hasOwn(SPANS, time ?? "")) filter.time = time;
  else {
    for (const name of ["since", "until"]) {
      const at = Date.parse(said.get(name));
      if (Number.isFinite(at)) filter[name] = Math.floor(at / 1000);
    }
    if ("since" in filter || "until" in filter) filter.time = "exact";
  }
  if (said.get("follow") === "1") filter.follow = true;
  return filter;
}

/** @param {Filter} filter */
export function toAddress(filter) {
  const parts = new URLSearchParams();
  for (const name of TEXTS) if (filter[name]) parts.set(name, filter[name]);
  if (Object.hasOwn(SPANS, filter.time ?? "")) parts.set("time", filter.time);
  for (const name of ["since", "until"]) {
    if (filter.time === "exact" && filter[name] !== undefined) parts.set(name, new Date(filter[name] * 1000).toISOString().replace(".000", ""));
  }
  if (filter.follow) parts.set("follow", "1");
  const text = parts.toString().replaceAll("%3A", ":").replaceAll("%2F", "/");
  return text === "" ? "" : `#${text}`;
}

/** A text as it may stand in an address: a secret key without its secret, a session without what would make it usable. */
export function tidy(name, text) {
  const bare = text.trim().slice(0, LONGEST);
  // What begins like a secret key and is none goes no further than its beginning, which the server refuses.
  if (name === "key") return /^cw_sk_(?:live|test|dev)_([0-9A-Za-z]{22})_/.exec(bare)?.[1] ?? bare.replace(/^(cw_sk_).*$/, "$1");
  return name === "session" ? bare.slice(0, SESSION) : bare;
}

/** The times that a filter takes, as of now. @returns {{since?: number, until?: number}} seconds */
export function bounds(filter, now = Date.now()) {
  if (Object.hasOwn(SPANS, filter.time ?? "")) return { since: Math.floor(now / 1000) - SPANS[filter.time] };
  if (filter.time !== "exact") return {};
  return Object.fromEntries(["since", "until"].filter((name) => filter[name] !== undefined).map((name) => [name, filter[name]]));
}

/** The address of a page of events. */
export function query(filter, more = {}) {
  const parts = new URLSearchParams();
  const texts = Object.fromEntries(TEXTS.filter((name) => filter[name]).map((name) => [name, filter[name]]));
  for (const [name, value] of Object.entries({ ...texts, ...bounds(filter), ...more })) {
    if (value !== undefined && value !== null) parts.set(name, String(value));
  }
  return `/api/v1/events?${parts}`;
}

/** What the socket is told. */
export function frame(filter) {
  const texts = TEXTS.filter((name) => filter[name]).map((name) => [name, filter[name]]);
  return JSON.stringify({ type: "filter", ...Object.fromEntries(texts) });
}

/** Whether an event happened in the times of a filter. */
export function isInTime(filter, event) {
  const { since = -Infinity, until = Infinity } = bounds(filter);
  const at = Date.parse(event.time) / 1000;
  return at >= since && at < until;
}

/** How many parts are set. */
export const countOf = (filter) => TEXTS.filter((name) => filter[name]).length + (filter.time ? 1 : 0);
