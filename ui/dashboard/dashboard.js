// The dashboard: who is in, and what they see.
// Owns: the frame of the page, one view at a time, and that nothing of a login stays on the page when it has ended.
// Never: stores anything.

import { button, make } from "./elements.js";
import { EventsRoom } from "./events.js";
import { loginView, refusedView } from "./login.js";
import { logOut, onChangeElsewhere, whoIsIn } from "./server.js";
import { words } from "./words.js";

const account = make("div", { class: "account" });
const main = make("main", { id: "main", tabindex: "-1" });
let room = null;
let attempts = 0;

document.getElementById("page").replaceChildren(
  make("a", { class: "skip", href: "#main", click: skip }, words.skip),
  make("header", { class: "top" }, make("p", { class: "brand" }, words.product), account),
  main,
);
onChangeElsewhere(() => start());
// A page that the browser kept while another was shown knows nothing of what happened meanwhile.
window.addEventListener("pageshow", ({ persisted }) => {
  if (persisted) start();
});
start();

async function start(said = "") {
  const attempt = (attempts += 1);
  let person;
  try {
    person = await whoIsIn();
  } catch (refusal) {
    if (attempt === attempts) show(words.room, refusedView(words.failed, null, refusal.message, () => start()));
    return;
  }
  // Another attempt began meanwhile, in this page or by the word of another tab.
  if (attempt !== attempts) return;
  if (person === null) showLogin(said);
  else showRoom(person);
}

function showLogin(said = "") {
  account.replaceChildren();
  show(words.logIn, loginView(said, () => start()));
}

function showRoom(person) {
  const { email, role } = person;
  account.replaceChildren(make("span", { class: "who" }, words.who(email, role)), button(words.logOut, leave));
  const opened = new EventsRoom({
    out: (said) => showLogin(said),
    refuse: (refusal) => show(words.room, refusalOf(refusal, person)),
  });
  show(words.room, opened.view);
  room = opened;
  room.start();
}

function refusalOf(refusal, { email, role }) {
  const isRole = refusal.code === "role_insufficient";
  const [title, lead] = isRole ? [words.refusedRole, words.refusedRoleLead(email, role)] : [words.refusedFactor, words.refusedFactorLead(email)];
  return refusedView(title, lead, refusal.message, () => start(), leave);
}

async function leave() {
  // First, so that nothing is left to be seen whatever the server says.
  show(words.logIn, make("section", { class: "narrow" }, make("h1", { tabindex: "-1" }, words.logOut), make("p", {}, words.wait)));
  account.replaceChildren();
  try {
    await logOut();
    showLogin(words.loggedOut);
  } catch (refusal) {
    show(words.logOut, refusedView(words.logOut, null, refusal.message, leave));
  }
}

/** Puts a view in the place of the one before, which ends. */
function show(title, view) {
  attempts += 1;
  room?.stop();
  room = null;
  document.title = words.title(title);
  const first = main.childElementCount === 0;
  main.replaceChildren(view);
  // Whoever cannot see that the page changed is told by where they are.
  const place = view.querySelector("form.login input:not([hidden])") ?? view.querySelector("h1");
  if (!first || place.matches("input")) place.focus();
}

/** The address holds the filter, so a link within the page may not change it. */
function skip(event) {
  event.preventDefault();
  main.focus();
}
