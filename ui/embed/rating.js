// Whether an answer helped, and if not, why.
// Owns: the two buttons; the reasons are a part of their own (reasons.js), loaded for those who are not content.
// Never: calls the server (it is given `onRate`), or says a rating was saved before it was.

import { button, create, icon, said } from "./elements.js";
import { label } from "./language.js";
import { load } from "./later.js";

const THUMB = "M7.5 11v8.5H4.5V11h3Zm0 0 3.7-6.7c1.3 0 2.2 1 2.2 2.3 0 .9-.2 1.9-.5 2.9h4.6a2 2 0 0 1 2 2.4l-1.1 5.6a2.5 2.5 0 0 1-2.4 2H7.5";

/** @param {(rating: "up" | "down", reason?: string) => Promise<void>} onRate */
export function ratingElement(onRate) {
  const element = create("div", "rating");
  const buttons = create("div", "rating-buttons");
  const status = create("p", "rating-status");
  status.setAttribute("role", "status");
  const rate = async (rating, reason) => {
    status.textContent = "";
    try {
      await onRate(rating, reason);
      for (const one of [up, down]) one.setAttribute("aria-pressed", String(one.dataset.rating === rating));
      label(status, "feedbackThanks");
      element.querySelector(".reason")?.remove();
      if (rating === "down" && reason === undefined) {
        // Without a network the rating counts all the same.
        const part = await load("reasons").catch(() => null);
        if (part !== null && element.querySelector(".reason") === null) element.append(part.reasonElement((text) => rate("down", text), down));
      }
      element.dispatchEvent(new CustomEvent("grown", { bubbles: true }));
    } catch {
      label(status, "feedbackFailed");
    }
  };
  const up = ratingButton("up", "label:helpful", () => rate("up"));
  const down = ratingButton("down", "label:notHelpful", () => rate("down"));
  buttons.append(up, down, status);
  element.append(buttons);
  return element;
}

function ratingButton(rating, spec, onClick) {
  const made = button("icon-button small", spec, onClick);
  made.dataset.rating = rating;
  made.setAttribute("aria-pressed", "false");
  made.append(icon(THUMB));
  return made;
}
