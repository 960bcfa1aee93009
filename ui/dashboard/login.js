// The form that logs a user in.
// Owns: one form that password managers know, which asks for the second factor's code when the server does, and says what
// the server says. Never: keeps a password longer than the form is shown, or says more than the server of why it failed.

import { button, field, make, phrase, statusLine } from "./elements.js";
import { logIn } from "./server.js";
import { words } from "./words.js";

const ASKS_FOR_CODE = ["second_factor_needed", "second_factor_refused"];

/** @param {() => void} entered called when the user is in */
export function loginView(said, entered) {
  const email = field("email", words.email, make("input", { type: "email", name: "username", autocomplete: "username", autocapitalize: "none", spellcheck: "false", required: true, maxlength: 254 }));
  const password = field("password", words.password, make("input", { type: "password", name: "password", autocomplete: "current-password", required: true, maxlength: 256 }));
  const code = field("code", words.code, make("input", { type: "text", name: "code", autocomplete: "one-time-code", autocapitalize: "none", spellcheck: "false", maxlength: 64 }), words.codeAdvice);
  const go = make("button", { type: "submit", class: "primary" }, words.logIn);
  const error = make("p", { class: "form-error", role: "alert" });
  const form = make("form", { class: "login", "aria-labelledby": "login-title", submit }, email.box, password.box, code.box, error, go);

  askForCode(false);

  async function submit(event) {
    event.preventDefault();
    if (go.disabled) return;
    go.disabled = true;
    go.textContent = words.wait;
    error.textContent = "";
    const proof = { email: email.control.value, password: password.control.value };
    if (!code.box.hidden) proof.code = code.control.value.trim();
    try {
      await logIn(proof);
      form.reset();
      entered();
    } catch (refusal) {
      if (ASKS_FOR_CODE.includes(refusal.code)) askForCode(true);
      // That a code is wanted is nobody's mistake, and the server's word for it is for programs.
      const wanted = refusal.code === ASKS_FOR_CODE[0];
      error.classList.toggle("wrong", !wanted);
      error.replaceChildren(...phrase(wanted ? words.codeAsked : refusal.message));
      const wrong = code.box.hidden ? password.control : code.control;
      wrong.focus();
      wrong.select();
    } finally {
      go.disabled = false;
      go.textContent = words.logIn;
    }
  }

  function askForCode(asked) {
    code.box.hidden = !asked;
    code.control.required = asked;
  }

  return make(
    "section",
    { class: "narrow" },
    make("h1", { id: "login-title", tabindex: "-1" }, words.logIn),
    make("p", { class: "lead" }, words.logInLead),
    statusLine({ class: "said" }, said),
    form,
  );
}

/** Says why there is nothing to see here; `leave` where another account may help. */
export function refusedView(title, lead, message, again, leave = null) {
  return make(
    "section",
    { class: "narrow refused" },
    make("h1", { tabindex: "-1" }, title),
    lead === null ? null : make("p", { class: "lead" }, lead),
    make("p", {}, phrase(message)),
    make("p", { class: "actions" }, button(words.retry, again, { class: "primary" }), leave === null ? null : button(words.otherPerson, leave)),
  );
}
