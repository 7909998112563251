// When a sink that reaches people is armed: hours of the day, and days of the week.

import { api } from "./api.js";
import { ask, el, field, toast } from "./dom.js";

const DAYS = { mon: "Mon", tue: "Tue", wed: "Wed", thu: "Thu", fri: "Fri", sat: "Sat", sun: "Sun" };

/** The schedule in words. */
export function armedWhen({ hours, days, armed }) {
  const when = days.length === 7 ? "" : days.map((day) => DAYS[day]).join(", ");
  const said = [hours.replace("-", " to "), when].filter(Boolean).join(", ");
  return said ? `armed ${said}${armed ? "" : "; not now"}` : "always armed";
}

/** Ask for another schedule; the sink as it is then, or null. */
export async function askSchedule(sink) {
  const { hours, days } = sink.schedule,
    [from = "", to = ""] = hours.split("-");
  const time = (name, value) => el("input", { type: "time", name, value: value === "24:00" ? "" : value });
  let now = null;
  const given = await ask(
    `When is ${sink.name} armed?`,
    [
      el("div", { class: "pairs" }, field("From", time("from", from)), field("To", time("to", to))),
      el(
        "fieldset",
        { class: "days" },
        el("legend", {}, "Days on which these hours begin"),
        Object.entries(DAYS).map(([day, text]) =>
          el("label", {}, el("input", { type: "checkbox", name: "day", value: day, checked: days.includes(day) }), text),
        ),
      ),
      el("label", { class: "as-file" }, el("input", { type: "checkbox", name: "file" }), "As cameras.toml has it"),
    ],
    {
      submit: "Save",
      text: "Outside of these hours nothing is sent, and nothing later. Without hours it is armed all day.",
      act: async (form) => {
        const [begin, end] = [form.get("from"), form.get("to")];
        if (!form.get("file") && Boolean(begin) !== Boolean(end)) throw new Error("Give both hours, or neither.");
        if (!form.get("file") && !form.getAll("day").length) throw new Error("Choose a day; to send nothing, snooze it.");
        const body = form.get("file") ? { hours: null } : { hours: begin ? `${begin}-${end}` : "", days: form.getAll("day") };
        now = await api(`/sinks/${encodeURIComponent(sink.name)}/schedule`, { method: "PUT", body });
      },
    },
  );
  if (given) toast(`${sink.name}: ${armedWhen(now.schedule)}.`);
  return now;
}
