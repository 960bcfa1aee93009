// Reads server-sent events from a fetch body (https://html.spec.whatwg.org/multipage/server-sent-events.html).
// Owns: the line and field rules, characters cut between chunks, the caps and the silence deadline.
// Never: knows what an event means. A stream that breaks a cap ends as an error, not as an answer.

const LONGEST_LINE = 256 * 1024;
const LONGEST_STREAM = 4 * 1024 * 1024;
const END_MILLISECONDS = 1_000;

export class StreamError extends Error {
  /** @param {"silent" | "oversized"} reason */
  constructor(reason) {
    super(`stream ${reason}`);
    this.reason = reason;
  }
}

/** Turns text as it arrives into events. Kept apart from the network so that tests can cut it anywhere. */
export class EventParser {
  #buffer = "";
  #event = "";
  #data = [];
  #dataLength = 0;
  #skipLineFeed = false;

  /** @returns {{event: string, data: string}[]} the events that this piece completed */
  push(piece) {
    const events = [];
    let rest = piece;
    if (this.#skipLineFeed && rest !== "") {
      this.#skipLineFeed = false;
      if (rest.startsWith("\n")) rest = rest.slice(1);
    }
    const ends = /\r\n|\r|\n/g;
    let from = 0;
    for (let end = ends.exec(rest); end !== null; end = ends.exec(rest)) {
      const line = this.#buffer + rest.slice(from, end.index);
      this.#buffer = "";
      from = end.index + end[0].length;
      // A carriage return at the very end may be half of a line end that is still under way.
      if (end[0] === "\r" && from === rest.length) this.#skipLineFeed = true;
      this.#take(line, events);
    }
    this.#buffer += rest.slice(from);
    if (this.#buffer.length > LONGEST_LINE) throw new StreamError("oversized");
    return events;
  }

  #take(line, events) {
    if (line === "") {
      if (this.#data.length > 0) events.push({ event: this.#event || "message", data: this.#data.join("\n") });
      this.#event = "";
      this.#data = [];
      this.#dataLength = 0;
      return;
    }
    if (line.startsWith(":")) return;
    const colon = line.indexOf(":");
    const field = colon < 0 ? line : line.slice(0, colon);
    let value = colon < 0 ? "" : line.slice(colon + 1);
    if (value.startsWith(" ")) value = value.slice(1);
    if (field === "event") this.#event = value;
    if (field === "data") {
      this.#dataLength += value.length;
      if (this.#dataLength > LONGEST_LINE) throw new StreamError("oversized");
      this.#data.push(value);
    }
  }
}

/**
 * @param {ReadableStream<Uint8Array>} body
 * @param {number} silenceMilliseconds longest wait for the next byte
 * @returns {AsyncGenerator<{event: string, data: string}>}
 */
export async function* readEvents(body, silenceMilliseconds) {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  const parser = new EventParser();
  let received = 0;
  let isBroken = false;
  try {
    for (;;) {
      const { value, done } = await withDeadline(reader.read(), silenceMilliseconds);
      if (done) return;
      received += value.byteLength;
      if (received > LONGEST_STREAM) throw new StreamError("oversized");
      yield* parser.push(decoder.decode(value, { stream: true }));
    }
  } catch (error) {
    isBroken = true;
    throw error;
  } finally {
    if (isBroken) reader.cancel().catch(() => {});
    else giveBack(reader);
  }
}

// After the last event the stream ends by itself a moment later; waiting for that keeps the
// connection for the next question, where cancelling would close it.
async function giveBack(reader) {
  try {
    const { done } = await withDeadline(reader.read(), END_MILLISECONDS);
    if (!done) await reader.cancel();
  } catch {
    reader.cancel().catch(() => {});
  }
}

function withDeadline(promise, milliseconds) {
  let timer;
  const deadline = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new StreamError("silent")), milliseconds);
  });
  return Promise.race([promise, deadline]).finally(() => clearTimeout(timer));
}
