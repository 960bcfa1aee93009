// The parts of the page that few visitors need, each loaded when it is wanted for the first time.
// Owns: what such a part is given of the page, so that there is one language and one way to make an element, and its
// English words, which travel with it.
// Never: loads anything but our own files, or repeats what failed by itself.

import { announce } from "./announce.js";
import { ApiError } from "./api.js";
import { copyFrom } from "./copy.js";
import { button, byId, create, outLink, said } from "./elements.js";
import { addEnglish, inEnglish, label, say, sayTime } from "./language.js";
import { webAddress } from "./links.js";
import { clean } from "./text.js";

// Our own page about what is kept here, in the language that is spoken.
const noticeAddress = () => `${window.location.pathname.replace("embed", "privacy")}?language=${document.documentElement.lang}`;

const kit = { announce, button, byId, clean, copyFrom, create, inEnglish, label, noticeAddress, outLink, said, say, sayTime, webAddress };

/** @param {"consent" | "contact" | "privacy" | "reasons"} name @returns {Promise<object>} what the part exports */
export async function load(name) {
  try {
    const part = await import(`/assets/embed/${name}.js`);
    addEnglish(part.words);
    part.use(kit);
    return part;
  } catch {
    throw new ApiError(0, "offline");
  }
}
