// Other clients of the program, beside the browser whose dashboard is tested: they cause events.
// Owns: requests over HTTP from an address of one's own, and the codes of an authenticator program.

import { createHmac } from "node:crypto";
import { request } from "node:http";

export const PASSWORD = "seven lamps under glass";

/** One request; `from` is an address of the loopback network, so that clients can be told apart. */
export function send(origin, method, path, { body, headers = {}, from = "127.0.0.1" } = {}) {
  const { hostname, port } = new URL(origin);
  const text = body === undefined ? undefined : JSON.stringify(body);
  const fields = { ...(text === undefined ? {} : { "content-type": "application/json", "content-length": Buffer.byteLength(text) }), ...headers };
  return new Promise((resolve, reject) => {
    const asked = request({ hostname, port, method, path, headers: fields, localAddress: from }, (answer) => {
      let said = "";
      answer.on("data", (piece) => (said += piece)).on("end", () => resolve({ status: answer.statusCode, body: said === "" ? null : JSON.parse(said) }));
    });
    asked.on("error", reject);
    asked.end(text);
  });
}

/** A client that is logged in, by tokens. */
export async function client(origin, email, more = {}) {
  const { status, body } = await send(origin, "POST", "/api/v1/auth/login", { body: { email, password: PASSWORD, ...more } });
  if (status !== 201) throw new Error(`${email}: ${status} ${JSON.stringify(body)}`);
  const headers = { authorization: `Bearer ${body.access_token}` };
  return (method, path, given) => send(origin, method, path, { body: given, headers });
}

/** Calls without a credential: an event of this name. Beyond ten a minute of one address, a storm is gathered into one. */
export const KNOCKED = "CREDENTIAL_MISSING";
export const knock = (origin, from) => send(origin, "GET", "/api/v1/auth/me", { from });

/** Begins a visitor's session on the sample site; returns its id. */
export async function visit({ chat, sample, site }) {
  const { body } = await send(chat, "POST", "/api/v1/widget/sessions", { body: { site }, headers: { origin: sample } });
  return body.session;
}

/** What an authenticator program shows for this secret, so many steps of 30 seconds from now. */
export function codeOf(secret, steps = 0) {
  const bits = [...secret].map((letter) => "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".indexOf(letter).toString(2).padStart(5, "0")).join("");
  const key = Buffer.from(bits.match(/.{8}/g).map((byte) => Number.parseInt(byte, 2)));
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30_000) + steps));
  const digest = createHmac("sha1", key).update(counter).digest();
  const at = digest.at(-1) & 15;
  return String((digest.readUInt32BE(at) & 0x7fffffff) % 1_000_000).padStart(6, "0");
}
