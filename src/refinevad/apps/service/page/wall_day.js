// A day of all cameras, one under another on the same hours.

import { api } from "./api.js";
import { drawStrip, redrawn } from "./chart.js";
import { dayHead, fit, latestDay, STEPS } from "./day.js";
import { el, empty } from "./dom.js";
import { eventRows } from "./event_rows.js";
import { at, clock, dayBounds, dayKey, lasted, minute, score, words } from "./format.js";
import { bind } from "./keys.js";
import { on } from "./socket.js";

const BUCKETS = 1440,
  TICK_PX = 70;

export async function show(root, { cameras, query }) {
  const key = await latestDay(query.get("day"), ""),
    [start, end] = dayBounds(key),
    today = key === dayKey(new Date());
  const go = (camera, day) => (location.hash = `#/timeline?${camera ? `camera=${encodeURIComponent(camera)}&` : ""}day=${day}`);
  const shift = (days) => {
    const date = new Date(start);
    date.setDate(date.getDate() + days);
    go("", dayKey(date));
  };
  let whole = false,
    shown = [start, end],
    data = null;
  const pick = el(
    "select",
    { "aria-label": "Camera", onchange: () => go(pick.value, key) },
    el("option", { value: "" }, "All cameras"),
    cameras.map(({ name }) => el("option", { value: name }, name)),
  );
  const day = el("input", {
    type: "date",
    "aria-label": "Day",
    value: key,
    max: dayKey(new Date()),
    onchange: () => day.value && go("", day.value),
  });
  const span = el("button", {
    class: "tool",
    hidden: true,
    onclick: () => {
      whole = !whole;
      load().catch(() => {});
    },
  });
  const readout = el("p", { class: "readout", role: "status" }, "Loading…"),
    rows = el("div", { class: "camera-days" }),
    list = el("div", {});
  root.append(
    dayHead({ start, today, pick, day, shift }),
    el(
      "section",
      { class: "card timeline", "aria-label": "All cameras" },
      el("header", {}, readout, span),
      rows,
    ),
    el("h2", {}, "Events of the day"),
    list,
  );

  const curve = ({ name }, from, to) =>
    api(`/cameras/${encodeURIComponent(name)}/scores`, { query: { start: from, end: to, buckets: BUCKETS, each_model: true } });
  async function load() {
    const [found, ...curves] = await Promise.all([
      api("/events", { query: { start, end, limit: 1000 } }),
      ...cameras.map((camera) => curve(camera, start, end)),
    ]);
    const fitted = fit(start, end, curves, found.events);
    shown = whole ? [start, end] : fitted;
    const part = shown[1] - shown[0] < end - start;
    data = {
      events: found.events,
      curves: part ? await Promise.all(cameras.map((camera) => curve(camera, ...shown))) : curves,
    };
    span.hidden = !whole && fitted[1] - fitted[0] === end - start;
    span.textContent = whole ? "What happened" : "Whole day";
    draw();
  }

  function draw() {
    if (!data) return;
    const { events, curves } = data,
      seen = new Set(events.map((event) => event.camera)),
      there = cameras.map((camera, index) => ({ camera, curve: curves[index] }));
    const some = ({ camera, curve: one }) => one.segments || one.others.length || seen.has(camera.name);
    const quiet = there.filter((one) => !some(one)).map(({ camera }) => camera.name);
    rows.replaceChildren(...there.filter(some).map((one) => row(one, events)));
    if (rows.children.length) rows.append(axis());
    if (quiet.length) rows.append(el("p", { class: "note" }, `No scores on this day: ${quiet.join(", ")}.`));
    for (const canvas of rows.querySelectorAll("canvas")) canvas.paint();
    readout.textContent = `${events.length} event${events.length === 1 ? "" : "s"} on ${seen.size} of ${cameras.length} cameras`;
    list.replaceChildren(
      events.length
        ? eventRows(events, `day=${key}`, true)
        : empty("No events on this day", "Choose another day above, or one camera to see what a lower threshold would have brought."),
    );
  }
  function row({ camera, curve: one }, events) {
    const from = shown[0] / 1000,
      to = shown[1] / 1000,
      begin = at(one.start),
      mine = events.filter((event) => event.camera === camera.name);
    const values = [...one.others.map((other) => other.highest), one.highest].flatMap((highest) =>
      highest
        .map((value, index) => [begin + index * one.width_s, one.width_s, value])
        .filter(([, , value]) => value !== null),
    );
    const peak = values.reduce((high, [, , value]) => Math.max(high, value), 0);
    const strip = el("canvas", {
      class: "day-strip",
      role: "img",
      "aria-label": `Scores of ${camera.name}: highest ${score(peak)}, threshold ${score(camera.threshold)}`,
    });
    strip.paint = () => drawStrip(strip, values, from, to, camera.threshold);
    return el(
      "div",
      { class: "camera-day" },
      el(
        "a",
        { class: "of", href: `#/timeline?camera=${encodeURIComponent(camera.name)}&day=${key}` },
        el("b", {}, camera.name),
        el("small", {}, mine.length ? `${mine.length} event${mine.length === 1 ? "" : "s"}` : "no event"),
      ),
      el(
        "div",
        { class: "over" },
        strip,
        mine.map((event) => {
          const left = Math.max(0, at(event.start_time) - from) / (to - from),
            right = Math.min(to - from, at(event.end_time) - from) / (to - from);
          return el("a", {
            class: "mark " + (event.review?.verdict || ""),
            href: `#/review/${event.id}?day=${key}`,
            style: { left: `${100 * left}%`, width: `max(8px, ${100 * (right - left)}%)` },
            title: `${words(event.label)}, ${clock(event.start_time)}, ${lasted(event.start_time, event.end_time)}`,
            "aria-label": `${words(event.label)} on ${camera.name} at ${clock(event.start_time)}, ${lasted(event.start_time, event.end_time)}, score ${score(event.peak)}`,
          });
        }),
      ),
    );
  }
  function axis() {
    const [low, high] = [shown[0] / 1000, shown[1] / 1000],
      room = Math.max(2, (rows.clientWidth - (rows.clientWidth > 600 ? 146 : 0)) / TICK_PX),
      step = STEPS.find((one) => (high - low) / one <= room) || STEPS.at(-1),
      midnight = start / 1000,
      ticks = [];
    for (let tick = midnight; tick <= high; tick += step)
      if (tick >= low + 0.02 * (high - low) && tick <= high - 0.02 * (high - low)) ticks.push(tick);
    return el(
      "div",
      { class: "camera-day axis", "aria-hidden": "true" },
      el("span", {}),
      el(
        "div",
        { class: "over" },
        ticks.map((tick) => el("span", { style: { left: `${(100 * (tick - low)) / (high - low)}%` } }, minute(tick))),
      ),
    );
  }

  await load();
  const drop = redrawn(rows, draw);
  let timer = 0;
  const soon = () => {
    clearTimeout(timer);
    timer = setTimeout(() => load().catch(() => {}), 1500);
  };
  const ends = [
    drop,
    on("event", () => today && soon()),
    on("review", soon),
    on("missed", soon),
    bind([
      ["ArrowLeft", "day before", () => shift(-1)],
      ["ArrowRight", "day after", () => !today && shift(1)],
      ["r", "review this day's events", () => (location.hash = `#/review?day=${key}`)],
    ]),
  ];
  const refresh = setInterval(() => {
    if (today && !document.hidden) load().catch(() => {});
  }, 60000);
  return () => {
    clearTimeout(timer);
    clearInterval(refresh);
    ends.forEach((stop) => stop());
  };
}
