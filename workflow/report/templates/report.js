// What every page of the report does: light or dark as the reader likes it. Loaded before the page
// is drawn, so that it never flashes. One global, `resformer`, holds all scripts' functions.
"use strict";
window.resformer = window.resformer || {};

(function () {
  const KEY = "resformer-theme";
  const root = document.documentElement;

  // Pages from disk may have no storage; the choice then holds for one page.
  function remembered() {
    try {
      const theme = window.localStorage.getItem(KEY);
      return theme === "dark" || theme === "light" ? theme : null;
    } catch {
      return null;
    }
  }

  function remember(theme) {
    try {
      window.localStorage.setItem(KEY, theme);
    } catch {
      // Nothing to do: see above.
    }
  }

  function dark() {
    const system = window.matchMedia("(prefers-color-scheme: dark)").matches;
    return root.dataset.theme ? root.dataset.theme === "dark" : system;
  }

  const theme = remembered();
  if (theme) root.dataset.theme = theme;

  document.addEventListener("DOMContentLoaded", function () {
    const button = document.querySelector("button.theme");
    if (!button) return;
    const show = () => button.setAttribute("aria-pressed", String(dark()));
    button.hidden = false;
    show();
    button.addEventListener("click", function () {
      root.dataset.theme = dark() ? "light" : "dark";
      remember(root.dataset.theme);
      show();
    });
    window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", show);
  });
})();
