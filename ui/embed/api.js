// The calls to the visitor API, and nothing else that leaves this page.
// Owns: paths, headers, deadlines, and the one error type that callers see.
// Never: keeps the token (session.js does), sends cookies, follows a redirect, or calls another origin.

import { readEvents, StreamError } from "./stream.js";

const BASE = "/api/v1/widget";
const CALL_MILLISECONDS = 20_000;
const SILENCE_MILLISECONDS = 60_000;

export class ApiError extends Error {
  /**
   * @param {number} status HTTP status, 0 when no answer came
   * @param {string} code the server's code, or "offline", "slow", "cut_short", "malformed"
   */
  constructor(status, code, { message = "", requestId = "", retryAfterSeconds = 0 } = {}) {
    super(message || code);
    this.status = status;
    this.code = code;
    this.requestId = requestId;
    this.retryAfterSeconds = retryAfterSeconds;
  }
}

/** For a page of our own; on other pages the loader asks. @returns {Promise<{ticket: string}>} */
export async function createTicket(site) {
  return readJson(await call("POST", "/tickets", { body: { site } }));
}

/**
 * @param {{ticket: string, resume?: string, identity?: string, agreed?: true}} offer
 * @returns {Promise<{session: string, token: string, expires_at: number, origin: string, resume: string, resumed: boolean,
 *   look: object} | {needs_consent: true, origin: string, look: object}>}
 */
export async function startSession(offer) {
  return (await readJson(await call("POST", "/sessions", { body: offer }))) ?? {};
}

/** @returns {Promise<{messages: object[], token?: string, expires_at?: number}>} */
export async function readSession(token) {
  return readJson(await call("GET", "/session", { token }));
}

/** @returns {Promise<{receipt: {id: string, erased_at: unknown, messages: number, signature: string}}>} */
export async function deleteSession(token) {
  return readJson(await call("DELETE", "/session", { token }));
}

/** Everything that is stored of this visitor, as text. */
export async function exportSession(token) {
  return JSON.stringify(await readJson(await call("GET", "/session/export", { token })), null, 2);
}

/** @param {string} identity signed by the owner's server */
export async function sendIdentity(token, identity) {
  await call("POST", "/identity", { token, body: { token: identity } });
}

/** @param {{message_id: string, rating: "up" | "down", reason?: string}} feedback */
export async function sendFeedback(token, feedback) {
  await call("POST", "/feedback", { token, body: feedback });
}

/** The words of a language; a file of ours, not a call. @returns {Promise<object>} */
export async function readStrings(locale) {
  const response = await fetch(`/assets/embed/strings-${locale}.json`, { credentials: "omit", redirect: "error" });
  if (!response.ok) throw new ApiError(response.status, "unknown");
  return readJson(response);
}

/**
 * Asks a question. Resolves with `done`'s data; everything before it goes to the callbacks.
 * @param {{context: object | null, onDelta: (text: string) => void, onCitations: (citations: object[]) => void, signal: AbortSignal}} options
 */
export async function ask(token, message, { context, onDelta, onCitations, signal }) {
  const body = context === null ? { message } : { message, context };
  const response = await call("POST", "/messages", { token, body, accept: "text/event-stream", signal });
  const type = response.headers.get("content-type") ?? "";
  if (!type.startsWith("text/event-stream")) return readJson(response);
  try {
    for await (const { event, data } of readEvents(response.body, SILENCE_MILLISECONDS)) {
      const value = parseData(data);
      if (event === "delta" && typeof value.text === "string") onDelta(value.text);
      if (event === "citations") onCitations(value.citations);
      if (event === "done") return value;
      if (event === "error") throw errorFrom(response.status, value, response.headers);
    }
  } catch (error) {
    if (error instanceof ApiError || signal.aborted) throw error;
    throw new ApiError(0, error instanceof StreamError && error.reason === "silent" ? "slow" : "cut_short");
  }
  // The connection ended without `done`: what came is a part, and must not pass for the whole.
  throw new ApiError(0, "cut_short");
}

async function call(method, path, { token, body, accept = "application/json", signal }) {
  const headers = { Accept: accept };
  if (token) headers.Authorization = `Bearer ${token}`;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  // The deadline runs until the headers are there; the stream has its own after that.
  const deadline = new AbortController();
  const timer = setTimeout(() => deadline.abort(), accept === "text/event-stream" ? SILENCE_MILLISECONDS : CALL_MILLISECONDS);
  const abort = () => deadline.abort();
  signal?.addEventListener("abort", abort, { once: true });
  let response;
  try {
    response = await fetch(BASE + path, {
      method,
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      signal: deadline.signal,
      credentials: "omit",
      cache: "no-store",
      redirect: "error",
      referrerPolicy: "same-origin",
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new ApiError(0, deadline.signal.aborted ? "slow" : "offline");
  } finally {
    clearTimeout(timer);
  }
  if (response.ok) return response;
  let problem = {};
  try {
    problem = await response.json();
  } catch {
    // A proxy's page rather than our error shape; the status says enough.
  }
  throw errorFrom(response.status, problem, response.headers);
}

async function readJson(response) {
  try {
    return await response.json();
  } catch {
    throw new ApiError(response.status, "malformed");
  }
}

function parseData(data) {
  try {
    const value = JSON.parse(data);
    return value !== null && typeof value === "object" ? value : {};
  } catch {
    throw new ApiError(0, "malformed");
  }
}

function errorFrom(status, problem, headers) {
  const error = problem?.error ?? {};
  const seconds = Number.parseInt(headers.get("retry-after") ?? "", 10);
  return new ApiError(status, typeof error.code === "string" ? error.code : "unknown", {
    message: typeof error.message === "string" ? error.message : "",
    requestId: typeof error.request_id === "string" ? error.request_id : (headers.get("x-request-id") ?? ""),
    retryAfterSeconds: Number.isFinite(seconds) && seconds > 0 ? Math.min(seconds, 86_400) : 0,
  });
}
