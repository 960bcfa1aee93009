// The dashboard without its server: the built page under the server's policy, with answers that a test decides.
// Owns: one page, its answers, and events that look like those of a real day. Never: reaches the network.

import { readFileSync } from "node:fs";

import { buildIfOlder } from "../build.mjs";
import { openPage } from "./browser.mjs";

export const ORIGIN = "http://chat.test";
const POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'; frame-ancestors 'none'";
const TYPES = { html: "text/html", js: "text/javascript", css: "text/css", svg: "image/svg+xml" };
export const ADMIN = { id: "usr_1", owner: "own_1", email: "ann@shop.example", full_name: "Ann Example", role: "admin", has_second_factor: true, must_enrol: false };

const refusal = (status, code, message) => ({ status, body: { error: { code, message, request_id: "req_1" } } });
export const NOBODY = refusal(401, "token_invalid", "Send an access token that holds.");
export const ROLE = refusal(403, "role_insufficient", "Your role does not allow this. An owner can change it (`chatward user roles`).");
export const FACTOR = refusal(403, "second_factor_required", "Your role needs a second factor first. POST /api/v1/account/totp begins one, and POST /api/v1/account/totp/confirm with its code activates it; then this login may go on.");
export const BUSY = refusal(503, "unavailable", "Too many requests read the log at the moment. Try again in a few seconds.");
export const NEEDS_CODE = refusal(401, "second_factor_needed", "This account has a second factor. Send `code` too: the program's current six digits, or a recovery code.");

const SITE = "site_01937f5e8c7a7e0c9d2b4f6a8c0e1d3f";
const OWNER_USER = "user usr_01937f5e8c7a7e0c9d2b4f6a8c0e1d40";

/** Events of a day: every severity, a record of the trail, a storm, an address of IPv6, and a stranger's markup. */
export function realisticEvents(count = 24) {
  const kinds = [
    { event: "LOGIN_SUCCEEDED", severity: "info", outcome: "success", address: "203.0.113.24", path: "/api/v1/auth/login", detail: `${OWNER_USER}, login lgn_01937f5e8c7a7e0c9d2b4f6a8c0e1d41, with a second factor`, user_agent: "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36" },
    { event: "RATE_LIMIT_EXCEEDED", severity: "warning", outcome: "refused", address: "2001:db8:85a3:8d3:1319:8a2e:370:7348", path: "/api/v1/widget/messages", site: SITE, session: "k3Jd92LmPq0ZxV7a", count: 118, user_agent: "python-requests/2.32.3" },
    { category: "AUDIT", event: "ISSUED_KEY_CHANGED", record: 412, actor: OWNER_USER, subject: "Zq8Lm2Wx5Rt7Yu9Io3Pa6S", detail: '{"what":"key revoked","scopes":["manage"]}' },
    { event: "PROVIDER_FAILED", severity: "error", outcome: "failure", site: SITE, session: "Ty6Hn31QwErTz8Ui", detail: "openai: no first piece within 20 s; ollama was asked" },
    { event: "SESSION_CREATED", severity: "info", outcome: "success", address: "198.51.100.7", path: "/api/v1/widget/sessions", site: SITE, session: "a81Bc7Dd03EfGh5i" },
    { event: "CORS_BLOCKED", severity: "warning", outcome: "refused", address: "192.0.2.99", path: "/api/v1/widget/tickets", user_agent: "<img src=x onerror=alert(1)> Mozilla/5.0" },
    { category: "AUDIT", event: "CONFIGURATION_CHANGED", record: 411, actor: "operator", subject: SITE, detail: '{"what":"site changed","fields":["greeting","starters"]}' },
    { event: "CHAT_MESSAGE_PROCESSED", severity: "info", outcome: "success", address: "198.51.100.7", path: "/api/v1/widget/messages", site: SITE, session: "a81Bc7Dd03EfGh5i", detail: "ollama, 412 tokens" },
  ];
  return Array.from({ length: count }, (_, number) => ({ category: "SECURITY", request_id: `req_${number}`, time: new Date(Date.UTC(2026, 10, 28, 17, 3, 12) - number * 97_000).toISOString().replace("Z", "014Z"), ...kinds[number % kinds.length] }));
}

/** Opens the dashboard; `answers` maps "METHOD /path" to an answer, or to what makes one of the request. */
export async function openDashboard(browser, answers, { hash = "", ...options } = {}) {
  await buildIfOlder();
  const file = (name) => readFileSync(new URL(`../dist/${name}`, import.meta.url), "utf8");
  const opened = await openPage(browser, [ORIGIN], options);
  const asked = [];
  await opened.context.route("**/*", async (route) => {
    const request = route.request();
    const { pathname, searchParams } = new URL(request.url());
    const given = (name, headers = {}) => route.fulfill({ body: file(name), contentType: TYPES[name.split(".").pop()], headers });
    if (pathname === "/dashboard") return given("dashboard/index.html", { "content-security-policy": POLICY });
    if (pathname.startsWith("/assets/")) return given(pathname.slice("/assets/".length));
    asked.push({ method: request.method(), pathname, search: Object.fromEntries(searchParams), body: request.postDataJSON() });
    const known = answers[`${request.method()} ${pathname}`];
    const answer = typeof known === "function" ? await known(asked.at(-1)) : known;
    if (answer === undefined) return route.abort();
    return route.fulfill({ status: answer.status ?? 200, contentType: "application/json", body: JSON.stringify(answer.body ?? answer) });
  });
  await opened.page.goto(`${ORIGIN}/dashboard${hash}`);
  return { ...opened, asked };
}

/** What a server says whose administrator is logged in. */
export const loggedIn = (events) => ({ "GET /api/v1/auth/me": { body: ADMIN }, "GET /api/v1/events": events });
