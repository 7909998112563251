// One analysis: the video, its curve, and its events to jump to.

import { api } from "./api.js";
import { redrawn, scoreChart } from "./chart.js";
import { el, empty } from "./dom.js";
import { position, score, words } from "./format.js";
import { bind } from "./keys.js";
import { on } from "./socket.js";
import { placesWhile, whySentence } from "./where.js";

/** The states of an analysis as people read them. */
export const STATES = {
  queued: "waiting",
  running: "analysing",
  done: "done",
  failed: "failed",
  cancelled: "cancelled",
};

export async function showResult(root, id) {
  const job = await api("/jobs/" + encodeURIComponent(id)),
    found = job.result;
  const back = el("p", { class: "kicker" }, el("a", { href: "#/analyse" }, "Analyses"));
  if (!found) {
    root.append(
      back,
      el("h1", {}, job.name),
      empty(
        job.state === "failed" ? "The analysis failed" : "Not analysed yet",
        job.error || `It is ${STATES[job.state]}.`,
        el("a", { class: "tool", href: "#/analyse" }, "Back to all"),
      ),
    );
    return on("job", ({ job: changed }) => {
      if (changed.id === id && changed.state === "done") {
        root.replaceChildren();
        showResult(root, id);
      }
    });
  }
  const video = el("video", {
      src: job.video,
      controls: true,
      playsinline: true,
      preload: "metadata",
      "aria-label": job.name,
    }),
    screen = el("div", { class: "screen" }, video);
  placesWhile(video, found.events);
  video.addEventListener("error", () =>
    screen.replaceChildren(
      el(
        "p",
        { class: "noclip" },
        "This browser cannot play this file, or it is not kept any more. The curve and the events still hold.",
      ),
    ),
  );
  const plot = el("div", {
      class: "plot day",
      role: "img",
      "aria-label": `Scores of ${job.name}, threshold ${score(found.threshold)}`,
    }),
    readout = el("p", { class: "readout" });
  const many = found.events.length,
    peak = Math.max(0, ...found.curve.score);
  const go = (second) => {
    video.currentTime = second;
    video.play().catch(() => {});
    screen.scrollIntoView({ block: "nearest", behavior: "smooth" });
  };
  const parts = [
    back,
    el("h1", {}, job.name),
    el(
      "p",
      { class: many ? "verdict alarm" : "verdict" },
      many
        ? `${many} event${many === 1 ? "" : "s"}: ${[...new Set(found.events.map((event) => words(event.category)))].join(", ")}`
        : `No event: the highest score, ${score(peak)}, stays under the threshold of ${score(found.threshold)}`,
    ),
    found.notes.length ? el("p", { class: "trouble" }, found.notes.join(" ")) : null,
    screen,
    el("section", { class: "card timeline", "aria-label": "Scores" }, el("header", {}, readout), plot),
    many
      ? el(
          "ol",
          { class: "rows card" },
          found.events.map((event) =>
            el(
              "li",
              {},
              el(
                "button",
                { onclick: () => go(event.start_s) },
                el(
                  "span",
                  { class: "what" },
                  el("b", {}, words(event.category)),
                  el("small", {}, `${position(event.start_s)} – ${position(event.end_s)}`),
                  event.where && event.why ? el("small", {}, whySentence(event)) : null,
                ),
                el("span", { class: "number" }, score(event.peak)),
              ),
            ),
          ),
        )
      : null,
  ];
  root.append(...parts.filter(Boolean));
  const { start_s, score: values } = found.curve;
  let chart = null;
  const say = (index) =>
    (readout.textContent =
      index === null || index === undefined || values[index] === undefined
        ? `${position(found.duration_s)} long, threshold ${score(found.threshold)}`
        : `${position(start_s[index])} · score ${score(values[index])}`);
  const draw = () => {
    chart?.destroy();
    chart = scoreChart(plot, {
      height: 170,
      xs: [...start_s, found.duration_s],
      ys: [...values, values.at(-1)],
      incrs: [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200],
      format: position,
      thresholds: () => [[found.threshold, [6, 4]]],
      onclick: go,
    });
    chart.over.addEventListener("mousemove", () => say(chart.cursor.idx));
    chart.over.addEventListener("mouseleave", () => say(null));
    say(null);
  };
  const drop = redrawn(plot, draw);
  const jump = (step) => {
    const starts = found.events.map((event) => event.start_s),
      now = video.currentTime,
      next = step > 0 ? starts.find((start) => start > now + 0.1) : starts.filter((start) => start < now - 0.5).at(-1);
    if (next !== undefined) go(next);
  };
  const unbind = bind([
    ["j", "next event", () => jump(1)],
    ["k", "previous event", () => jump(-1)],
    [" ", "play or pause", () => (video.paused ? video.play() : video.pause())],
  ]);
  return () => {
    drop();
    unbind();
    chart?.destroy();
  };
}
