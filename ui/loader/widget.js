// Chatward: puts the chat on a page. Paste one line:
//   <script src="https://chat.example/widget.js" data-site-id="cw_pk_…" async></script>
// Owns: the start: which script and which <chatward-chat> elements there are, and window.Chatward,
// which may be an array of calls before this file has loaded.
// Never: calls, stores or frames anything before the first opening, delays the page, or shows
// itself twice for one site. What a chat on a page is stands in chat.js.

import { createChat } from "./chat.js";
import { readSettings } from "./settings.js";
import { SMALL } from "./styles.js";

const ELEMENT = "chatward-chat";
const script = document.currentScript ?? document.querySelector("script[data-site-id][src*='widget.js']");
const origin = new URL(script?.src || location).origin;

if (!customElements.get(ELEMENT)) {
  customElements.define(
    ELEMENT,
    class extends HTMLElement {
      connectedCallback() {
        // Behind the end of one that this one replaces, whichever of them the page moved first.
        whenParsed(() => queueMicrotask(() => queueMicrotask(() => {
          if (this.isConnected) this.chat ??= start(this);
        })));
      }

      disconnectedCallback() {
        // A framework moves an element by taking it out and putting it back.
        queueMicrotask(() => {
          if (this.isConnected) return;
          this.chat?.destroy();
          this.chat = null;
        });
      }
    },
  );
}

whenParsed(() => {
  if (script?.dataset.siteId !== undefined || !document.querySelector(ELEMENT)) start(script);
});

// The launcher comes last in the page, also for the keyboard, and nothing waits for it.
function whenParsed(run) {
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", run);
  else run();
}

function start(element) {
  const settings = readSettings(element, origin);
  if (!settings) return console.error("Chatward: data-site-id is no publishable key (cw_pk_…).");
  if (document.querySelector(`chatward-widget[site=${settings.site}]`)) return console.warn("Chatward: twice on this page.");
  const { parent } = settings;
  if (!parent) return console.error("Chatward: no element matches data-target.");
  const { api, mount, open } = createChat(settings, (gone) => {
    if (window.Chatward === gone) delete window.Chatward;
  });
  mount(parent);
  // The first chat of a page is the one that window.Chatward speaks to.
  const before = window.Chatward;
  if (!before?.destroy) {
    try {
      window.Chatward = api;
    } catch {
      // The page has made it its own; the launcher works all the same.
    }
    if (Array.isArray(before)) api.push(...before);
  }
  // A small screen would be covered whole by what nobody there has asked for. A page that is still coming is not held up.
  const openAlone = () => open(false);
  if (!settings.opensOnLoad || (parent === document.documentElement && matchMedia(SMALL).matches)) return api;
  if (document.readyState === "complete") openAlone();
  else window.addEventListener("load", openAlone);
  return api;
}
