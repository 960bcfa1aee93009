// The events that are shown, newest first.
// Owns: their order, that none stands twice although events have no number, and how many are kept.
// Never: touches the page, or asks for events.

/** What is kept while events come in by themselves. */
export const KEPT = 500;

/** What two readings of one event have in common; the log, the socket and the trail write the same of it. */
const nameOf = (event) => JSON.stringify(["category", "time", "event", "request_id", "address", "session", "detail", "count", "record"].map((field) => event[field] ?? null));

export class EventList {
  /** @type {{event: object, name: string}[]} */
  entries = [];

  /** Forgets everything. */
  clear() {
    this.entries = [];
  }

  get size() {
    return this.entries.length;
  }

  /** The time of the newest, or the oldest; none where there is none. */
  get newest() {
    return this.entries[0]?.event.time;
  }

  get oldest() {
    return this.entries.at(-1)?.event.time;
  }

  /**
   * Takes events in that may be here already. Those of one reading that look alike are as many events, so what counts is how
   * many of them the reading has.
   * @returns {object[]} the entries that are new
   */
  take(events) {
    const here = new Map();
    for (const { name } of this.entries) here.set(name, (here.get(name) ?? 0) + 1);
    const added = [];
    for (const event of events) {
      const name = nameOf(event);
      const left = here.get(name) ?? 0;
      if (left > 0) here.set(name, left - 1);
      else added.push({ event, name });
    }
    // Times are texts of one length, so their order is that of the texts; a stable sort keeps that of the server.
    this.entries = [...this.entries, ...added].sort((one, other) => (one.event.time < other.event.time ? 1 : one.event.time > other.event.time ? -1 : 0));
    return added;
  }

  /** Lets go of the oldest beyond `most`. @returns {object[]} the entries that went */
  trim(most = KEPT) {
    return this.entries.splice(most);
  }
}
