// How a camera's threshold was moved, a way back, and the alert rate at which it is kept.

import { api } from "./api.js";
import { el, field, toast } from "./dom.js";
import { score, when } from "./format.js";

const SHOWN = 20;

/** `path`: of the camera in the API; `moved`: is told the camera after an undo. */
export function thresholdHistory({ path, moved }) {
  const list = el("ol", { class: "moves" }),
    undo = el("button", { class: "tool", disabled: true, onclick: takeBack }, "Undo the last move"),
    rate = el("input", { type: "number", min: 0.1, max: 1000, step: 0.1, placeholder: "not kept", inputMode: "decimal" });
  rate.addEventListener("change", keep);
  const node = el(
    "details",
    { class: "history-of" },
    el("summary", {}, "History, and keeping it at a rate"),
    el(
      "div",
      { class: "columns" },
      el("div", {}, list, el("p", { class: "actions", "data-needs": "admin" }, undo)),
      el(
        "div",
        { "data-needs": "admin" },
        field(
          "Keep it at so many alerts a day",
          rate,
          "Once a day, by the scores of the last 14 days: what you dismissed counts as nothing; what you confirmed, and what nobody has looked at, is left out. Too few hours to vouch for the rate move nothing.",
        ),
      ),
    ),
  );
  node.addEventListener("toggle", () => node.open && load());
  return { node, load: () => node.open && load() };

  async function load() {
    try {
      const { kept_alerts_per_day: kept, moves } = await api(path + "/thresholds", { query: { limit: SHOWN } });
      rate.value = kept ?? "";
      undo.disabled = !moves.length;
      list.replaceChildren(
        ...(moves.length
          ? moves.map((move) =>
              el(
                "li",
                {},
                el("b", { class: "number" }, `${own(move.before)} → ${own(move.after)}`),
                el("small", {}, `${move.why}${move.user ? ", " + move.user : ""}, ${when(move.time)}`),
              ),
            )
          : [el("li", { class: "note" }, "It has not been moved yet.")]),
      );
    } catch (error) {
      list.replaceChildren(el("li", { class: "trouble" }, error.message));
    }
  }
  async function takeBack() {
    try {
      moved(await api(path + "/thresholds/undo", { method: "POST" }));
    } catch (error) {
      toast(error.message, "bad");
    }
    load();
  }
  async function keep() {
    const wanted = rate.value === "" ? null : Number(rate.value);
    try {
      await api(path, { method: "PATCH", body: { kept_alerts_per_day: wanted } });
      toast(wanted === null ? "It is not kept any more." : `It is kept at ${wanted} alerts a day.`);
    } catch (error) {
      toast(error.message, "bad");
    }
    load();
  }
}

const own = (value) => (value === null ? "the model's" : score(value));
