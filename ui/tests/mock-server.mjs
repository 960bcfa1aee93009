// A stand-in for the server, with the answers that a test cannot ask of a real one: errors of every kind, broken
// streams, and answers as hostile as a model could be made to write.
// Owns: three origins on free ports (the chat, a site that may frame it, one that may not), and their pages and files.
// Never: decides what is right; the tests do. Serves what ships (ui/dist, built anew when a source is newer) under the
// same policy as the program.

import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";

import { buildIfOlder } from "../build.mjs";
import { api, problem } from "./mock-api.mjs";

const UI = fileURLToPath(new URL("..", import.meta.url));
const SITE = "cw_pk_dev_0000000000000000000000000000";
const TYPES = { ".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml", ".json": "application/json" };

const pageHeaders = (policy) => ({
  "content-security-policy": policy,
  "x-content-type-options": "nosniff",
  "referrer-policy": "strict-origin-when-cross-origin",
  "cache-control": "no-store",
});
const ownPolicy = (ancestors, more = "") =>
  "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; base-uri 'none'; " +
  `form-action 'none'; frame-ancestors ${ancestors}; require-trusted-types-for 'script'; trusted-types 'none'${more}`;
const ASSET = { policy: "default-src 'none'", headers: { "cross-origin-resource-policy": "same-origin" } };
const SCRIPT = { policy: "default-src 'none'", headers: { "cross-origin-resource-policy": "cross-origin", "access-control-allow-origin": "*" } };
// The framed page can stand on pages that isolate themselves (COEP).
const FRAMED = { "cross-origin-embedder-policy": "require-corp", "cross-origin-resource-policy": "cross-origin" };

/**
 * What a test may look at and set:
 *   `requests` (method, path, headers, body of each API call), `sessions` by token, `resumes`, `tickets` (clear them to
 *   expire them), `ended` streams, `gates` (open one to let a waiting answer go on), `history` (messages that a new
 *   session starts with), `look`, `origins` that may frame the chat, `pages` of the host: a path to
 *   {headers, body}, for hosts with policies of their own, and `options`.
 * @returns {Promise<object>} mock; `chat`, `host` and `foreign` are addresses without a final slash
 */
export async function startMock() {
  await buildIfOlder();
  const mock = {
    site: SITE,
    requests: [],
    sessions: new Map(),
    resumes: new Map(),
    tickets: new Map(),
    gates: new Map(),
    pages: new Map(),
    opened: 0,
    ended: [],
    history: null,
    options: { refuseSite: false, failDelete: false, failExport: false, sessionStatus: 0, ticketStatus: 0, wrongOrigin: null, expiresAt: undefined },
    look: {
      name: "Pellamoor",
      title: "Pellamoor help",
      greeting: "Hello. Ask about orders, kettles or tea.",
      starters: ["What does shipping to Canada cost?", "How do I descale a kettle?", "Can I return opened tea?"],
      language: "en",
      link_origins: [],
      max_characters: 1000,
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
  mock.origins = [mock.host];
  mock.digest = createHash("sha256").update(await readFile(join(UI, "dist/loader/widget.js"))).digest("hex").slice(0, 16);
  mock.close = async () => {
    for (const server of servers) {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }
  };
  return mock;
}

// A strict host page: what a careful owner's policy looks like, with the lines the widget needs.
async function hostPage(mock, request, response) {
  const { pathname, searchParams } = new URL(request.url, "http://mock");
  const own = mock.pages.get(pathname);
  if (own !== undefined) {
    response.writeHead(200, { "content-type": TYPES[extname(pathname)] ?? TYPES[".html"], "cache-control": "no-store", ...own.headers });
    response.end(own.body);
    return;
  }
  const line = `<script src="${mock.chat}/widget.js" data-site-id="${searchParams.get("key") ?? mock.site}" async></script>`;
  if (pathname !== "/" && !pathname.startsWith("/page")) {
    response.writeHead(404).end();
    return;
  }
  response.writeHead(200, {
    "content-type": TYPES[".html"],
    ...pageHeaders(`default-src 'none'; script-src ${mock.chat}; frame-src ${mock.chat}; connect-src ${mock.chat}; img-src 'self'; require-trusted-types-for 'script'; trusted-types 'none'`),
  });
  response.end(`<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<link rel="icon" href="${mock.host}/none"><title>A shop</title></head><body><main><h1>A shop</h1><p>Words of the shop. <a href="/page">A page</a></p></main>
${line.repeat(searchParams.has("twice") ? 2 : 1)}</body></html>`);
}

async function chatServer(mock, request, response) {
  const { pathname, searchParams } = new URL(request.url, "http://mock");
  if (pathname.startsWith("/api/v1/widget/")) return api(mock, pathname.slice("/api/v1/widget".length), request, response);
  const file = fileFor(mock, pathname, searchParams);
  if (file === null) return problem(response, 404, "not_found", "There is nothing here.");
  let body = await readFile(join(UI, file.path));
  if (file.site) body = body.toString().replaceAll("__SITE_KEY__", file.site);
  response.writeHead(200, { "content-type": TYPES[extname(file.path)] ?? "application/octet-stream", ...pageHeaders(file.policy), ...file.headers });
  response.end(body);
}

function fileFor(mock, pathname, searchParams) {
  const asset = /^\/assets\/(embed|preview|docs)\/([a-z-]+\.(?:js|css|svg|json))$/.exec(pathname);
  if (asset) return { path: `${asset[1] === "docs" ? "" : "dist/"}${asset[1]}/${asset[2]}`, ...ASSET };
  if (pathname.startsWith("/embed/")) {
    return { path: "dist/embed/index.html", policy: ownPolicy(searchParams.has("preview") ? "'self'" : mock.origins.join(" ") || "'none'"), headers: FRAMED };
  }
  if (pathname.startsWith("/preview/")) {
    return { path: "dist/preview/index.html", policy: ownPolicy("'none'", "; frame-src 'self'"), site: pathname.slice("/preview/".length) };
  }
  if (pathname === "/widget.js") return { path: "dist/loader/widget.js", ...SCRIPT };
  if (pathname === `/widget/${mock.digest}/widget.js`) return { path: "dist/loader/widget.js", ...SCRIPT };
  if (pathname === "/docs") return { path: "docs/docs.html", policy: ownPolicy("'none'") };
  if (pathname === "/openapi.json") return { path: "tests/fixture-openapi.json", ...ASSET };
  return null;
}
