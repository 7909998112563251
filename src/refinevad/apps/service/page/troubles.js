// What was wrong with cameras lately, under System.

import { api } from "./api.js";
import { el } from "./dom.js";
import { lasted, when } from "./format.js";
import { AILS } from "./tile.js";

const SHOWN = 10;

/** The section, filled as what it shows comes. */
export function troubleSection() {
  const list = el("ol", { class: "troubles rows card", "aria-labelledby": "troubles" }),
    more = el("button", { class: "tool", hidden: true, onclick: () => load() }, "More");
  let skip = 0;
  async function load() {
    let found;
    try {
      found = await api("/troubles", { query: { limit: SHOWN, skip } });
    } catch (error) {
      list.replaceChildren(el("li", { class: "trouble" }, error.message));
      return;
    }
    if (!skip && !found.troubles.length)
      list.replaceChildren(el("li", { class: "note" }, "Nothing was, as far back as it is kept."));
    list.append(...found.troubles.map(row));
    skip = found.next_skip ?? 0;
    more.hidden = found.next_skip === null;
  }
  load();
  return [el("h2", { id: "troubles" }, "What was wrong with cameras"), list, el("p", { class: "actions" }, more)];
}

const row = (trouble) =>
  el(
    "li",
    {},
    el(
      "span",
      { class: "what" },
      el("b", {}, `${trouble.camera}: ${AILS[trouble.name] || trouble.name}`),
      el(
        "small",
        {},
        `${when(trouble.since)}${trouble.over ? ` · lasted ${lasted(trouble.since, trouble.over)}` : ""} · ${trouble.text}`,
      ),
    ),
    trouble.over ? null : el("span", { class: "tag failed" }, "still so"),
  );
