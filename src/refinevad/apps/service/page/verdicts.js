// The verdict on an event: always on the screen, with a note and a way back.

import { el } from "./dom.js";

const drafts = new Map(); // event's id -> a note that was not sent yet

/** The note as it stands in the field. */
export const noteOf = (event) => drafts.get(event.id) ?? event.review?.note ?? "";
export const noteSent = (id) => drafts.delete(id);

/** `act`: say(verdict), relabel(), undo(), and `undoable`, what there is to take back in words. */
export function verdictBar(event, act) {
  const given = event.review?.verdict;
  const choice = (verdict, text, key, kind, onclick = () => act.say(verdict)) =>
    el(
      "button",
      { class: `tool ${kind}`, onclick, "aria-pressed": String(given === verdict), "aria-keyshortcuts": key },
      `${text} `,
      el("kbd", {}, key),
    );
  const note = el("input", {
    class: "note-field",
    "aria-label": "Note",
    placeholder: given ? "Note" : "Note, kept with the verdict",
    maxlength: 2000,
    autocomplete: "off",
    value: noteOf(event),
    oninput: () => drafts.set(event.id, note.value),
    onkeydown: (pressed) => {
      if (pressed.key === "Escape") note.blur();
      if (pressed.key !== "Enter" || pressed.isComposing) return;
      pressed.preventDefault();
      note.blur();
      if (given) act.say(given, event.review.category);
    },
  });
  return el(
    "div",
    { class: "verdict-bar", "data-needs": "reviewer" },
    el(
      "div",
      { class: "verdicts", role: "group", "aria-label": "Verdict" },
      choice("confirmed", "Confirm", "c", "yes"),
      choice("dismissed", "Dismiss", "d", ""),
      choice("relabelled", "Relabel", "r", "", act.relabel),
      choice("unsure", "Unsure", "s", ""),
    ),
    el(
      "div",
      { class: "beside" },
      note,
      el(
        "button",
        { class: "tool undo", onclick: act.undo, disabled: !act.undoable, title: act.undoable || "Nothing to undo" },
        "Undo ",
        el("kbd", {}, "u"),
      ),
    ),
  );
}
