// The strip above the preview: theme, language, a window as wide as a phone, and the chat opened.
// Owns: those controls. They use the page's own API of the widget, as an owner's page could.
// Never: sets anything for good: what the owner's site looks like is set where the site is.

const chat = () => window.Chatward ?? { push() {} };

for (const button of document.querySelectorAll("[data-theme][aria-pressed]")) {
  button.addEventListener("click", () => {
    const { theme } = button.dataset;
    document.documentElement.dataset.theme = theme;
    chat().push(["setTheme", theme]);
    for (const other of document.querySelectorAll("[data-theme][aria-pressed]")) other.setAttribute("aria-pressed", String(other === button));
  });
}

document.getElementById("language").addEventListener("change", ({ target }) => {
  chat().push(["setLocale", target.value || navigator.language]);
});

document.getElementById("open").addEventListener("click", () => chat().push(["open"]));

document.getElementById("phone").addEventListener("click", () => {
  window.open(window.location.href, "chatward-phone", "popup,width=390,height=780");
});
