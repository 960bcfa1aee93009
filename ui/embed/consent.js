// The visitor's agreement, where the owner asks for one.
// Owns: the panel that stands in the place of the composer until then: who asks, how long what is asked is kept, and
// who it is passed to.
// Never: lets anything be stored or sent before the visitor has pressed "agree"; app.js waits for this.
// A file of its own, loaded when it is wanted; what it shares with the page it is given as `kit` (later.js).

import words from "words:consent";

export { words };

let kit;
let asking = null;
let resolve;

export function use(given) {
  kit = given;
}

/**
 * Resolves when the visitor agrees; asked once, however often it is called.
 * @param {{name: string, privacyAddress: string, keptHours: number, recipients: string[]}} owner
 */
export function askConsent({ name, privacyAddress, keptHours, recipients }) {
  const { create, said } = kit;
  const panel = kit.byId("consent");
  const acts = create("div", "actions");
  const accept = kit.button("button main", "consentAccept", () => {
    show(panel, false);
    asking = null;
    resolve();
  });
  accept.id = "consent-accept";
  const links = kit.create("p", "links");
  links.append(kit.label(kit.outLink("link", kit.noticeAddress()), "privacyNotice"));
  if (privacyAddress !== "") links.append(kit.label(kit.outLink("link", privacyAddress), "privacyPolicy"));
  acts.append(accept);
  const title = said("h2", "", "consentTitle");
  title.id = "consent-title";
  const text = said("p", "", "consentText", { name });
  text.id = "consent-text";
  panel.replaceChildren(title, text);
  if (keptHours > 0) panel.append(said("p", "", "keptHours", { n: keptHours }));
  if (recipients.length > 0) panel.append(said("p", "", "passedTo", { recipient: recipients }));
  panel.append(links, acts);
  show(panel, true);
  asking ??= new Promise((done) => {
    resolve = done;
  });
  return asking;
}

function show(panel, isAsking) {
  panel.hidden = !isAsking;
  kit.byId("composer").hidden = isAsking;
  kit.byId("starters").hidden = isAsking;
}
