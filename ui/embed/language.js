// What the chat says, in the visitor's language.
// Owns: which of the thirteen languages it is, plural forms, numbers and times, and the elements whose words change when
// the language does: those with `data-say="key"` (or `label:key`, `hint:key`), several with spaces between.
// Never: a wording of its own (strings.json), or a word of the server's.

export const LOCALES = ["en", "de", "fr", "es", "pt", "it", "nl", "pl", "tr", "ar", "he", "zh", "ja"];
const RIGHT_TO_LEFT = new Set(["ar", "he"]);
// Codes that browsers have used for the same language.
const ALIASES = { iw: "he", cmn: "zh", yue: "zh" };

let locale = "en";
let wanted = "en";
let english = {};
let table = {};
let plurals = new Intl.PluralRules("en");
const valuesOf = new WeakMap();

/**
 * The language to speak, of those that the owner offers: what the page asks for, then what the browser prefers, then the
 * site's own.
 * @param {{asked?: unknown, preferred?: readonly string[], offered?: unknown, own?: unknown}} wishes BCP 47 tags
 */
export function chooseLocale({ asked, preferred = [], offered, own }) {
  const listed = Array.isArray(offered) ? offered.map(known).filter(Boolean) : [];
  const isOffered = (one) => one !== "" && (listed.length === 0 || listed.includes(one));
  return [asked, ...preferred, own].map(known).find(isOffered) ?? listed[0] ?? "en";
}

function known(tag) {
  const base = typeof tag === "string" ? tag.toLowerCase().split(/[-_]/, 1)[0] : "";
  const one = ALIASES[base] ?? base;
  return LOCALES.includes(one) ? one : "";
}

/** What the owner reads of a visitor's choice is English, whatever the visitor saw. */
export const inEnglish = (key) => english[key];

/** @param {object} words of English, for what another table lacks */
export function setEnglish(words) {
  english = words;
  if (locale === "en") table = words;
}

/** @param {object} words of English, of a part of the page that came later */
export function addEnglish(words) {
  Object.assign(english, words);
}

/** Makes a language the current one; what is on the page says it anew. */
export function useLocale(next, words) {
  locale = next;
  table = words;
  plurals = new Intl.PluralRules(next);
  if (typeof document !== "object") return;
  document.documentElement.lang = next;
  document.documentElement.dir = RIGHT_TO_LEFT.has(next) ? "rtl" : "ltr";
  for (const element of document.querySelectorAll("[data-say]")) speak(element);
}

/**
 * @param {string} next one of LOCALES @param {(locale: string) => object | Promise<object>} read
 * @returns {Promise<boolean>} whether the language is another now
 */
export async function switchLocale(next, read) {
  wanted = next;
  if (next === locale) return false;
  const words = await read(next);
  // Another one may have been wanted meanwhile.
  if (wanted !== next) return false;
  useLocale(next, words);
  return true;
}

/**
 * @param {string} key of strings.json
 * @param {Record<string, string | number | string[]>} [values] for its {placeholders}; `n` also chooses the plural form
 */
export function say(key, values = {}) {
  let words = table[key] ?? english[key] ?? key;
  if (typeof words === "object") words = words[plurals.select(values.n)] ?? words.other;
  return words.replace(/\{(\w+)\}/g, (_, name) => {
    const value = values[name] ?? "";
    return typeof value === "number" ? sayNumber(value) : Array.isArray(value) ? sayList(value) : value;
  });
}

/** Sets words that follow the language from now on: `label(button, "label:close")`. */
export function label(element, spec, values) {
  element.dataset.say = spec;
  if (values !== undefined) valuesOf.set(element, values);
  speak(element);
  return element;
}

function speak(element) {
  for (const part of element.dataset.say.split(" ")) {
    const [key, where] = part.split(":").reverse();
    const words = say(key, valuesOf.get(element));
    if (where === undefined) element.textContent = words;
    else if (where === "hint") element.placeholder = words;
    else element.setAttribute("aria-label", words);
    if (where === "label" && element.localName === "button") element.title = words;
  }
}

// Latin digits everywhere: the numbers of sources stand beside digits that a page wrote.
export function sayNumber(number) {
  return new Intl.NumberFormat(`${locale}-u-nu-latn`).format(number);
}

const sayList = (names) => new Intl.ListFormat(locale).format(names);

/** @param {number} milliseconds since 1970 @param {object} [style] of Intl.DateTimeFormat */
export function sayTime(milliseconds, style = { dateStyle: "medium", timeStyle: "short" }) {
  return new Intl.DateTimeFormat(`${locale}-u-nu-latn`, style).format(milliseconds);
}

/**
 * Says a waiting time in words a person would use.
 * @param {number} seconds whole seconds, at least 1
 */
export function sayWait(seconds) {
  if (seconds < 90) return say("waitSeconds", { n: seconds });
  const minutes = Math.ceil(seconds / 60);
  if (minutes < 90) return say("waitMinutes", { n: minutes });
  return say("waitHours", { n: Math.ceil(minutes / 60) });
}
