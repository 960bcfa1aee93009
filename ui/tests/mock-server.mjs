// A stand-in for the server's visitor API, with the answers that a test cannot ask of a real one:
// errors of every kind, broken streams, and answers as hostile as a model could be made to write.
// Owns: three origins on free ports: the chat, a site that may frame it, and one that may not.
// Never: decides what is right; the tests do. Serves the same files under the same policy as the program.

import { createServer } from "node:http";
import { readFile } from "node:fs/promises";
import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";

import { answerFor } from "./mock-answers.mjs";

const UI = fileURLToPath(new URL("..", import.meta.url));
const SITE = "cw_pk_dev_0000000000000000000000000000";
const TYPES = { ".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml", ".json": "application/json" };
const MOST_BODY = 64 * 1024;

const pageHeaders = (policy) => ({
  "content-security-policy": policy,
  "x-content-type-options": "nosniff",
  "referrer-policy": "strict-origin-when-cross-origin",
  "cache-control": "no-store",
});
const ownPolicy = (ancestors) =>
  "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; base-uri 'none'; " +
  `form-action 'none'; frame-ancestors ${ancestors}; require-trusted-types-for 'script'; trusted-types 'none'`;

/**
 * @returns {Promise<{chat: string, host: string, foreign: string, site: string, requests: object[],
 *   look: object, options: object, close: () => Promise<void>}>} addresses without a final slash
 */
export async function startMock() {
  const mock = {
    site: SITE,
    requests: [],
    sessions: new Map(),
    ended: [],
    options: { refuseSite: false, failDelete: false, sessionStatus: 0 },
    look: {
      title: "Pellamoor help",
      greeting: "Hello. Ask about orders, kettles or tea.",
      starters: ["What does shipping to Canada cost?", "How do I descale a kettle?", "Can I return opened tea?"],
      language: "en",
      link_origins: [],
    },
  };
  const servers = [];
  const listen = async (handler) => {
    const server = createServer((request, response) => {
      handler(request, response).catch((error) => {
        if (!response.headersSent) response.writeHead(500);
        response.end(String(error));
      });
    });
    await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
    servers.push(server);
    return `http://127.0.0.1:${server.address().port}`;
  };
  mock.host = await listen((request, response) => hostPage(mock, request, response));
  mock.foreign = await listen((request, response) => hostPage(mock, request, response));
  mock.chat = await listen((request, response) => chatServer(mock, request, response));
  mock.look.link_origins = [mock.host];
  mock.close = async () => {
    for (const server of servers) {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }
  };
  return mock;
}

// A strict host page: what a careful owner's policy looks like, with the two lines the widget needs.
async function hostPage(mock, request, response) {
  const { pathname, searchParams } = new URL(request.url, "http://mock");
  const line = `<script src="${mock.chat}/widget.js" data-site-id="${searchParams.get("key") ?? mock.site}" async></script>`;
  if (pathname !== "/" && !pathname.startsWith("/page")) {
    response.writeHead(404).end();
    return;
  }
  response.writeHead(200, {
    "content-type": TYPES[".html"],
    ...pageHeaders(`default-src 'none'; script-src ${mock.chat}; frame-src ${mock.chat}; img-src 'self'; require-trusted-types-for 'script'; trusted-types 'none'`),
  });
  response.end(`<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<link rel="icon" href="${mock.host}/none"><title>A shop</title></head><body><main><h1>A shop</h1><p>Words of the shop. <a href="/page">A page</a></p></main>
${line.repeat(searchParams.has("twice") ? 2 : 1)}</body></html>`);
}

async function chatServer(mock, request, response) {
  const { pathname } = new URL(request.url, "http://mock");
  if (pathname.startsWith("/api/v1/widget/")) return api(mock, pathname.slice("/api/v1/widget".length), request, response);
  const [path, policy] = fileFor(mock, pathname);
  if (path === null) return problem(response, 404, "not_found", "There is nothing here.");
  const body = await readFile(join(UI, path));
  response.writeHead(200, { "content-type": TYPES[extname(path)] ?? "application/octet-stream", ...pageHeaders(policy) });
  response.end(body);
}

function fileFor(mock, pathname) {
  const embed = /^\/assets\/embed\/([a-z-]+\.(?:js|css|svg))$/.exec(pathname);
  const docs = /^\/assets\/docs\/([a-z-]+\.(?:js|css|svg))$/.exec(pathname);
  if (embed) return [`embed/${embed[1]}`, "default-src 'none'"];
  if (docs) return [`docs/${docs[1]}`, "default-src 'none'"];
  if (pathname.startsWith("/embed/")) return ["embed/index.html", ownPolicy(mock.host)];
  if (pathname === "/widget.js") return ["loader/widget.js", "default-src 'none'"];
  if (pathname === "/docs") return ["docs/docs.html", ownPolicy("'none'")];
  if (pathname === "/openapi.json") return ["tests/fixture-openapi.json", "default-src 'none'"];
  return [null, ""];
}

async function api(mock, path, request, response) {
  const body = await readBody(request);
  const entry = { method: request.method, path, headers: request.headers, body };
  mock.requests.push(entry);
  const call = `${request.method} ${path}`;
  if (request.method === "POST" && request.headers.origin !== mock.chat) return problem(response, 403, "origin_not_allowed", "This origin is not allowed.");
  if (call === "POST /sessions") return openSession(mock, body, response);

  const token = (request.headers.authorization ?? "").replace(/^Bearer /, "");
  const session = mock.sessions.get(token);
  if (session === undefined) return problem(response, 401, "session_unknown", "The session is unknown or has ended.");
  if (call === "GET /session") return json(response, 200, { session: session.id, expires_at: "2030-01-01T00:00:00Z", messages: session.messages });
  if (call === "DELETE /session") {
    if (mock.options.failDelete) return problem(response, 503, "unavailable", "Please try again.");
    mock.sessions.delete(token);
    return response.writeHead(204).end();
  }
  if (call === "POST /feedback") {
    const known = session.messages.some((message) => message.id === body.message_id);
    return known ? response.writeHead(204).end() : problem(response, 404, "not_found", "There is no such message.");
  }
  if (call === "POST /messages") return answer(mock, token, session, body.message, request, response);
  return problem(response, 404, "not_found", "There is nothing here.");
}

function openSession(mock, body, response) {
  if (mock.options.sessionStatus === 429) return problem(response, 429, "rate_limited", "Too many requests.", { "retry-after": "120" });
  if (mock.options.refuseSite || body.site !== mock.site) return problem(response, 403, "origin_not_allowed", "This site cannot be used here.");
  const token = `token-${mock.sessions.size + 1}-${Math.random().toString(36).slice(2)}`;
  mock.sessions.set(token, { id: `session_${"0".repeat(44)}`, messages: [] });
  return json(response, 200, { session: `session_${"0".repeat(44)}`, token, expires_at: "2030-01-01T00:00:00Z", look: mock.look });
}

async function answer(mock, token, session, question, request, response) {
  const script = answerFor(question, mock);
  if (script.expire && !mock.expired) {
    mock.expired = true;
    mock.sessions.delete(token);
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
    if (step.bytes) response.write(step.bytes);
    if (step.event) response.write(`event: ${step.event}\ndata: ${JSON.stringify(step.data)}\n\n`);
    if (step.hold) return;
  }
  if (script.text === undefined) return response.end();
  const id = `message_${session.messages.length}`;
  session.messages.push({ id: `message_q${session.messages.length}`, role: "user", text: question, citations: [], created_at: "2026-01-01T00:00:00Z" });
  session.messages.push({ id, role: "assistant", text: script.text, citations: script.citations, created_at: "2026-01-01T00:00:01Z" });
  response.write(`event: done\ndata: ${JSON.stringify({ message_id: id, text: script.text, citations: script.citations })}\n\n`);
  response.end();
}

async function readBody(request) {
  let text = "";
  for await (const piece of request) {
    text += piece;
    if (text.length > MOST_BODY) return {};
  }
  return text === "" ? {} : JSON.parse(text);
}

function json(response, status, value) {
  response.writeHead(status, { "content-type": "application/json", "cache-control": "no-store", "x-content-type-options": "nosniff" });
  response.end(JSON.stringify(value));
}

function problem(response, status, code, message, headers = {}) {
  response.writeHead(status, { "content-type": "application/json", "x-content-type-options": "nosniff", ...headers });
  response.end(JSON.stringify({ error: { code, message, request_id: "req_mock_0001" } }));
}
