// Times and numbers as people read them, in the browser's own time zone and language.

const clockFormat = new Intl.DateTimeFormat(undefined, {
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  hourCycle: "h23",
});
const shortClock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const shortDay = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
const dayFormat = new Intl.DateTimeFormat(undefined, {
  weekday: "short",
  day: "numeric",
  month: "short",
  year: "numeric",
});

export const at = (iso) => new Date(iso).getTime() / 1000;
export const clock = (iso) => clockFormat.format(new Date(iso));
export const minute = (seconds) => shortClock.format(new Date(seconds * 1000));
export const second = (seconds) => clockFormat.format(new Date(seconds * 1000));
export const dayName = (date) => dayFormat.format(date);
export const score = (value) => (value === null || value === undefined ? "–" : value.toFixed(2));

export function when(iso) {
  const date = new Date(iso),
    today = new Date();
  return sameDay(date, today) ? clock(iso) : `${shortDay.format(date)}, ${clock(iso)}`;
}

export function ago(iso) {
  const seconds = Math.max(0, (Date.now() - new Date(iso)) / 1000);
  if (seconds < 60) return "just now";
  if (seconds < 3600) return `${Math.round(seconds / 60)} min ago`;
  if (seconds < 86400) return `${Math.round(seconds / 3600)} h ago`;
  return `${Math.round(seconds / 86400)} d ago`;
}

export function lasted(start, end) {
  const seconds = at(end) - at(start);
  return seconds < 60 ? `${seconds.toFixed(1)} s` : `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
}

export function position(seconds) {
  const whole = Math.floor(seconds),
    parts = [Math.floor(whole / 60) % 60, whole % 60].map((part) => String(part).padStart(2, "0"));
  return (whole >= 3600 ? Math.floor(whole / 3600) + ":" : "") + parts.join(":");
}

export const sameDay = (one, other) => one.toDateString() === other.toDateString();

/** 2026-11-23 of a date, in local time. */
export const dayKey = (date) =>
  [date.getFullYear(), date.getMonth() + 1, date.getDate()].map((n) => String(n).padStart(2, "0")).join("-");

/** Start and end of a local day; 23 or 25 hours where clocks are set. */
export function dayBounds(key) {
  const [year, month, day] = key.split("-").map(Number);
  return [new Date(year, month - 1, day), new Date(year, month - 1, day + 1)];
}

/** A category as a person writes it: road_accident -> road accident. */
export const words = (category) => category.replaceAll("_", " ");
