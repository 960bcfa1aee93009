// Why an answer did not help: reasons to choose from, and the visitor's own words.
// Owns: the fields for both, and their bounds.
// Never: calls the server (it is given `onSend`).
// A file of its own, loaded when it is wanted; what it shares with the page it is given as `kit` (later.js).

import words from "words:reasons";

export { words };

const LONGEST_REASON = 500;
const REASONS = ["reasonWrong", "reasonOld", "reasonOff", "reasonUnclear"];

let kit;

export function use(given) {
  kit = given;
}

/** @param {(reason: string) => Promise<void>} onSend @param {HTMLElement} down gets the focus when the reasons go */
export function reasonElement(onSend, down) {
  const { button, create, label, said } = kit;
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
    chip.dataset.reason = kit.inEnglish(key);
    chip.setAttribute("aria-pressed", "false");
    chips.append(chip);
  }
  const submit = () => {
    const chosen = [...chips.querySelectorAll("[aria-pressed=true]")].map((chip) => chip.dataset.reason);
    const own = kit.clean(input.value).trim();
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
