// The threshold of a camera: what another one would have meant, and one from its own quiet hours.

import { api } from "./api.js";
import { ask, el, field, toast } from "./dom.js";
import { score, when } from "./format.js";
import { thresholdHistory } from "./threshold_history.js";

export async function thresholdPanel(panel, { camera, path, start, end, tried }) {
  const title = el("h2", { id: "threshold-title" }, "Threshold");
  panel.replaceChildren(
    title,
    el("p", { class: "note", role: "status" }, "Counting what each threshold would have meant…"),
  );
  let found;
  try {
    found = await api(path + "/alert-rates", { query: { start, end } });
  } catch (error) {
    panel.replaceChildren(title, el("p", { class: "trouble", role: "alert" }, error.message));
    return;
  }
  const slider = el("input", { type: "range", min: 0.01, max: 0.99, step: 0.01, "aria-label": "Threshold to try" });
  const shown = el("output", { class: "number" }),
    rate = el("p", { class: "rate", "aria-live": "polite" });
  const use = el("button", { class: "tool primary", onclick: () => set(Number(slider.value)) }, "Use this threshold");
  const back = el("button", { class: "tool", onclick: () => set(null) }, "Use the model's own");
  const quiet = el("button", { class: "tool", onclick: calibrate }, "Set from quiet hours…");
  const learnt = el("p", { class: "note learnt" });
  const past = thresholdHistory({ path, moved: took });
  slider.addEventListener("input", say);
  panel.replaceChildren(
    el("div", { class: "panel-head" }, title, shown),
    slider,
    rate,
    el("p", { class: "actions", "data-needs": "admin" }, use, back, quiet),
    learnt,
    past.node,
  );
  history();
  slider.value = camera.threshold;
  say();

  function say() {
    const value = Number(slider.value),
      now = nearest(found.rates, found.threshold),
      then = nearest(found.rates, value);
    shown.textContent = score(value);
    const same = Math.abs(value - camera.threshold) < 0.005;
    use.disabled = same;
    tried(same ? null : value);
    const hours = found.hours < 1.5 ? `${Math.round(found.hours * 60)} minutes` : `${found.hours.toFixed(1)} hours`;
    if (!found.hours) rate.textContent = "No scores are stored for this day, so the alert rate cannot be told.";
    else
      rate.replaceChildren(
        el("b", {}, `${then.alerts} alert${then.alerts === 1 ? "" : "s"}`),
        ` in ${hours} with scores, ${perHour(then.per_hour)} an hour`,
        same ? "; this threshold is in force." : `; the one in force (${score(camera.threshold)}): ${now.alerts}.`,
      );
  }
  async function history() {
    const now = camera.learning,
      before = await api(path + "/learnt").catch(() => []);
    const told = !now
      ? ""
      : now.state === "learning"
        ? `Learning from its own quiet hours: ${now.quiet_hours.toFixed(1)} of ${now.hours_needed}. `
        : `Learnt from ${now.quiet_hours.toFixed(1)} of its own hours. `;
    const list = before.slice(0, 5).map((one) => `${score(one.threshold)} since ${when(one.time)}`);
    learnt.textContent = told + (list.length ? `Learnt so far: ${list.join("; ")}.` : "");
    learnt.hidden = !learnt.textContent;
  }
  async function set(threshold) {
    try {
      took(await api(path, { method: "PATCH", body: { threshold } }));
      past.load();
    } catch (error) {
      toast(error.message, "bad");
      say();
    }
  }
  function took(now) {
    camera.threshold = found.threshold = now.threshold;
    slider.value = now.threshold;
    toast(`${camera.name} now alerts above ${score(now.threshold)}.`);
    say();
  }
  async function calibrate() {
    const given = await ask(
      "Threshold from quiet hours",
      [
        el(
          "div",
          { class: "pairs" },
          field("From", el("input", { type: "time", name: "from", value: "02:00", required: true })),
          field("To", el("input", { type: "time", name: "to", value: "05:00", required: true })),
        ),
        field(
          "Nights",
          el("input", { type: "number", name: "days", min: 1, max: 31, value: 7, required: true }),
          "the last so many days, this one included",
        ),
        field(
          "Alerts an hour at most",
          el("input", { type: "number", name: "rate", min: 0.01, max: 60, step: 0.01, value: 1, required: true }),
        ),
      ],
      {
        submit: "Try",
        text: `Hours in which nothing happens before ${camera.name}. Events you confirmed are left out.`,
      },
    );
    if (!given) return;
    try {
      const told = await api(path + "/calibration", {
        method: "POST",
        body: { quiet: stretches(given), alerts_per_hour: Number(given.get("rate")) },
      });
      slider.value = Math.min(0.99, Math.ceil(told.threshold * 100) / 100);
      say();
      rate.append(
        el("br"),
        `${told.quiet_hours.toFixed(1)} quiet hours ask for ${score(told.threshold)}` +
          (told.certified ? "." : "; they are too few to vouch for that rate.") +
          (told.left_out_events ? ` ${told.left_out_events} confirmed events were left out.` : ""),
      );
      slider.focus();
    } catch (error) {
      toast(error.message, "bad");
    }
  }
}

/** The chosen hours of each of the last days; hours that pass midnight end on the next day. */
export function stretches(given) {
  const [from, to] = ["from", "to"].map((name) => given.get(name).split(":").map(Number)),
    found = [];
  for (let back = 0; back < Number(given.get("days")); back++) {
    const start = new Date(),
      end = new Date();
    start.setDate(start.getDate() - back);
    start.setHours(...from, 0, 0);
    end.setTime(start.getTime());
    end.setHours(...to, 0, 0);
    if (end <= start) end.setDate(end.getDate() + 1);
    if (start < new Date())
      found.push({ start: start.toISOString(), end: new Date(Math.min(end, Date.now())).toISOString() });
  }
  return found;
}

const nearest = (rates, value) =>
  rates.reduce((best, rate) => (Math.abs(rate.threshold - value) < Math.abs(best.threshold - value) ? rate : best));
const perHour = (value) => (value >= 10 ? value.toFixed(0) : value >= 1 ? value.toFixed(1) : value.toFixed(2));
