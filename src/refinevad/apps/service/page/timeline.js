// A day of a camera: its scores, its events by category, and what another threshold would have meant.

import { api } from "./api.js";
import { redrawn, scoreChart } from "./chart.js";
import { dayHead, fit, latestDay, STEPS } from "./day.js";
import { el, empty } from "./dom.js";
import { eventRows } from "./event_rows.js";
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
  const named = cameras.some((camera) => camera.name === query.get("camera"));
  if (!named && cameras.length > 1) return (await import("./wall_day.js")).show(root, { cameras, query });
  const name = named ? query.get("camera") : cameras[0].name;
  const key = await latestDay(query.get("day"), name);
  const [start, end] = dayBounds(key),
    camera = cameras.find((one) => one.name === name),
    path = `/cameras/${encodeURIComponent(name)}`;
  const go = (to, day) => (location.hash = `#/timeline?${to ? `camera=${encodeURIComponent(to)}&` : ""}day=${day}`);
  const shift = (days) => {
    const date = new Date(start);
    date.setDate(date.getDate() + days);
    go(name, dayKey(date));
  };

  const pick = el(
    "select",
    { "aria-label": "Camera", onchange: () => go(pick.value, key) },
    cameras.length > 1 ? el("option", { value: "" }, "All cameras") : null,
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
  let whole = query.get("span") === "day";
  const span = el("button", {
    class: "tool",
    hidden: true,
    onclick: () => {
      whole = !whole;
      load().catch(() => {});
    },
  });
  const readout = el("p", { class: "readout", role: "status" }, "Loading…"),
    plot = el("div", { class: "plot day", role: "img" }),
    legend = el("ul", { class: "legend", hidden: true }),
    lanes = el("div", { class: "lanes" });
  const list = el("div", {}),
    recording = el("section", { class: "card panel", "aria-labelledby": "recorded-title", hidden: true }),
    panel = el("section", { class: "card panel", "aria-labelledby": "threshold-title" });
  root.append(
    dayHead({ start, today, pick, day, shift }),
    el(
      "section",
      { class: "card timeline", "aria-label": `Scores of ${name}` },
      el("header", {}, readout, span),
      legend,
      plot,
      lanes,
    ),
    recording,
    panel,
    el("h2", {}, "Events of the day"),
    list,
  );

  let data = { scores: null, events: [] },
    shown = [start, end],
    chart = null,
    tried = null;
  async function load() {
    const curve = (from, to) => api(path + "/scores", { query: { start: from, end: to, buckets: 1440, each_model: true } });
    const [day, found] = await Promise.all([
      curve(start, end),
      api("/events", { query: { camera: name, start, end, limit: 1000 } }),
    ]);
    const fitted = fit(start, end, [day], found.events);
    shown = whole ? [start, end] : fitted;
    const part = shown[1] - shown[0] < end - start;
    data = { scores: part ? await curve(...shown) : day, events: found.events };
    span.hidden = !whole && fitted[1] - fitted[0] === end - start;
    span.textContent = whole ? "What happened" : "Whole day";
    draw();
    drawEvents();
  }
  function say(index = null) {
    const { scores, events } = data;
    if (index !== null && scores.highest[index] !== null && scores.highest[index] !== undefined)
      readout.textContent = `${minute(at(scores.start) + index * scores.width_s)} · highest score ${score(scores.highest[index])}, mean ${score(scores.mean[index])}`;
    else
      readout.textContent =
        scores.segments || scores.others.length
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
      step: STEPS,
      xs: [...xs, at(shown[1].toISOString())],
      ys: [...scores.highest, null],
      others: scores.others.map(({ highest }) => [...highest, null]),
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
    legend.hidden = !scores.others.length;
    legend.replaceChildren(
      ...[{ run: `${scores.run}, in force last` }, ...scores.others].map(({ run }, index) =>
        el("li", { class: `curve-${index}` }, run),
      ),
    );
    drawLanes();
    say();
  }
  function drawLanes() {
    const categories = [...new Set(data.events.map((event) => event.label))].sort(),
      span = shown[1] - shown[0];
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
                const left = Math.max(0, new Date(event.start_time) - shown[0]) / span,
                  right = Math.min(span, new Date(event.end_time) - shown[0]) / span;
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
    list.replaceChildren(eventRows(data.events, `camera=${encodeURIComponent(name)}&day=${key}`));
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
  const curves = [scores.highest, ...scores.others.map((other) => other.highest)];
  const some = scores.highest.filter((_, index) => curves.some((curve) => curve[index] !== null));
  const minutes = (some.length * scores.width_s) / 60;
  return minutes < 90 ? `${Math.round(minutes)} min` : `${(minutes / 60).toFixed(1)} h`;
}
