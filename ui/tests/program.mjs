// The real program (CHATWARD_BIN) for tests: its demo, with a data folder that nobody else has.
// Owns: its start, its commands beside it, and its end. Never: skips. Without the program a test fails.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

const START_MILLISECONDS = 60_000;
const STOP_MILLISECONDS = 15_000;

/** @param {Record<string, string>} settings as variables of the environment */
export async function startDemo(settings = {}) {
  const program = process.env.CHATWARD_BIN;
  assert.ok(program, "CHATWARD_BIN must be the path of the chatward program");
  const data = await mkdtemp(join(tmpdir(), "chatward-demo-"));
  // No settings and no provider of the developer's own: the answers must be those of the shop's pages.
  const bare = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(CHATWARD_|OPENAI_|OLLAMA_)/.test(name)));
  const environment = { ...bare, ...settings };
  const child = spawn(program, ["demo", "--listen", "127.0.0.1:0", "--sample-listen", "127.0.0.1:0", "--data", data, "--json"], { env: environment, stdio: ["ignore", "pipe", "pipe"] });
  let said = "";
  child.stderr.on("data", (piece) => {
    said = (said + piece).slice(-20_000);
  });
  const ended = new Promise((resolve) => child.once("exit", resolve));
  const ready = new Promise((resolve, reject) => {
    createInterface({ input: child.stdout }).on("line", (line) => {
      try {
        const value = JSON.parse(line);
        if (value.listening) resolve(value);
      } catch {
        // Not the line that was asked for.
      }
    });
    child.once("error", reject);
    ended.then((code) => reject(new Error(`the demo ended with ${code}:\n${said}`)));
    setTimeout(() => reject(new Error(`the demo was not ready in time:\n${said}`)), START_MILLISECONDS).unref();
  });
  const stop = async () => {
    // Only the process that was started here.
    child.kill("SIGTERM");
    const late = setTimeout(() => child.kill("SIGKILL"), STOP_MILLISECONDS);
    const code = await ended;
    clearTimeout(late);
    await rm(data, { recursive: true, force: true });
    return code;
  };
  /** Runs a command beside the server, with this on its standard input. */
  const run = async (words, input = "") => {
    const command = spawn(program, [...words, "--data", data], { env: environment, stdio: ["pipe", "pipe", "pipe"] });
    let told = "";
    for (const stream of [command.stdout, command.stderr]) stream.on("data", (piece) => (told += piece));
    command.stdin.end(input);
    const code = await new Promise((resolve) => command.once("close", resolve));
    assert.equal(code, 0, `${words.join(" ")}: ${told}`);
    return told;
  };
  try {
    const { listening, sample, site } = await ready;
    return { chat: new URL(listening).origin, sample: new URL(sample).origin, samplePage: sample, site, run, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}
