// What the widget costs a page, by Lighthouse: the demo's shop with the one line, without it, and with a line whose
// script is empty (what any script of another origin costs by this method), in turns.
//
//   node bench/lighthouse.mjs [--runs 5] [--line 'ATTRIBUTES'] [--methods simulate,devtools,provided]
//
// Owns: a copy of the shop on a port of its own (each file fetched from the demo once), the alternation, the table.
// Lighthouse comes from npm at a pinned version into a temporary folder. Not part of ./check: its figures are those of
// the machine, and of the hour.
// Needs: target/debug/chatward or CHATWARD_BIN, Chromium (CHATWARD_CHROMIUM or /usr/bin/chromium), npm.

import { execFile, spawn } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { parseArgs, promisify } from "node:util";

const VERSION = "12.8.2";
const ROOT = fileURLToPath(new URL("..", import.meta.url));
const METRICS = { FCP: "first-contentful-paint", LCP: "largest-contentful-paint", TBT: "total-blocking-time", CLS: "cumulative-layout-shift" };
const { values: options } = parseArgs({
  options: { runs: { type: "string", default: "5" }, line: { type: "string", default: "async" }, methods: { type: "string", default: "simulate,devtools,provided" } },
});
const run = promisify(execFile);
const chromium = process.env.CHATWARD_CHROMIUM ?? "/usr/bin/chromium";

const folder = await mkdtemp(join(tmpdir(), "chatward-lighthouse-"));
const demo = await startDemo();
const empty = await startEmpty();
const shop = await startShop();
try {
  await run("npm", ["install", "--prefix", folder, "--no-audit", "--no-fund", "--ignore-scripts", `lighthouse@${VERSION}`]);
  for (const method of options.methods.split(",")) {
    const found = { without: [], empty: [], with: [] };
    const variants = Object.keys(found);
    for (let at = 0; at < Number(options.runs); at += 1) {
      // In turns, and each first in its round: a machine that grows slower favours none.
      for (const step of variants.keys()) {
        const variant = variants[(at + step) % variants.length];
        found[variant].push(await measure(method, variant));
      }
    }
    print(method, found);
  }
} finally {
  shop.close();
  shop.closeAllConnections();
  empty.close();
  empty.closeAllConnections();
  demo.child.kill("SIGTERM");
  await demo.ended;
  await rm(folder, { recursive: true, force: true });
}

async function measure(method, variant) {
  const out = join(folder, "report.json");
  const address = `http://127.0.0.1:${shop.address().port}/${variant}/`;
  const flags = ["--only-categories=performance", "--output=json", `--output-path=${out}`, `--throttling-method=${method}`, "--chrome-flags=--headless=new --no-sandbox --disable-gpu", "--quiet"];
  await run(process.execPath, [join(folder, "node_modules/lighthouse/cli/index.js"), address, ...flags], { env: { ...process.env, CHROME_PATH: chromium }, maxBuffer: 1 << 26 });
  const report = JSON.parse(await readFile(out, "utf8"));
  const metrics = Object.entries(METRICS).map(([name, id]) => [name, report.audits[id].numericValue]);
  return { ...Object.fromEntries(metrics), score: report.categories.performance.score * 100 };
}

function print(method, found) {
  console.log(`\n${method}, ${options.runs} runs each, median (lowest to highest)\n\n| | FCP ms | LCP ms | TBT ms | CLS | score |\n|---|---|---|---|---|---|`);
  for (const [variant, runs] of Object.entries(found)) {
    const cells = ["FCP", "LCP", "TBT", "CLS", "score"].map((name) => {
      const sorted = runs.map((one) => one[name]).sort((one, other) => one - other);
      const shown = (value) => (name === "CLS" ? value.toFixed(3) : String(Math.round(value)));
      return `${shown(sorted[sorted.length >> 1])} (${shown(sorted[0])} to ${shown(sorted.at(-1))})`;
    });
    console.log(`| ${variant} | ${cells.join(" | ")} |`);
  }
}

// An origin of its own whose every file is an empty script.
async function startEmpty() {
  const server = createServer((_, response) => {
    response.writeHead(200, { "content-type": "text/javascript", "cache-control": "no-cache" });
    response.end();
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return server;
}

// The shop's pages as the demo serves them, under /with/; without the widget's line under /without/, and with the empty
// script's under /empty/.
async function startShop() {
  const files = new Map();
  const server = createServer(async (request, response) => {
    try {
      const [, variant, path] = /^\/(with|without|empty)(\/.*)$/.exec(request.url) ?? [undefined, undefined, request.url];
      if (!files.has(path)) {
        const answer = await fetch(demo.sample + path);
        files.set(path, { status: answer.status, type: answer.headers.get("content-type") ?? "", body: Buffer.from(await answer.arrayBuffer()) });
      }
      const { status, type, body } = files.get(path);
      const line = new RegExp(`<script[^>]*/widget\\.js[^>]*></script>`);
      const change = {
        with: (text) => text.replace(line, (found) => found.replace("async", options.line)),
        empty: (text) => text.replace(line, `<script src="http://127.0.0.1:${empty.address().port}/empty.js" async></script>`),
      }[variant] ?? ((text) => text.replace(line, ""));
      response.writeHead(status, { "content-type": type, "cache-control": "max-age=600" });
      response.end(type.startsWith("text/html") ? change(body.toString()) : body);
    } catch (error) {
      response.writeHead(502).end(String(error));
    }
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return server;
}

async function startDemo() {
  const program = process.env.CHATWARD_BIN ?? join(ROOT, "target/debug/chatward");
  const environment = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(CHATWARD_|OPENAI_|OLLAMA_)/.test(name)));
  const child = spawn(program, ["demo", "--listen", "127.0.0.1:0", "--sample-listen", "127.0.0.1:0", "--data", join(folder, "data"), "--json"], { env: environment, stdio: ["ignore", "pipe", "inherit"] });
  const ended = new Promise((resolve) => child.once("exit", resolve));
  const ready = await new Promise((resolve, reject) => {
    createInterface({ input: child.stdout }).on("line", (line) => {
      try {
        const value = JSON.parse(line);
        if (value.listening) resolve(value);
      } catch {
        // Not the line that was asked for.
      }
    });
    ended.then((code) => reject(new Error(`the demo ended with ${code}`)));
  });
  return { child, ended, sample: new URL(ready.sample).origin };
}
