// Which day, and which part of it, a timeline opens on: the one in which something happened.

import { api } from "./api.js";
import { el } from "./dom.js";
import { at, dayKey, dayName } from "./format.js";

const LEAST_S = 1200,
  AROUND = 0.04; // of what is shown, on each side
/** How far apart the marks of a time axis may be. */
export const STEPS = [300, 600, 900, 1800, 3600, 7200, 10800, 14400, 21600, 43200];

/** The day that was asked for, else that of the newest event, else today. */
export async function latestDay(asked, camera) {
  if (/^\d{4}-\d\d-\d\d$/.test(asked || "")) return asked;
  const { events } = await api("/events", { query: { camera, limit: 1 } });
  return dayKey(events.length ? new Date(events[0].start_time) : new Date());
}

/** Start and end of the part of a day in which there are scores or events; the whole day where that is most of it. */
export function fit(start, end, curves, events) {
  const low = start / 1000,
    high = end / 1000;
  let from = Infinity,
    to = -Infinity;
  const reach = (begin, finish) => {
    from = Math.min(from, begin);
    to = Math.max(to, finish);
  };
  for (const { start: begin, width_s, highest, others } of curves)
    for (const values of [highest, ...others.map((other) => other.highest)]) {
      const first = values.findIndex((value) => value !== null),
        last = values.findLastIndex((value) => value !== null);
      if (first >= 0) reach(at(begin) + first * width_s, at(begin) + (last + 1) * width_s);
    }
  for (const event of events) reach(at(event.start_time), at(event.end_time));
  if (from > to) return [start, end];
  const pad = Math.max(AROUND * (to - from), (LEAST_S - (to - from)) / 2);
  const whole = (second, round) => 300 * round(second / 300);
  from = Math.max(low, whole(from - pad, Math.floor));
  to = Math.min(high, whole(to + pad, Math.ceil));
  return to - from > 0.8 * (high - low) ? [start, end] : [new Date(1000 * from), new Date(1000 * to)];
}

/** The head of a day's view: its name, which camera, the day, and the days beside it. */
export function dayHead({ start, today, pick, day, shift }) {
  return el(
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
  );
}
