// Whom to ask when the site does not say: the owner's line, with its addresses live.
// Owns: which parts of the owner's text are links: e-mail addresses and https addresses, nothing else.
// Never: takes a word of this from an answer; a model cannot add a contact.

import { create, outLink, said } from "./elements.js";
import { webAddress } from "./links.js";
import { quietUntil } from "./quiet.js";

// What stands at the end of a sentence does not belong to an address.
const WORD = /(\S+?)([.,;:!?)]*)(\s|$)/g;
const MAIL = /^[\w.+-]{1,64}@[\w.-]{1,190}\.[a-z]{2,24}$/i;

/** @returns {Element | null} null when the owner has named nobody */
export function contactElement({ contact, quietHours }) {
  if (contact === "") return null;
  const element = create("div", "contact");
  const words = create("p", "contact-words");
  words.dir = "auto";
  words.append(...linked(contact));
  element.append(said("p", "contact-lead", "contactLead"), words);
  const until = quietUntil(quietHours, new Date());
  if (until !== "") element.append(said("p", "contact-quiet", "quiet", { time: until }));
  return element;
}

function linked(text) {
  return Array.from(text.matchAll(WORD)).flatMap(([, word, stop, space]) => {
    const address = MAIL.test(word) ? `mailto:${word}` : word.startsWith("https://") ? webAddress(word)?.href : undefined;
    if (address === undefined) return [word + stop + space];
    return [outLink("link", address, word), stop + space];
  });
}
