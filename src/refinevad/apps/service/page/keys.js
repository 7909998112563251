// Keyboard shortcuts: each view says its own, ? shows them all.

import { el } from "./dom.js";

const NAMES = { " ": "space", ArrowLeft: "←", ArrowRight: "→", Escape: "Esc" };
const everywhere = [
  ["?", "show the keys", showHelp],
  ["1", "cameras", () => (location.hash = "#/cameras")],
  ["2", "timeline", () => (location.hash = "#/timeline")],
  ["3", "review", () => (location.hash = "#/review")],
  ["4", "analyse a file", () => (location.hash = "#/analyse")],
  ["5", "system", () => (location.hash = "#/system")],
];
let ofView = [];

/** bind([["j", "next event", action], …]); returns what unbinds. */
export function bind(keys) {
  ofView = keys;
  return () => {
    if (ofView === keys) ofView = [];
  };
}

addEventListener("keydown", (event) => {
  if (event.altKey || event.ctrlKey || event.metaKey || event.defaultPrevented) return;
  if (document.querySelector("dialog[open]")) return;
  const target = event.target;
  if (target.matches?.("input:not([type=range]):not([type=checkbox]), textarea, select, [contenteditable]")) return;
  if (event.key === " " && target.closest?.("button, a, summary, video")) return; // space presses what has the focus
  if (target.matches?.("input[type=range]") && /^(Arrow|Home|End|Page)/.test(event.key)) return;
  const found = [...ofView, ...everywhere].find(([key]) => key === event.key);
  if (found) {
    event.preventDefault();
    found[2](event);
  }
});

export function showHelp() {
  const rows = (keys) =>
    keys.flatMap(([key, text]) => [el("dt", {}, el("kbd", {}, NAMES[key] || key)), el("dd", {}, text)]);
  const dialog = el(
    "dialog",
    { class: "card dialog", "aria-labelledby": "keys-title" },
    el("h2", { id: "keys-title" }, "Keys"),
    ofView.length ? el("dl", { class: "keylist" }, rows(ofView)) : null,
    el("h3", {}, "Everywhere"),
    el("dl", { class: "keylist" }, rows(everywhere)),
    el(
      "form",
      { method: "dialog", class: "actions" },
      el("button", { class: "tool primary", autofocus: true }, "Close"),
    ),
  );
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}
