// One event: its clip, its verdict, what it resembles, and what was said of it before.

import { api } from "./api.js";
import { el } from "./dom.js";
import { lasted, score, when, words } from "./format.js";
import { offerPlayable } from "./playable.js";

export const SAYS = { confirmed: "Confirmed", dismissed: "Dismissed", relabelled: "Relabelled" };

/** What became of an event, as a small sign. */
export function verdictTag(event) {
  const said = event.review?.verdict || (["new", "open"].includes(event.state) ? "going on" : "to review");
  return el("span", { class: "tag " + said.replaceAll(" ", "-") }, said);
}

/** Fill `stage` with an event; `act` gives a verdict or asks for a label. Returns its video, if it has a clip. */
export function drawEvent(stage, event, act) {
  const video = event.clip
    ? el("video", {
        src: event.clip,
        poster: event.snapshot,
        controls: true,
        muted: true,
        autoplay: true,
        loop: true,
        playsinline: true,
        preload: "metadata",
        "aria-label": `Clip of ${words(event.label)} on ${event.camera}`,
      })
    : null;
  const screen = el(
    "div",
    { class: "screen" },
    video ||
      (event.snapshot
        ? el("img", { src: event.snapshot, alt: `Snapshot of ${words(event.label)} on ${event.camera}` })
        : el(
            "p",
            { class: "noclip" },
            ["new", "open"].includes(event.state)
              ? "The event is going on; its clip comes when it is over."
              : "No clip was kept of this event.",
          )),
  );
  let remade = false;
  video?.addEventListener("error", () => {
    if (remade) return;
    screen.replaceChildren(
      offerPlayable(event, (address) => {
        remade = true;
        video.src = address;
        screen.replaceChildren(video);
      }),
    );
  });
  const history = el("ol", { class: "history" });
  const shares = Object.entries(event.probabilities)
    .sort((one, other) => other[1] - one[1])
    .slice(0, 5)
    .filter(([, share]) => share >= 0.01);
  stage.replaceChildren(
    screen,
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
      el(
        "div",
        { class: "verdicts", role: "group", "aria-label": "Verdict" },
        el(
          "button",
          {
            class: "tool yes",
            onclick: () => act.say("confirmed"),
            "aria-pressed": String(event.review?.verdict === "confirmed"),
          },
          "Confirm ",
          el("kbd", {}, "c"),
        ),
        el(
          "button",
          {
            class: "tool",
            onclick: () => act.say("dismissed"),
            "aria-pressed": String(event.review?.verdict === "dismissed"),
          },
          "Dismiss ",
          el("kbd", {}, "d"),
        ),
        el(
          "button",
          { class: "tool", onclick: act.relabel, "aria-pressed": String(event.review?.verdict === "relabelled") },
          "Relabel ",
          el("kbd", {}, "r"),
        ),
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
  if (event.review)
    api(`/events/${event.id}/reviews`)
      .then((all) =>
        history.replaceChildren(
          ...all.map((one) =>
            el(
              "li",
              {},
              `${SAYS[one.verdict]}${one.category ? " as " + words(one.category) : ""}, ${when(one.time)}${one.note ? ": " + one.note : ""}`,
            ),
          ),
        ),
      )
      .catch(() => {});
  return video;
}
