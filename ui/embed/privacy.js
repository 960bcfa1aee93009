// What the visitor can know and do about what is kept of them: a copy of it, and its erasure with a receipt.
// Owns: the dialog and its four faces: what is kept, the copy, the question before erasing, the receipt.
// Never: calls the server (it is given what does), closes over a failure, or keeps a copy of the data.
// A file of its own, loaded when it is wanted for the first time; what it shares with the page it is given as `kit`
// (later.js).

import words from "words:privacy";

export { words };

let kit;
const button = (...given) => kit.button(...given);
const said = (...given) => kit.said(...given);

export function use(given) {
  kit = given;
}

export class Privacy {
  #dialog = document.getElementById("privacy");
  #options;
  #about = {};
  #file = "";
  #wasErased = false;

  /**
   * @param {{onExport: () => Promise<{text: string, isWhole: boolean}>, onErase: () => Promise<{receipt: object | null,
   *   isWhole: boolean}>, onClosed: (wasErased: boolean) => void}} options isWhole: it reached all that is shown
   */
  constructor(options) {
    this.#options = options;
    this.#dialog.addEventListener("close", () => {
      this.#dropFile();
      this.#dialog.replaceChildren();
      options.onClosed(this.#wasErased);
    });
  }

  /** @param {{name: string, privacyAddress: string, keptHours: number, recipients: string[], isEmpty: boolean}} about */
  open(about) {
    this.#about = about;
    this.#wasErased = false;
    this.#dialog.showModal();
    this.#showAbout();
  }

  #showAbout() {
    const { name, privacyAddress, keptHours, recipients, isEmpty } = this.#about;
    const content = [said("p", "", isEmpty ? "privacyNothing" : "privacyKept", { name })];
    if (!isEmpty && keptHours > 0) content.push(said("p", "", "keptHours", { n: keptHours }));
    if (!isEmpty && recipients.length > 0) content.push(said("p", "", "passedTo", { recipient: recipients }));
    const links = kit.create("p", "links");
    links.append(kit.label(kit.outLink("link", kit.noticeAddress()), "privacyNotice"));
    if (privacyAddress !== "") links.append(kit.label(kit.outLink("link", privacyAddress), "privacyPolicy"));
    content.push(links);
    const acts = [button("button", "done", () => this.#dialog.close())];
    if (!isEmpty) {
      acts.unshift(
        button("button", "exportData", ({ target }) => this.#during(target, "exporting", "exportFailed", () => this.#export())),
        button("button danger", "eraseData", () => this.#showQuestion()),
      );
    }
    this.#show("privacy", content, acts, "stack");
  }

  async #export() {
    const { text, isWhole } = await this.#options.onExport();
    // A frame may not be allowed to save files: then the text can still be copied.
    this.#file = URL.createObjectURL(new Blob([text], { type: "application/json" }));
    const save = said("a", "button", "saveFile");
    save.href = this.#file;
    save.download = "conversation.json";
    const data = dataElement("exportTitle", text);
    const back = button("button", "back", () => {
      this.#dropFile();
      this.#showAbout();
    });
    this.#show("exportTitle", [said("p", "", isWhole ? "exportHelp" : "endedText"), data], [this.#copyButton(data, "main"), save, back]);
  }

  #showQuestion() {
    const yes = button("button danger filled", "erase", () => this.#during(yes, "erasing", "eraseFailed", () => this.#erase()));
    const no = button("button", "keep", () => this.#showAbout());
    this.#show("eraseTitle", [said("p", "", "eraseText")], [no, yes]);
  }

  async #erase() {
    const { receipt, isWhole } = await this.#options.onErase();
    this.#wasErased = true;
    const done = button("button main", "done", () => this.#dialog.close());
    const rest = isWhole ? [] : [said("p", "", "endedText")];
    if (receipt === null) return isWhole ? this.#dialog.close() : this.#show("endedTitle", rest, [done]);
    const values = { n: Number(receipt.messages) || 0, time: timeOf(receipt.erased_at) };
    const data = dataElement("receipt", JSON.stringify(receipt, null, 2));
    return this.#show("receiptTitle", [said("p", "", "receiptText", values), ...rest, said("p", "", "receiptHint"), data], [done, this.#copyButton(data, "")]);
  }

  #copyButton(data, className) {
    return button(`button ${className}`, "copy", ({ target }) => kit.copyFrom(target, data, kit.announce));
  }

  // The first act gets the focus.
  #show(title, content, acts, className = "actions") {
    const heading = said("h2", "", `${title}`);
    heading.id = "privacy-title";
    const row = kit.create("div", className);
    row.append(...acts);
    const failure = kit.create("p", "failure");
    failure.setAttribute("role", "alert");
    this.#dialog.replaceChildren(heading, ...content, failure, row);
    acts[0].focus();
  }

  async #during(pressed, busy, failed, act) {
    if (pressed.getAttribute("aria-disabled") === "true") return;
    const before = pressed.dataset.say;
    const failure = this.#dialog.querySelector(".failure");
    pressed.setAttribute("aria-disabled", "true");
    kit.label(pressed, busy);
    failure.textContent = "";
    try {
      await act();
    } catch (error) {
      failure.textContent = kit.say(error?.code === "session_ended" ? "endedText" : failed);
    }
    pressed.removeAttribute("aria-disabled");
    kit.label(pressed, before);
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
  return Number.isFinite(milliseconds) ? kit.sayTime(milliseconds) : "";
}
