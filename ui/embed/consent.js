// The visitor's agreement, where the owner asks for one.
// Owns: the panel that stands in the place of the composer until then.
// Never: lets anything be stored or sent before the visitor has pressed "agree"; app.js waits for this.

import { byId } from "./elements.js";
import { label } from "./language.js";

let agreed = false;
let asking = null;

export const hasAgreed = () => agreed;

/** An earlier page of this conversation had it. */
export function rememberAgreement() {
  agreed = true;
}

export function forgetAgreement() {
  agreed = false;
}

/**
 * Resolves when the visitor agrees; asked once, however often it is called.
 * @param {{name: string, privacyAddress: string}} owner
 */
export function askConsent({ name, privacyAddress }) {
  label(byId("consent-text"), "consentText", { name });
  const policy = byId("consent-policy");
  policy.hidden = privacyAddress === "";
  if (privacyAddress !== "") policy.href = privacyAddress;
  if (agreed) return Promise.resolve();
  show(true);
  asking ??= new Promise((resolve) => {
    byId("consent-accept").addEventListener("click", () => {
      agreed = true;
      asking = null;
      show(false);
      resolve();
    }, { once: true });
  });
  return asking;
}

function show(isAsking) {
  byId("consent").hidden = !isAsking;
  byId("composer").hidden = isAsking;
  byId("starters").hidden = isAsking;
}
