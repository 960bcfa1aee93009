// Whom to ask when the site does not say: the owner's line, with its addresses live.
// Owns: which parts of the owner's text are links: e-mail addresses and https addresses, nothing else.
// Never: takes a word of this from an answer; a model cannot add a contact.
// A file of its own, loaded where an owner has named somebody; what it shares with the page it is given as `kit` (later.js).

import { quietUntil } from "./quiet.js";
import words from "words:contact";

export { quietUntil, words };

// What stands at the end of a sentence does not belong to an address.
const WORD = /(\S+?)([.,;:!?)]*)(\s|$)/g;
const MAIL = /^[\w.+-]{1,64}@[\w.-]{1,190}\.[a-z]{2,24}$/i;

let kit;

export function use(given) {
  kit = given;
}

/** @returns {Element | null} null when the owner has named nobody */
export function contactElement({ contact, quietHours }) {
  if (contact === "") return null;
  const element = kit.create("div", "contact");
  const line = kit.create("p", "contact-words");
  line.dir = "auto";
  line.append(...linked(contact));
  element.append(kit.said("p", "contact-lead", "contactLead"), line);
  const until = quietUntil(quietHours, new Date());
  if (until > 0) element.append(kit.said("p", "contact-quiet", "quiet", { time: kit.sayTime(until, { timeStyle: "short" }) }));
  return element;
}

function linked(text) {
  return Array.from(text.matchAll(WORD)).flatMap(([, word, stop, space]) => {
    const address = MAIL.test(word) ? `mailto:${word}` : word.startsWith("https://") ? kit.webAddress(word)?.href : undefined;
    if (address === undefined) return [word + stop + space];
    return [kit.outLink("link", address, word), stop + space];
  });
}
