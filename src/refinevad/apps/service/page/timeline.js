// A day of a camera: its scores, its events by category, and what another threshold would have meant.

import { api } from "./api.js";
import { redrawn, scoreChart } from "./chart.js";
import { el, empty } from "./dom.js";
import { verdictTag } from "./event.js";
import { at, clock, dayBounds, dayKey, dayName, lasted, minute, score, words } from "./format.js";
import { bind } from "./keys.js";
import { recorded } from "./recorded.js";
import { on } from "./socket.js";
import { thresholdPanel } from "./threshold.js";

export async function show(root, { query }) {
  const cameras = await api("/cameras");
  if (!cameras.length) {
    root.append(
      el("div", { class: "head" }, el("h1", {}, "Timeline")),
      empty(
        "No cameras yet",
        "A day's scores and events show here once a camera is watched.",
        el("a", { class: "tool primary", href: "#/cameras" }, "Go to cameras"),
      ),
    );
    return null;
  }
  const name = cameras.some((camera) => camera.name === query.get("camera")) ? query.get("camera") : cameras[0].name;
  const key = /^\d{4}-\d\d-\d\d$/.test(query.get("day") || "") ? query.get("day") : dayKey(new Date());
  const [start, end] = dayBounds(key),
    camera = cameras.find((one) => one.name === name),
    path = `/cameras/${encodeURIComponent(name)}`;
  const go = (to, day) => (location.hash = `#/timeline?camera=${encodeURIComponent(to)}&day=${day}`);
  const shift = (days) => {
    const date = new Date(start);
    date.setDate(date.getDate() + days);
    go(name, dayKey(date));
  };

  const pick = el(
    "select",
    { "aria-label": "Camera", onchange: () => go(pick.value, key) },
    cameras.map((one) => el("option", { value: one.name, selected: one.name === name }, one.name)),
  );
  const day = el("input", {
    type: "date",
    "aria-label": "Day",
    value: key,
    max: dayKey(new Date()),
    onchange: () => day.value && go(name, day.value),
  });
  const today = key === dayKey(new Date());
  const readout = el("p", { class: "readout", role: "status" }),
    plot = el("div", { class: "plot day", role: "img" }),
    lanes = el("div", { class: "lanes" });
  const list = el("div", {}),
    recording = el("section", { class: "card panel", "aria-labelledby": "recorded-title", hidden: true }),
    panel = el("section", { class: "card panel", "aria-labelledby": "threshold-title" });
  root.append(
    el(
      "div",
      { class: "head" },
      el("div", {}, el("h1", {}, "Timeline"), el("p", { class: "kicker" }, dayName(start))),
      el(
        "div",
        { class: "tools" },
        pick,
        el("button", { class: "tool", onclick: () => shift(-1), "aria-label": "Day before" }, "‹"),
        day,
        el("button", { class: "tool", onclick: () => shift(1), disabled: today, "aria-label": "Day after" }, "›"),
      ),
    ),
    el(
      "section",
      { class: "card timeline", "aria-label": `Scores of ${name}` },
      el("header", {}, readout),
      plot,
      lanes,
    ),
    recording,
    panel,
    el("h2", {}, "Events of the day"),
    list,
  );

  let data = { scores: null, events: [] },
    chart = null,
    tried = null;
  async function load() {
    const [scores, found] = await Promise.all([
      api(path + "/scores", { query: { start, end, buckets: 1440 } }),
      api("/events", { query: { camera: name, start, end, limit: 1000 } }),
    ]);
    data = { scores, events: found.events };
    draw();
    drawEvents();
  }
  function say(index = null) {
    const { scores, events } = data;
    if (index !== null && scores.highest[index] !== null && scores.highest[index] !== undefined)
      readout.textContent = `${minute(at(scores.start) + index * scores.width_s)} · highest score ${score(scores.highest[index])}, mean ${score(scores.mean[index])}`;
    else
      readout.textContent = scores.segments
        ? `${events.length} event${events.length === 1 ? "" : "s"} · ${watched(scores)} with scores`
        : "No scores are stored for this day.";
  }
  function draw() {
    const { scores } = data;
    if (!scores || !plot.clientWidth) return;
    chart?.destroy();
    const begin = at(scores.start),
      xs = scores.highest.map((_, index) => begin + index * scores.width_s);
    chart = scoreChart(plot, {
      height: 190,
      step: [3600, 7200, 10800, 14400, 21600, 43200],
      xs: [...xs, at(end.toISOString())],
      ys: [...scores.highest, null],
      format: minute,
      thresholds: () =>
        tried === null || tried === camera.threshold
          ? [[camera.threshold, [6, 4]]]
          : [
              [camera.threshold, [2, 5]],
              [tried, [6, 4]],
            ],
    });
    chart.over.addEventListener("mousemove", () => say(chart.cursor.idx));
    chart.over.addEventListener("mouseleave", () => say());
    const peak = Math.max(0, ...scores.highest.filter((value) => value !== null));
    plot.setAttribute(
      "aria-label",
      `Scores of ${name} on ${dayName(start)}: highest ${score(peak)}, threshold ${score(camera.threshold)}`,
    );
    drawLanes();
    say();
  }
  function drawLanes() {
    const categories = [...new Set(data.events.map((event) => event.label))].sort(),
      span = end - start;
    lanes.replaceChildren(
      ...categories.map((category) =>
        el(
          "div",
          { class: "lane" },
          el("span", { class: "label", title: words(category) }, words(category)),
          el(
            "div",
            { class: "track", style: { marginLeft: "46px", marginRight: "20px" } },
            data.events
              .filter((event) => event.label === category)
              .map((event) => {
                const left = Math.max(0, new Date(event.start_time) - start) / span,
                  right = Math.min(span, new Date(event.end_time) - start) / span;
                return el("a", {
                  class: "mark " + (event.review?.verdict || ""),
                  href: `#/review/${event.id}?camera=${encodeURIComponent(name)}&day=${key}`,
                  style: { left: `${100 * left}%`, width: `max(6px, ${100 * (right - left)}%)` },
                  title: `${words(category)}, ${clock(event.start_time)}, ${lasted(event.start_time, event.end_time)}`,
                  "aria-label": `${words(category)} at ${clock(event.start_time)}, ${lasted(event.start_time, event.end_time)}, score ${score(event.peak)}`,
                });
              }),
          ),
        ),
      ),
    );
  }
  function drawEvents() {
    if (!data.events.length) {
      list.replaceChildren(
        empty(
          data.scores.segments ? "No events on this day" : "The camera was not watched on this day",
          data.scores.segments
            ? "The score never stayed above the threshold. The slider above shows what a lower one would have brought."
            : "Choose another day, or another camera.",
          today ? null : el("button", { class: "tool", onclick: () => go(name, dayKey(new Date())) }, "Today"),
        ),
      );
      return;
    }
    list.replaceChildren(
      el(
        "ol",
        { class: "rows card" },
        data.events.map((event) =>
          el(
            "li",
            {},
            el(
              "a",
              { href: `#/review/${event.id}?camera=${encodeURIComponent(name)}&day=${key}` },
              event.snapshot
                ? el("img", { src: event.snapshot, alt: "", loading: "lazy" })
                : el("span", { class: "noimg" }),
              el(
                "span",
                { class: "what" },
                el("b", {}, words(event.label)),
                el("small", {}, `${clock(event.start_time)} · ${lasted(event.start_time, event.end_time)}`),
              ),
              el("span", { class: "number" }, score(event.peak)),
              verdictTag(event),
            ),
          ),
        ),
      ),
    );
  }

  const drop = redrawn(plot, draw);
  await load();
  thresholdPanel(panel, {
    camera,
    path,
    start,
    end,
    tried: (value) => {
      tried = value;
      chart?.redraw();
    },
  });
  let timer = 0;
  const soon = () => {
    clearTimeout(timer);
    timer = setTimeout(() => load().catch(() => {}), 1500);
  };
  const ends = [
    drop,
    recorded(recording, name, start, end),
    on("event", (event) => event.camera === name && today && soon()),
    on("review", soon),
    on("missed", soon),
    bind([
      ["ArrowLeft", "day before", () => shift(-1)],
      [
        "ArrowRight",
        "day after",
        () => {
          if (!today) shift(1);
        },
      ],
      [
        "r",
        "review this day's events",
        () => (location.hash = `#/review?camera=${encodeURIComponent(name)}&day=${key}`),
      ],
    ]),
  ];
  const refresh = setInterval(() => {
    if (today && !document.hidden) load().catch(() => {});
  }, 60000);
  return () => {
    clearTimeout(timer);
    clearInterval(refresh);
    ends.forEach((stop) => stop());
    chart?.destroy();
  };
}

function watched(scores) {
  const minutes = (scores.highest.filter((value) => value !== null).length * scores.width_s) / 60;
  return minutes < 90 ? `${Math.round(minutes)} min` : `${(minutes / 60).toFixed(1)} h`;
}
