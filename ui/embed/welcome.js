// What is seen before the first question, and the head above it: the name, the avatar, the greeting, the starters.
// Owns: those elements, and our own words where the owner has set none.
// Never: sends a question itself (it is given `onAsk`).

import { byId, create } from "./elements.js";
import { label, say } from "./language.js";

/** @param {object} look settled @param {boolean} isEmpty no message yet @param {(question: string) => void} onAsk */
export function showWelcome(look, isEmpty, onAsk) {
  byId("title").textContent = look.title || say("defaultTitle");
  const greeting = byId("greeting");
  const welcome = byId("welcome");
  if (look.greeting === "") label(greeting, "defaultGreeting");
  else {
    delete greeting.dataset.say;
    greeting.textContent = look.greeting;
  }
  for (const element of [greeting, byId("starters")]) {
    const isOwners = look.language !== "" && (element !== greeting || look.greeting !== "");
    if (isOwners) element.lang = look.language;
    else element.removeAttribute("lang");
  }
  if (look.avatar !== "") byId("avatar").textContent = look.avatar;
  byId("starters").replaceChildren(...look.starters.map((text) => starterElement(text, onAsk)));
  byId("starters").classList.toggle("none", look.starters.length === 0);
  welcome.hidden = !isEmpty;
}

function starterElement(text, onAsk) {
  const item = create("li");
  const button = create("button", "starter", text);
  button.type = "button";
  button.dir = "auto";
  button.addEventListener("click", () => onAsk(text));
  item.append(button);
  return item;
}
