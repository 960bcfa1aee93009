// Whether an answer helped, and if not, why.
// Owns: the two buttons, the reasons to choose from, the visitor's own words.
// Never: calls the server (it is given `onRate`), or says a rating was saved before it was.

import { button, create, icon, said } from "./elements.js";
import { inEnglish, label } from "./language.js";
import { clean } from "./text.js";

const LONGEST_REASON = 500;
const REASONS = ["reasonWrong", "reasonOld", "reasonOff", "reasonUnclear"];
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
      if (rating === "down" && reason === undefined) element.append(reasonElement((text) => rate("down", text), down));
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

function reasonElement(onSend, down) {
  const element = create("fieldset", "reason");
  const chips = create("div", "reason-chips");
  const input = create("input", "reason-input");
  label(input, "hint:feedbackMore label:feedbackMore");
  input.type = "text";
  input.maxLength = LONGEST_REASON;
  input.autocomplete = "off";
  input.dir = "auto";
  for (const key of REASONS) {
    const chip = button("chip", key, () => chip.setAttribute("aria-pressed", String(chip.getAttribute("aria-pressed") !== "true")));
    chip.dataset.reason = inEnglish(key);
    chip.setAttribute("aria-pressed", "false");
    chips.append(chip);
  }
  const submit = () => {
    const chosen = [...chips.querySelectorAll("[aria-pressed=true]")].map((chip) => chip.dataset.reason);
    const own = clean(input.value).trim();
    const reason = [...chosen, own].filter(Boolean).join("; ").slice(0, LONGEST_REASON);
    if (reason === "") return input.focus();
    // The field goes away with the answer to this; the focus must not go with it.
    down.focus();
    return onSend(reason);
  };
  input.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.isComposing) return;
    // Else the same key press would go on to the button that gets the focus.
    event.preventDefault();
    submit();
  });
  const line = create("div", "reason-line");
  line.append(input, button("button", "send", submit));
  element.append(said("legend", "reason-title", "feedbackWhy"), chips, line);
  return element;
}
