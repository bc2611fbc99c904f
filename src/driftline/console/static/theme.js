// In the head, so that nobody who likes it dark is blinded first. Three states: automatic, light, dark.
(() => {
  "use strict";
  const KEY = "driftline-theme";
  const NEXT = { auto: "light", light: "dark", dark: "auto" };
  const WORDS = { auto: "Auto", light: "Light", dark: "Dark" };
  const kept = () => {
    try {
      return localStorage.getItem(KEY) in NEXT ? localStorage.getItem(KEY) : "auto";
    } catch {
      return "auto";
    }
  };
  const show = (theme) => {
    if (theme === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    const button = document.getElementById("theme");
    if (button) {
      button.setAttribute("aria-label", `Theme: ${theme === "auto" ? "automatic" : theme}`);
      button.querySelector(".theme-text").textContent = WORDS[theme];
    }
    document.dispatchEvent(new Event("themechange"));
  };
  show(kept());
  document.addEventListener("DOMContentLoaded", () => {
    show(kept());
    document.getElementById("theme").addEventListener("click", () => {
      const theme = NEXT[kept()];
      try {
        localStorage.setItem(KEY, theme);
      } catch {
        // It holds for this page only.
      }
      show(theme);
    });
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => show(kept()));
})();
