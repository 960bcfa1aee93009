// Chatward: puts the chat on a page. Paste one line:
//   <script src="https://chat.example/widget.js" data-site-id="cw_pk_…" async></script>
// Owns: a launcher button in a shadow root and, once opened, a frame from this script's origin.
// Never: stores anything, calls anything before the first opening, reads the page, or lets the
// page's script reach into the chat (the frame has another origin; messages carry no data).
(() => {
  "use strict";
  const script = document.currentScript ?? document.querySelector("script[data-site-id][src*='/widget.js']");
  const site = script?.dataset.siteId ?? "";
  if (!/^cw_pk_(live|test|dev)_[0-9A-Za-z]+$/.test(site)) {
    console.error("Chatward: data-site-id is missing or is not a publishable key (cw_pk_…).");
    return;
  }
  const origin = new URL(script.src, document.baseURI).origin;
  const mark = `data-chatward-${site.toLowerCase().replaceAll("_", "-")}`;
  if (document.documentElement.hasAttribute(mark)) return;
  document.documentElement.setAttribute(mark, "");

  const styles = `
    :host { all: initial !important; position: fixed !important; inset: auto 0 0 auto !important; z-index: 2147483000 !important; display: block !important; color-scheme: light dark; }
    button { position: fixed; inset: auto max(20px, env(safe-area-inset-right)) max(20px, env(safe-area-inset-bottom)) auto; width: 56px; height: 56px; padding: 0; display: grid; place-items: center; border: 1px solid transparent; border-radius: 20px; background: #0f5d58; color: #fff; cursor: pointer; box-shadow: 0 2px 6px rgb(0 0 0 / 18%), 0 10px 28px rgb(0 0 0 / 20%); transition: transform 120ms, background-color 120ms; }
    button:hover { background: #0a4844; transform: translateY(-1px); }
    button:focus-visible { outline: 3px solid #fff; outline-offset: -6px; box-shadow: 0 0 0 3px #0f5d58, 0 10px 28px rgb(0 0 0 / 20%); }
    svg { width: 26px; height: 26px; fill: none; stroke: currentColor; stroke-width: 1.8; stroke-linecap: round; stroke-linejoin: round; }
    [aria-expanded="true"] .chat, [aria-expanded="false"] .less { display: none; }
    .panel { position: fixed; inset: auto max(20px, env(safe-area-inset-right)) 92px auto; width: 400px; height: min(660px, 100vh - 112px); height: min(660px, 100dvh - 112px); max-width: calc(100vw - 40px); border: 1px solid rgb(128 128 128 / 30%); border-radius: 18px; overflow: hidden; background: Canvas; box-shadow: 0 4px 12px rgb(0 0 0 / 12%), 0 24px 64px rgb(0 0 0 / 24%); }
    .panel[hidden] { display: none; }
    iframe { display: block; width: 100%; height: 100%; border: 0; color-scheme: light dark; }
    @media (max-width: 520px), (max-height: 480px) {
      .panel { inset: 0; width: 100%; max-width: none; height: 100%; border: 0; border-radius: 0; }
      button[aria-expanded="true"] { display: none; }
    }
    @media (prefers-reduced-motion: reduce) { button { transition: none; } button:hover { transform: none; } }
    @media (forced-colors: active) { button { border-color: ButtonText; } }
    @media print { :host { display: none !important; } }`;

  const host = document.createElement("div");
  const root = host.attachShadow({ mode: "open" });
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(styles);
  root.adoptedStyleSheets = [sheet];

  const panel = element("div", { class: "panel", id: "panel", role: "dialog", "aria-label": "Chat" });
  panel.hidden = true;
  const launcher = element("button", { type: "button", part: "launcher", "aria-label": "Chat", "aria-expanded": "false", "aria-controls": "panel" });
  launcher.append(
    icon("chat", "M5 4.5h14a2 2 0 0 1 2 2v8.5a2 2 0 0 1-2 2h-7.2L7 20.6V17H5a2 2 0 0 1-2-2V6.5a2 2 0 0 1 2-2Z"),
    icon("less", "m5.5 9 6.5 6.5L18.5 9"),
  );
  root.append(launcher, panel);

  let frame = null;
  let isReady = false;
  const isOpen = () => !panel.hidden;

  function open() {
    if (frame === null) {
      // What the chat needs and no more: its own scripts, its own origin (for its API), and
      // ordinary new tabs for sources. No forms, no downloads, no dialogs, no top navigation.
      frame = element("iframe", {
        title: "Chat",
        allow: "",
        referrerpolicy: "strict-origin-when-cross-origin",
        sandbox: "allow-scripts allow-same-origin allow-popups allow-popups-to-escape-sandbox",
        src: `${origin}/embed/${site}`,
      });
      panel.append(frame);
    }
    panel.hidden = false;
    launcher.setAttribute("aria-expanded", "true");
    frame.focus();
    tellShown();
  }

  // Only a frame that has said it is ready is ours; before that it may still be an empty page.
  function tellShown() {
    if (isReady && isOpen()) frame.contentWindow.postMessage("chatward:shown", origin);
  }

  function close() {
    panel.hidden = true;
    launcher.setAttribute("aria-expanded", "false");
    launcher.focus();
  }

  launcher.addEventListener("click", () => (isOpen() ? close() : open()));
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && isOpen() && !event.defaultPrevented) close();
  });
  window.addEventListener("message", (event) => {
    if (frame === null || event.source !== frame.contentWindow || event.origin !== origin) return;
    if (event.data === "chatward:close" && isOpen()) close();
    if (event.data === "chatward:ready") {
      isReady = true;
      tellShown();
    }
  });

  const mount = () => document.body.append(host);
  if (document.body) mount();
  else document.addEventListener("DOMContentLoaded", mount, { once: true });

  function element(tag, attributes) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    return made;
  }

  function icon(name, shape) {
    const made = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    made.setAttribute("viewBox", "0 0 24 24");
    made.setAttribute("class", name);
    made.setAttribute("aria-hidden", "true");
    const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
    path.setAttribute("d", shape);
    made.append(path);
    return made;
  }
})();
