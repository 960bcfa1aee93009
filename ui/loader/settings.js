// What the owner wrote on the script or on <chatward-chat>.
// Owns: the list of attributes that exist. Presentation only: what an attribute can say, a visitor
// can say too, in the browser's tools.
// Never: a prompt, a model, a temperature or a secret key; an attribute that is not read here
// does not exist.

/**
 * @param {HTMLElement} element the script or the <chatward-chat>
 * @param {string} origin where this script came from
 * @returns {object | undefined} nothing where the key is missing or malformed; parent is where the
 *   launcher is put, or nothing where there is no such element
 */
export function readSettings(element, origin) {
  if (!element) return;
  const { siteId, position, target, theme, title, greeting, starters, primaryColor, locale, nonce, openOnLoad, consent } = element.dataset;
  const site = element.getAttribute("site-id") ?? siteId;
  if (!/^cw_pk_[a-z]+_\w+$/.test(site)) return;
  const isInline = position === "inline";
  return {
    site,
    origin,
    nonce: nonce ?? element.nonce,
    opensOnLoad: isSet(openOnLoad),
    parent: !isInline ? document.documentElement : target ? document.querySelector(target) : element.localName !== "script" && element,
    presentation: {
      // Corners are named as they are seen; where none is named, it is where a line of text ends.
      position: isInline || isCorner(position) ? position : isRightToLeft() ? "bottom-left" : "bottom-right",
      theme,
      color: primaryColor,
      starters: starters && list(starters),
      consent: isSet(consent),
      locale,
      title,
      greeting,
    },
  };
}

export const isCorner = (value) => /^(top|bottom)-(left|right)$/.test(value);

/** The one form of a colour that cannot be anything else in a style sheet. */
export const isColor = (value) => /^#([\da-f]{3}){1,2}$/i.test(value);

const isSet = (value) => value !== undefined && value !== "false";
const isRightToLeft = () => getComputedStyle(document.body).direction === "rtl";

function list(text) {
  try {
    return JSON.parse(text).map(String);
  } catch {
    return text.split("|");
  }
}
