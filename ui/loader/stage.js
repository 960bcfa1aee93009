// What is seen on the host page: the launcher, the panel, and the frame in it.
// Owns: a shadow tree of its own on <html>, outside of <body>, whose transforms, filters and
// re-rendering would otherwise take the launcher along; or in the owner's element when inline.
// Never: changes, measures or reads the page beyond its direction, and puts the tree back only
// so often when the page's scripts remove it. Content never passes here; it stays in the frame.

import { isColor, isCorner } from "./settings.js";
import { SMALL, STYLES } from "./styles.js";
import { wordsFor } from "./words.js";

const MOST_RETURNS = 20;
// What a chat needs and no more: its own scripts, its own origin (for its API), ordinary new tabs
// for sources, the visitor's export. No forms, no dialogs, no navigation of the page.
const SANDBOX = "allow-scripts allow-same-origin allow-popups allow-popups-to-escape-sandbox allow-downloads";

/**
 * The functions are called when the visitor presses the launcher, leaves the panel or asks for another try, and when
 * the tree was put back, so that its frame begins anew. `stop` ends all listening.
 */
export function createStage({ site, origin, nonce, presentation }, stop, onToggle, onClose, onRetry, onReturn) {
  const isInline = presentation.position === "inline";
  const host = element("chatward-widget", { site, position: presentation.position });
  const root = host.attachShadow({ mode: "open" });
  const badge = element("span");
  const news = element("b", { role: "status" });
  const launcher = element("button", { class: "launcher", part: "launcher", "aria-expanded": "false" }, element("i"), badge);
  const text = element("p", { role: "status" });
  const again = element("button");
  const less = element("button");
  const cover = element("div", {}, text, again, less);
  const panel = element(isInline ? "section" : "dialog", { class: "panel" });
  const seen = window.visualViewport;
  const small = matchMedia(SMALL);
  let frame;
  let back;
  let called;
  let gone;
  let title;
  let unread = 0;
  let observer;
  let returns = 0;

  try {
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(STYLES);
    root.adoptedStyleSheets = [sheet];
  } catch {
    root.append(element("style", { nonce }, STYLES));
  }
  root.append(launcher, news, panel);
  launcher.onclick = onToggle;
  less.onclick = onClose;
  again.onclick = onRetry;
  panel.oncancel = (event) => {
    event.preventDefault();
    onClose();
  };
  speak(presentation.locale);

  return {
    launcher,
    isOpen,
    isFocused: () => root.activeElement === frame,
    frame: () => frame,

    mount(parent) {
      document.addEventListener("keydown", onKey, stop);
      small.addEventListener("change", turn, stop);
      for (const moved of ["resize", "scroll"]) seen?.addEventListener(moved, fit, stop);
      parent.append(host);
      dress(presentation);
      observer = new MutationObserver(() => {
        if (host.isConnected || returns++ > MOST_RETURNS) return;
        parent.append(host);
        if (frame) onReturn();
      });
      observer.observe(parent, { childList: true });
    },

    remove() {
      observer.disconnect();
      host.remove();
    },

    /** Frames the chat; what it shows is covered until it says that it is there. */
    load() {
      frame?.remove();
      frame = element("iframe", {
        title: called,
        allow: "clipboard-write",
        referrerpolicy: "strict-origin",
        sandbox: SANDBOX,
        src: `${origin}/embed/${site}${origin === location.origin ? "?preview" : ""}`,
      });
      panel.append(frame);
      coverWith();
      return frame;
    },

    cover: coverWith,

    uncover() {
      const moves = cover.contains(root.activeElement);
      cover.remove();
      if (moves) frame.focus();
    },

    show(takesFocus) {
      back = launcher.hidden ? document.activeElement : launcher;
      raise();
      launcher.setAttribute("aria-expanded", "true");
      count(0);
      fit();
      if (takesFocus) (cover.isConnected ? less : frame).focus();
    },

    hide() {
      const moves = root.activeElement;
      panel.close?.();
      panel.removeAttribute("open");
      launcher.setAttribute("aria-expanded", "false");
      if (moves) back.focus();
    },

    dress,
    speak,
    count,
  };

  function isOpen() {
    return panel.hasAttribute("open");
  }

  // On a small screen the panel is modal: the page behind it cannot be reached by Tab or by a
  // screen reader's cursor, and the back gesture closes it.
  function raise() {
    if (!isInline && small.matches) panel.showModal();
    else panel.setAttribute("open", "");
  }

  // A device that is turned and a window that is resized may make a small screen of a large one.
  function turn() {
    if (!isOpen()) return;
    const focused = root.activeElement;
    panel.close?.();
    raise();
    focused?.focus();
  }

  // Without a word: it is on its way.
  function coverWith(isGone, canRetry) {
    panel.prepend(cover);
    text.textContent = isGone ? gone : "";
    again.hidden = !canRetry;
  }

  /** What the owner set on the server comes after what is on the page, and wins. */
  function dress(look) {
    if (!isInline && isCorner(look.position)) host.setAttribute("position", look.position);
    if (look.theme) panel.style.colorScheme = look.theme === "auto" ? "" : look.theme;
    if (look.title) title = look.title;
    speak(host.lang);
    if (isColor(look.color)) launcher.style.setProperty("--owner", look.color);
    const others = document.querySelectorAll(`chatward-widget[position=${host.getAttribute("position")}]`);
    launcher.style.setProperty("--place", [...others].indexOf(host));
  }

  function speak(locale) {
    [host.lang, called, less.textContent, again.textContent, gone] = wordsFor(locale);
    host.dir = /ar|he/.test(host.lang) ? "rtl" : "ltr";
    called = title || called;
    panel.setAttribute("aria-label", called);
    if (frame) frame.title = called;
    count(unread);
  }

  /** `words` say the number to who cannot see it, once; without them nothing is said. */
  function count(number, words) {
    unread = number;
    news.textContent = words;
    badge.hidden = !(number > 0);
    badge.textContent = number > 9 ? "9+" : number;
    launcher.setAttribute("aria-label", badge.hidden ? called : `${called}, ${badge.textContent}`);
  }

  // Escape anywhere else is the page's own.
  function onKey(event) {
    const isOurs = root.activeElement || document.activeElement === document.body;
    if (event.key === "Escape" && panel.open && !isInline && isOurs && !event.defaultPrevented) onClose();
  }

  // A keyboard on the screen covers the page without making it smaller; a page that is zoomed by
  // two fingers is left as it is.
  function fit() {
    const isWhole = seen?.scale === 1;
    panel.style.setProperty("--tall", isWhole ? `${seen.height}px` : "");
    panel.style.setProperty("--top", isWhole ? `${seen.offsetTop}px` : "");
  }
}

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}
