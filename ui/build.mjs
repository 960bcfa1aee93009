// Makes ui/dist, the files that the server embeds and browsers load, from ui/dashboard, ui/embed, ui/loader, ui/notice and
// ui/preview.
// Owns: bundling, minifying, and the cutting of strings.json, where every word stands once: one file per language for the
// chat, its English into what the page starts with and what comes with the parts that are loaded later, the loader's few
// words, and those of the privacy notice, which the server writes.
// Never: writes anything that depends on the day, the machine or the order of a folder: the same sources give the same
// bytes, which ./check compares. `node ui/build.mjs [FOLDER]` writes there (ui/dist unless told).

import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const UI = dirname(fileURLToPath(import.meta.url));
const installed = createRequire(join(UI, "tests/package.json"));
const { build } = installed("esbuild");
// esbuild makes scripts small; this makes them some hundredths smaller, which is what the budget is short of.
const { minify } = installed("terser");
const SOURCES = ["dashboard", "embed", "loader", "notice", "preview", "strings.json"];
// The parts of the page that are loaded when they are wanted, and the words that the page does not start with.
const PARTS = {
  consent: /^(consent|privacyNotice)/,
  contact: /^(contact|quiet)/,
  privacy: /^(privacy(Nothing|Kept|Notice)|export|saveFile|back$|erase|keep$|erasing|receipt|ended|done$)/,
  reasons: /^(reason|feedback(Why|More))/,
};
// What the launcher is called, the two buttons beside what is said when the chat cannot be had, and that; in this order.
const LOADER_WORDS = ["defaultTitle", "loaderClose", "loaderRetry", "loaderGone"];
// What the chat does not say.
const ELSEWHERE = /^(notice|loader)/;
// What the notice says; two of its words are the chat's as well.
const NOTICE = /^(notice|keptHours$|privacy$)/;
// What every browser that is still repaired understands.
const TARGET = ["es2022", "chrome109", "firefox115", "safari16"];

export async function buildAll(out = join(UI, "dist")) {
  const files = new Map([
    ...(await embedFiles()),
    ["loader/widget.js", await script("loader/widget.js", "iife")],
    ...(await noticeFiles()),
    ...(await dashboardFiles()),
    ...(await previewFiles()),
  ]);
  for (const [name, body] of files) {
    const path = join(out, name);
    await mkdir(dirname(path), { recursive: true });
    // By a rename, so that a server that reads the file meanwhile never sees a part of it.
    await writeFile(`${path}.${process.pid}`, body);
    await rename(`${path}.${process.pid}`, path);
  }
  for (const name of await readdir(out, { recursive: true })) {
    // Another process may be building the same at this moment: what it has begun is its own.
    if (files.has(name.replaceAll("\\", "/")) || /\.\d+$/.test(name)) continue;
    const found = await stat(join(out, name)).catch(() => null);
    if (found?.isFile()) await rm(join(out, name), { force: true });
  }
}

/** Builds only when a source is newer than what was built, for tests that run after an edit. */
export async function buildIfOlder() {
  const sources = await Promise.all([...SOURCES, "build.mjs"].map((name) => newest(join(UI, name))));
  const built = await stat(join(UI, "dist/embed/app.js")).then((found) => found.mtimeMs, () => 0);
  if (Math.max(...sources) > built) await buildAll();
}

async function embedFiles() {
  const page = await read("embed/index.html");
  const strings = await readStrings();
  return [
    ["embed/app.js", await script("embed/app.js", "esm")],
    ...(await Promise.all(Object.keys(PARTS).map(async (part) => [`embed/${part}.js`, await script(`embed/${part}.js`, "esm")]))),
    ["embed/embed.css", await sheet("embed/embed.css")],
    ["embed/index.html", squeezed(page)],
    ["embed/icon.svg", await read("embed/icon.svg")],
    // English is inside app.js, and is cut as well so that every language has its file.
    ...Object.entries(strings).map(([locale, table]) => [`embed/strings-${locale}.json`, JSON.stringify(only(table, (key) => !ELSEWHERE.test(key)))]),
  ];
}

// A page that the server writes: a style sheet, and the words (which are not sent as they are).
async function noticeFiles() {
  const tables = Object.entries(await readStrings()).map(([locale, table]) => [locale, only(table, (key) => NOTICE.test(key))]);
  return [
    ["notice/notice.css", await sheet("notice/notice.css")],
    ["words/notice.json", JSON.stringify(Object.fromEntries(tables))],
  ];
}

// English alone; its words stand in a file of its own.
async function dashboardFiles() {
  return [
    ["dashboard/dashboard.js", await script("dashboard/dashboard.js", "esm")],
    ["dashboard/dashboard.css", await sheet("dashboard/dashboard.css")],
    ["dashboard/index.html", await read("dashboard/index.html")],
  ];
}

async function previewFiles() {
  const names = (await readdir(join(UI, "preview"))).sort();
  return Promise.all(
    names.map(async (name) => {
      const path = `preview/${name}`;
      if (name.endsWith(".css")) return [path, await sheet(path)];
      if (name.endsWith(".js")) return [path, await script(path, "esm")];
      return [path, await read(path)];
    }),
  );
}

// What only the loader's own files call one another by.
const INSIDE = /^(isOpen|isFocused|cover|uncover|dress|speak|mount|opensOnLoad)$/;
async function script(path, format) {
  const bundled = await bundle(path, path.startsWith("loader/") ? { format, mangleProps: INSIDE } : { format });
  const options = { ecma: 2022, passes: 4, inline: 1, sequences: false, unsafe_methods: true };
  const { code } = await minify(bundled, { module: format === "esm", toplevel: true, compress: options, format: { ecma: 2022, comments: false } });
  return code;
}

const sheet = (path) => bundle(path, {});

async function bundle(path, options) {
  const { outputFiles } = await build({
    entryPoints: [join(UI, path)],
    bundle: true,
    minify: true,
    write: false,
    // A part that is loaded when it is wanted.
    external: ["/assets/*"],
    plugins: [WORDS],
    target: TARGET,
    charset: "utf8",
    legalComments: "none",
    sourcemap: false,
    logLevel: "error",
    ...options,
  });
  return outputFiles[0].text;
}

// `import words from "words:PART"`: the English of that part; "app" has what no part has, and "loader" a line per language.
const WORDS = {
  name: "words",
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^words:/ }, ({ path }) => ({ path: path.slice("words:".length), namespace: "words" }));
    onLoad({ filter: /./, namespace: "words" }, async ({ path }) => {
      const strings = await readStrings();
      const isStart = (key) => !ELSEWHERE.test(key) && !Object.values(PARTS).some((part) => part.test(key));
      const words = path === "loader" ? loaderLines(strings) : only(strings.en, PARTS[path] ? (key) => PARTS[path].test(key) : isStart);
      return { contents: JSON.stringify(words), loader: "json" };
    });
  },
};

/** @returns {string} a line per language: its code and the loader's words, with | between */
export function loaderLines(strings) {
  return Object.entries(strings).map(([locale, table]) => [locale, ...LOADER_WORDS.map((key) => table[key])].join("|")).join("\n");
}

const only = (table, isWanted) => Object.fromEntries(Object.entries(table).filter(([key]) => isWanted(key)));
const readStrings = async () => JSON.parse(await read("strings.json"));

// The page without the indentation and the quotation marks that only its authors need.
function squeezed(page) {
  return page.replace(/^\s+/gm, "").replace(/="([\w-]+)"(?=[ >])/g, "=$1");
}

const read = (path) => readFile(join(UI, path), "utf8");

async function newest(path) {
  const found = await stat(path);
  if (!found.isDirectory()) return found.mtimeMs;
  const inside = await Promise.all((await readdir(path)).map((name) => newest(join(path, name))));
  return Math.max(0, ...inside);
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) await buildAll(process.argv[2]);
