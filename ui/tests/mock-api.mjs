// The visitor API of the stand-in server: tickets, sessions, messages, feedback, export, receipts.
// Owns: what `mock` remembers of them (tickets, sessions, resume ids, requests), and the failures a test asks for
// by `mock.options`.
// Never: serves a page or a file (mock-server.mjs), or writes an answer's text (mock-answers.mjs).

import { answerFor } from "./mock-answers.mjs";

const MOST_BODY = 64 * 1024;
const NEVER_ENDS = 1_893_456_000;

export async function api(mock, path, request, response) {
  const body = await readBody(request);
  mock.requests.push({ method: request.method, path, headers: request.headers, body });
  const call = `${request.method} ${path}`;
  if (path === "/tickets") return tickets(mock, body, request, response);
  if (request.method === "POST" && request.headers.origin !== mock.chat) return problem(response, 403, "origin_not_allowed", "This origin is not allowed.");
  if (call === "POST /sessions") return openSession(mock, body, response);

  const token = (request.headers.authorization ?? "").replace(/^Bearer /, "");
  const session = mock.sessions.get(token);
  if (session === undefined) return problem(response, 401, "session_unknown", "The session is unknown or has ended.");
  if (call === "GET /session") {
    return json(response, 200, { session: session.id, token: freshToken(mock, session), expires_at: mock.options.expiresAt ?? NEVER_ENDS, look: mock.look, resume: session.resume, messages: session.messages });
  }
  if (call === "DELETE /session") {
    if (mock.options.failDelete) return problem(response, 503, "unavailable", "Please try again.");
    for (const [one, kept] of mock.sessions) if (kept === session) mock.sessions.delete(one);
    mock.resumes.delete(session.resume);
    return json(response, 200, { receipt: { id: `receipt_${session.id}`, session: session.id, erased_at: "2026-03-04T05:06:07Z", messages: session.messages.length, signature: "c2lnbmF0dXJl" } });
  }
  if (call === "GET /session/export") {
    if (mock.options.failExport) return problem(response, 503, "unavailable", "Please try again.");
    const receipt = { id: `receipt_export`, session: session.id, exported_at: "2026-03-04T05:06:07Z", messages: session.messages.length, digest: "0".repeat(64), signature: "c2lnbmF0dXJl" };
    const whole = { session: session.id, origin: session.origin, network: "127.0.0.0/24", created_at: "2026-03-04T05:00:00Z", last_activity_at: "2026-03-04T05:06:00Z", messages: session.messages, receipt };
    return json(response, 200, whole, { "content-disposition": 'attachment; filename="conversation.json"' });
  }
  if (call === "POST /identity") {
    const isOther = session.identity !== undefined && subjectOf(session.identity) !== subjectOf(body.token);
    if (!soundIdentity(body.token) || isOther) return problem(response, 422, "identity_invalid", "The identity token is not valid.");
    session.identity = body.token;
    return response.writeHead(204).end();
  }
  if (call === "POST /feedback") {
    const known = session.messages.some((message) => message.id === body.message_id);
    return known ? response.writeHead(204).end() : problem(response, 404, "not_found", "There is no such message.");
  }
  if (call === "POST /messages") return answer(mock, token, session, body.message, request, response);
  return problem(response, 404, "not_found", "There is nothing here.");
}

// Tickets are asked for by the host page's loader, so this alone answers other origins.
function tickets(mock, body, request, response) {
  const { origin } = request.headers;
  const shared = { "access-control-allow-origin": origin ?? "null", vary: "Origin" };
  if (request.method === "OPTIONS") {
    response.writeHead(204, { ...shared, "access-control-allow-methods": "POST", "access-control-allow-headers": "content-type", "access-control-max-age": "600" });
    return response.end();
  }
  const { ticketStatus } = mock.options;
  if (ticketStatus === 429) return problem(response, 429, "rate_limited", "Too many requests.", { ...shared, "retry-after": "120", "access-control-expose-headers": "Retry-After" });
  if (ticketStatus) return problem(response, ticketStatus, "unavailable", "Please try again.", shared);
  if (body.site !== mock.site) {
    const isElsewhere = /^cw_pk_(live|test)_/.test(body.site ?? "");
    return problem(response, 404, isElsewhere ? "site_unknown_environment" : "site_unknown", "There is no such site here.", shared);
  }
  if (mock.options.refuseSite || (origin !== mock.chat && !mock.origins.includes(origin))) {
    return problem(response, 403, "origin_not_allowed", "This origin is not allowed.", shared);
  }
  const ticket = `ticket-${unguessable()}`;
  mock.tickets.set(ticket, { origin });
  return json(response, 201, { ticket, expires_at: NEVER_ENDS, origin }, shared);
}

function openSession(mock, body, response) {
  if (mock.options.sessionStatus === 429) return problem(response, 429, "rate_limited", "Too many requests.", { "retry-after": "120" });
  if (mock.options.sessionStatus) return problem(response, mock.options.sessionStatus, "unavailable", "Please try again.");
  let origin = mock.chat;
  if (body.ticket === undefined) {
    if (mock.options.refuseSite || body.site !== mock.site) return problem(response, 403, "origin_not_allowed", "This site cannot be used here.");
  } else {
    const ticket = mock.tickets.get(body.ticket);
    mock.tickets.delete(body.ticket);
    if (ticket === undefined) return problem(response, 401, "ticket_invalid", "The ticket is not valid.");
    origin = ticket.origin;
  }
  if (body.identity !== undefined && !soundIdentity(body.identity)) return problem(response, 422, "identity_invalid", "The identity token is not valid.");
  const kept = mock.resumes.get(body.resume);
  // A conversation of somebody whom the owner's server vouched for goes on for the same person alone.
  const isSame = kept?.identity === undefined || subjectOf(kept.identity) === subjectOf(body.identity);
  if (body.identity !== undefined && !isSame) return problem(response, 422, "identity_invalid", "The identity token is not valid.");
  const resumed = kept !== undefined && kept.origin === origin && isSame;
  if (mock.look?.consent === true && !resumed && body.agreed !== true) {
    return json(response, 200, { needs_consent: true, origin: mock.options.wrongOrigin ?? origin, look: mock.look });
  }
  const session = resumed ? kept : newSession(mock, origin);
  if (body.identity !== undefined) session.identity = body.identity;
  const token = freshToken(mock, session);
  return json(response, 201, {
    session: session.id, token, expires_at: mock.options.expiresAt ?? NEVER_ENDS, origin: mock.options.wrongOrigin ?? origin, resume: session.resume, resumed, look: mock.look,
  });
}

function freshToken(mock, session) {
  const token = `token-${mock.sessions.size + 1}-${unguessable()}`;
  mock.sessions.set(token, session);
  return token;
}

function newSession(mock, origin) {
  mock.opened += 1;
  const session = { id: `session_${String(mock.opened).padStart(44, "0")}`, origin, resume: `resume-${unguessable()}`, messages: mock.history ?? [] };
  mock.resumes.set(session.resume, session);
  return session;
}

async function answer(mock, token, session, question, request, response) {
  const script = answerFor(question, mock);
  if (script.expire && !mock.expired) {
    mock.expired = true;
    mock.sessions.delete(token);
    mock.resumes.delete(session.resume);
    return problem(response, 401, "session_unknown", "The session is unknown or has ended.");
  }
  if (script.status) return problem(response, script.status, script.code, script.message, script.headers);
  if (script.destroy) return request.socket.destroy();
  response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-store", "x-content-type-options": "nosniff" });
  response.flushHeaders();
  response.on("close", () => mock.ended.push({ question, isComplete: response.writableFinished }));
  for (const step of script.steps) {
    if (response.destroyed) return;
    if (step.wait) await new Promise((resolve) => setTimeout(resolve, step.wait));
    if (step.until) await new Promise((resolve) => mock.gates.set(step.until, resolve));
    if (step.bytes) response.write(step.bytes);
    if (step.event) response.write(`event: ${step.event}\ndata: ${JSON.stringify(step.data)}\n\n`);
    if (step.hold) return;
  }
  if (script.text === undefined) return response.end();
  const id = `message_${session.messages.length}`;
  const asked = { id: `message_q${session.messages.length}`, role: "user", text: question, citations: [], created_at: "2026-01-01T00:00:00Z", state: "complete" };
  const said = { id, role: "assistant", text: script.text, citations: script.citations, created_at: "2026-01-01T00:00:01Z", state: "complete" };
  if (script.cutShort) said.state = "interrupted";
  session.messages.push(asked, said);
  response.write(`event: done\ndata: ${JSON.stringify({ message_id: id, text: script.text, citations: script.citations, cut_short: script.cutShort })}\n\n`);
  response.end();
}

// A stand-in for a signed token: "valid.<subject>" and anything behind a colon.
const subjectOf = (token) => String(token).split(":")[0];
const soundIdentity = (token) => typeof token === "string" && token.startsWith("valid");
const unguessable = () => Math.random().toString(36).slice(2);

async function readBody(request) {
  let text = "";
  for await (const piece of request) {
    text += piece;
    if (text.length > MOST_BODY) return {};
  }
  return text === "" ? {} : JSON.parse(text);
}

export function json(response, status, value, headers = {}) {
  response.writeHead(status, { "content-type": "application/json", "cache-control": "no-store", "x-content-type-options": "nosniff", ...headers });
  response.end(JSON.stringify(value));
}

export function problem(response, status, code, message, headers = {}) {
  response.writeHead(status, { "content-type": "application/json", "x-content-type-options": "nosniff", ...headers });
  response.end(JSON.stringify({ error: { code, message, request_id: "req_mock_0001" } }));
}
