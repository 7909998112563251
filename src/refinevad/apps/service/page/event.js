// One event: its clip, its verdict, what it resembles, and what was said of it before.

import { api } from "./api.js";
import { screenOf } from "./clip.js";
import { el } from "./dom.js";
import { lasted, score, when, words } from "./format.js";
import { curveUnder, placeOver, whereSwitch, whySentence } from "./where.js";
import { verdictBar } from "./verdicts.js";

export const SAYS = { confirmed: "Confirmed", dismissed: "Dismissed", relabelled: "Relabelled", unsure: "Unsure" };

/** What became of an event, as a small sign. */
export function verdictTag(event) {
  const said = event.review?.verdict || (["new", "open"].includes(event.state) ? "going on" : "to review");
  return el("span", { class: "tag " + said.replaceAll(" ", "-") }, said);
}

/** Fill `stage` with an event; `act` as verdictBar has it. Returns its video, if it has a clip. */
export function drawEvent(stage, event, act, camera) {
  const { screen, video } = screenOf(event);
  const pictured = screen.querySelector("video, img"),
    curve = el("div", { class: "under-clip" });
  if (pictured && event.where) screen.append(placeOver(pictured, event.where));
  if (video) curveUnder(curve, video, event, camera);
  const history = el("ol", { class: "history" });
  const shares = Object.entries(event.probabilities)
    .sort((one, other) => other[1] - one[1])
    .slice(0, 5)
    .filter(([, share]) => share >= 0.01);
  stage.replaceChildren(
    screen,
    curve,
    verdictBar(event, act),
    el(
      "div",
      { class: "card about" },
      el(
        "div",
        { class: "about-head" },
        el(
          "div",
          {},
          el("h2", {}, words(event.label)),
          el("p", { class: "note" }, `${event.camera} · ${when(event.start_time)} · ${lasted(event.start_time, event.end_time)}`),
        ),
        verdictTag(event),
      ),
      event.reason
        ? el(
            "p",
            { class: "note" },
            event.state === "closed-by-restart"
              ? `Closed at a restart of the service (${event.reason}); it may have gone on.`
              : event.reason === "longest"
                ? "It went on: the next event of this camera continues it."
                : event.reason.startsWith("continues ")
                  ? "It continues the event before it, which had lasted as long as one may."
                  : `Ended: ${event.reason}.`,
          )
        : null,
      event.where && event.why
        ? el(
            "p",
            { class: "note why" },
            whySentence(event),
            " ",
            pictured ? whereSwitch(screen) : null,
          )
        : null,
      el(
        "div",
        { class: "columns" },
        el(
          "div",
          {},
          el("h3", {}, "Resembles"),
          el(
            "div",
            { class: "bars" },
            shares.flatMap(([category, share]) => [
              el("span", { class: "name", title: words(category) }, words(category)),
              el("span", { class: "track" }, el("i", { style: { width: `${100 * share}%` } })),
              el("span", { class: "value" }, score(share)),
            ]),
          ),
        ),
        el(
          "div",
          {},
          el("h3", {}, "Facts"),
          el(
            "dl",
            { class: "plain" },
            el("dt", {}, "Peak score"),
            el("dd", { class: "number" }, `${score(event.peak)} at ${when(event.peak_time)}`),
            el("dt", {}, "Model"),
            el("dd", {}, event.model.split("/").pop() || "–"),
            el("dt", {}, "Timeline"),
            el("dd", {}, el("a", { href: `#/timeline?camera=${encodeURIComponent(event.camera)}` }, event.camera)),
          ),
          history,
        ),
      ),
    ),
  );
  if (!["new", "open"].includes(event.state))
    api(`/events/${event.id}/reviews`)
      .then((all) =>
        history.replaceChildren(
          ...all.map((one) =>
            el(
              "li",
              { class: one.undone ? "undone" : null },
              `${SAYS[one.verdict]}${one.category ? " as " + words(one.category) : ""}${one.reviewer ? " by " + one.reviewer : ""}, ${when(one.time)}${one.undone ? ", taken back" : ""}${one.note ? ": " + one.note : ""}`,
            ),
          ),
        ),
      )
      .catch(() => {});
  return video;
}
