// What the visitor can know and do about what is kept of them: a copy of it, and its erasure with a receipt.
// Owns: the dialog and its four faces: what is kept, the copy, the question before erasing, the receipt.
// Never: calls the server (it is given what does), closes over a failure, or keeps a copy of the data.

import { copyFrom } from "./copy.js";
import { button, byId, create, said } from "./elements.js";
import { label, say, sayTime } from "./language.js";

export class Privacy {
  #dialog = byId("privacy");
  #options;
  #about = {};
  #file = "";
  #wasErased = false;

  /**
   * @param {{onExport: () => Promise<string>, onErase: () => Promise<object | null>, onClosed: (wasErased: boolean) => void,
   *   announce: (text: string) => void}} options onErase resolves with the server's receipt, null if there was nothing
   */
  constructor(options) {
    this.#options = options;
    this.#dialog.addEventListener("close", () => {
      this.#dropFile();
      this.#dialog.replaceChildren();
      options.onClosed(this.#wasErased);
    });
  }

  get isOpen() {
    return this.#dialog.open;
  }

  /** @param {{name: string, privacyAddress: string, endsAt: number, isEmpty: boolean}} about endsAt in milliseconds */
  open(about) {
    this.#about = about;
    this.#wasErased = false;
    this.#dialog.showModal();
    this.#showAbout();
  }

  #showAbout() {
    const { name, privacyAddress, endsAt, isEmpty } = this.#about;
    const content = [said("p", "", isEmpty ? "text:privacyNothing" : "text:privacyKept", { name })];
    if (!isEmpty && endsAt > 0) content.push(said("p", "", "text:privacyEnds", { time: sayTime(endsAt) }));
    if (privacyAddress !== "") {
      const policy = said("a", "link", "text:privacyPolicy");
      policy.href = privacyAddress;
      policy.target = "_blank";
      policy.rel = "noopener noreferrer";
      content.push(policy);
    }
    const acts = [button("button", "text:done", () => this.#dialog.close())];
    if (!isEmpty) {
      acts.unshift(
        button("button", "text:exportData", ({ target }) => this.#during(target, "text:exporting", "exportFailed", () => this.#export())),
        button("button danger", "text:eraseData", () => this.#showQuestion()),
      );
    }
    this.#show("privacyTitle", content, acts, "stack");
  }

  async #export() {
    const text = await this.#options.onExport();
    // A frame may not be allowed to save files: then the text can still be copied.
    this.#file = URL.createObjectURL(new Blob([text], { type: "application/json" }));
    const save = said("a", "button", "text:saveFile");
    save.href = this.#file;
    save.download = "conversation.json";
    const data = dataElement("exportTitle", text);
    const back = button("button", "text:back", () => {
      this.#dropFile();
      this.#showAbout();
    });
    this.#show("exportTitle", [said("p", "", "text:exportHelp"), data], [this.#copyButton(data, "main"), save, back]);
  }

  #showQuestion() {
    const yes = button("button danger filled", "text:erase", () => this.#during(yes, "text:erasing", "eraseFailed", () => this.#erase()));
    const no = button("button", "text:keep", () => this.#showAbout());
    this.#show("eraseTitle", [said("p", "", "text:eraseText")], [no, yes]);
  }

  async #erase() {
    const receipt = await this.#options.onErase();
    this.#wasErased = true;
    if (receipt === null) return this.#dialog.close();
    const values = { n: Number(receipt.messages) || 0, time: timeOf(receipt.erased_at) };
    const data = dataElement("receipt", JSON.stringify(receipt, null, 2));
    const done = button("button main", "text:done", () => this.#dialog.close());
    return this.#show("receiptTitle", [said("p", "", "text:receiptText", values), said("p", "", "text:receiptHint"), data], [done, this.#copyButton(data, "")]);
  }

  #copyButton(data, className) {
    return button(`button ${className}`, "text:copy", ({ target }) => copyFrom(target, data, this.#options.announce));
  }

  // The first act gets the focus.
  #show(title, content, acts, className = "actions") {
    const heading = said("h2", "", `text:${title}`);
    heading.id = "privacy-title";
    const row = create("div", className);
    row.append(...acts);
    const failure = create("p", "failure");
    failure.setAttribute("role", "alert");
    this.#dialog.replaceChildren(heading, ...content, failure, row);
    acts[0].focus();
  }

  async #during(pressed, busy, failed, act) {
    if (pressed.getAttribute("aria-disabled") === "true") return;
    const before = pressed.dataset.say;
    const failure = this.#dialog.querySelector(".failure");
    pressed.setAttribute("aria-disabled", "true");
    label(pressed, busy);
    failure.textContent = "";
    try {
      await act();
    } catch {
      failure.textContent = say(failed);
    }
    pressed.removeAttribute("aria-disabled");
    label(pressed, before);
  }

  #dropFile() {
    if (this.#file !== "") URL.revokeObjectURL(this.#file);
    this.#file = "";
  }
}

function dataElement(key, text) {
  const data = said("textarea", "data", `label:${key}`);
  data.readOnly = true;
  data.rows = 8;
  data.dir = "ltr";
  data.value = text;
  return data;
}

// The server says times in seconds; RFC 3339 is understood as well.
function timeOf(raw) {
  const milliseconds = typeof raw === "number" ? raw * 1000 : Date.parse(raw);
  return Number.isFinite(milliseconds) ? sayTime(milliseconds) : "";
}
