// Counts the work that a pure function of the chat does, in steps: the same on a slow machine as on a fast one.
// Owns: V8's own counts of the blocks that ran in ui/embed, and the loops that run inside the engine: the characters that a
// method of strings looks at, the elements that one of arrays moves. A pattern counts as the square of what it is given,
// since it may go back and forth in it; one that looks for the next of many (`g`) as the way there.
// Never: measures time. Import it before what is counted: blocks are counted in what is compiled after this.

import { Session } from "node:inspector/promises";

const session = new Session();
session.connect();
await session.post("Profiler.enable");
await session.post("Profiler.startPreciseCoverage", { callCount: true, detailed: true });

/** @returns {Promise<number>} the steps of `run`, which must not wait for anything */
export async function countWork(run) {
  await blocksThatRan();
  const inside = countInside(run);
  const blocks = await blocksThatRan();
  if (blocks === 0) throw new Error("no block of ui/embed was counted");
  return blocks + inside;
}

// Reading the counts begins them anew.
async function blocksThatRan() {
  const { result } = await session.post("Profiler.takePreciseCoverage");
  const ours = result.filter((script) => script.url.includes("/ui/embed/"));
  const ranges = ours.flatMap((script) => script.functions.flatMap((one) => one.ranges));
  return ranges.reduce((sum, range) => sum + range.count, 0);
}

function countInside(run) {
  let work = 0;
  const undo = [];
  const count = (prototype, name, cost) => {
    const original = prototype[name];
    prototype[name] = function (...given) {
      const from = this.lastIndex;
      const result = original.apply(this, given);
      work += cost(this, given, result, from);
      return result;
    };
    undo.push(() => (prototype[name] = original));
  };
  const length = (value) => value?.length ?? 0;
  for (const name of ["includes", "replace", "replaceAll", "split", "startsWith", "endsWith", "trim", "trimStart", "trimEnd", "slice", "repeat"]) {
    count(String.prototype, name, (text, given, result) => (name === "slice" ? 0 : text.length) + length(result));
  }
  count(String.prototype, "indexOf", (text, [, from = 0], at) => (at < 0 ? text.length : at) - from);
  count(String.prototype, "lastIndexOf", (text, [, from = text.length], at) => from - at);
  count(Array.prototype, "splice", (array, [from], taken) => Math.max(0, array.length + taken.length - from));
  count(Array.prototype, "slice", (array, given, result) => result.length);
  count(Array.prototype, "join", (array, given, result) => result.length);
  count(RegExp.prototype, "exec", (pattern, [text], found, from) => {
    if (!pattern.global) return String(text).length ** 2;
    return (found === null ? text.length : found.index + found[0].length) - from;
  });
  try {
    run();
  } finally {
    for (const one of undo) one();
  }
  return work;
}
