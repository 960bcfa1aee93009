// The page's calls to its own server, by cookies that no script can read.
// Owns: one call at a time for whatever changes the login, over all tabs of this browser; a refresh before the access
// cookie ends, or when it has; the deadline of every call; and what a refusal says.
// Never: holds a token, stores anything, or sends anything to another origin.

import { words } from "./words.js";

const LOCK = "chatward-login";
const PATIENCE_MILLISECONDS = 20_000;
/** How long before its end a login is continued. */
const EARLY_MILLISECONDS = 30_000;

/** When the access cookie ends, in this machine's time; unknown after a reload, until the server says. */
let endsAt = Infinity;
/** Grows with every login and refresh that is heard of, also of another tab's. */
let generation = 0;
let turn = Promise.resolve();

// Tells the other tabs that the login has changed. Nothing about it travels.
const tabs = "BroadcastChannel" in window ? new BroadcastChannel(LOCK) : null;

/** What the server refused, in its words; status 0 where it did not answer. */
export class Refused extends Error {
  constructor(status, code, message, wait = null) {
    super(wait === null ? message : `${message} ${words.waitSeconds(wait)}`);
    this.status = status;
    this.code = code;
  }
}

/** Calls back when another tab has logged in or out. */
export function onChangeElsewhere(changed) {
  tabs?.addEventListener("message", ({ data }) => {
    generation += 1;
    if (data === "in" || data === "out") changed();
  });
}

/** The user who is logged in; null for nobody. */
export async function whoIsIn() {
  try {
    return await call("GET", "/api/v1/auth/me");
  } catch (refusal) {
    if (refusal.status === 401) return null;
    throw refusal;
  }
}

/** @param {{email: string, password: string, code?: string}} proof */
export const logIn = (proof) => inTurn(async () => {
  note(await read(await send("POST", "/api/v1/auth/login", { ...proof, mode: "cookie" })));
  tabs?.postMessage("in");
});

export async function logOut() {
  try {
    await call("POST", "/api/v1/auth/logout");
  } catch (refusal) {
    // Who is out already has what they want.
    if (refusal.status !== 401) throw refusal;
  }
  endsAt = Infinity;
  tabs?.postMessage("out");
}

/** The JSON of an answer, by a login that is continued where that is needed. */
export async function call(method, path, body) {
  const known = generation;
  if (endsAt - Date.now() < EARLY_MILLISECONDS) await refresh(known);
  const answer = await send(method, path, body);
  if (answer.status !== 401 || !(await refresh(known))) return read(answer);
  return read(await send(method, path, body));
}

/** Continues the login, unless that has happened since; false where there is none to continue. */
function refresh(known) {
  return inTurn(async () => {
    if (generation !== known) return true;
    // It outlives the page: a token that was spent without its successor would end the login at the next use.
    const answer = await send("POST", "/api/v1/auth/refresh", {}, { keepalive: true });
    if (answer.status === 401) {
      endsAt = Infinity;
      return false;
    }
    note(await read(answer));
    tabs?.postMessage("on");
    return true;
  });
}

/** Two refreshes by one cookie look like a theft, so one waits for the other, whichever tab it is of. */
async function inTurn(work) {
  if (!navigator.locks) {
    const mine = turn.then(work);
    turn = mine.catch(() => {});
    return mine;
  }
  try {
    return await navigator.locks.request(LOCK, { signal: AbortSignal.timeout(PATIENCE_MILLISECONDS) }, work);
  } catch (error) {
    // A tab that the browser has put to sleep may hold its turn for long.
    throw error instanceof Refused ? error : new Refused(0, "unreachable", words.unreachable);
  }
}

function note({ left }) {
  generation += 1;
  endsAt = Date.now() + left;
}

async function send(method, path, body, more = {}) {
  const headers = body === undefined ? {} : { "content-type": "application/json" };
  const signal = AbortSignal.timeout(PATIENCE_MILLISECONDS);
  try {
    return await fetch(path, { method, headers, body: JSON.stringify(body), credentials: "same-origin", cache: "no-store", redirect: "error", signal, ...more });
  } catch {
    throw new Refused(0, "unreachable", words.unreachable);
  }
}

async function read(answer) {
  if (answer.status === 204) return null;
  const value = await answer.json().catch(() => null);
  if (!answer.ok) {
    const wait = Number.parseInt(answer.headers.get("retry-after"), 10);
    throw new Refused(answer.status, value?.error?.code ?? "", value?.error?.message ?? words.garbled, answer.status === 429 && wait > 0 ? wait : null);
  }
  if (value === null) throw new Refused(0, "garbled", words.garbled);
  if (!Number.isFinite(value.access_expires_at)) return value;
  // By the server's clock, which need not be this machine's.
  const now = Date.parse(answer.headers.get("date")) || Date.now();
  return { ...value, left: value.access_expires_at * 1000 - now };
}
