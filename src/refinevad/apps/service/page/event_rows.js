// Events as a list of links to Review.

import { el } from "./dom.js";
import { verdictTag } from "./event.js";
import { clock, lasted, score, words } from "./format.js";

/** `query`: the filters Review opens with; `named`: whether each row says its camera. */
export const eventRows = (events, query, named = false) =>
  el(
    "ol",
    { class: "rows card" },
    events.map((event) =>
      el(
        "li",
        {},
        el(
          "a",
          { href: `#/review/${event.id}?${query}` },
          event.snapshot ? el("img", { src: event.snapshot, alt: "", loading: "lazy" }) : el("span", { class: "noimg" }),
          el(
            "span",
            { class: "what" },
            el("b", {}, words(event.label)),
            el(
              "small",
              {},
              `${named ? event.camera + " · " : ""}${clock(event.start_time)} · ${lasted(event.start_time, event.end_time)}`,
            ),
          ),
          el("span", { class: "number" }, score(event.peak)),
          verdictTag(event),
        ),
      ),
    ),
  );
