// The model, what was learnt from reviews, and how the service is doing.

import { api } from "./api.js";
import { ask, el, toast } from "./dom.js";
import { score, when, words } from "./format.js";
import { peopleSections } from "./people.js";
import { armedWhen, askSchedule } from "./schedule.js";
import { AILS } from "./tile.js";
import { troubleSection } from "./troubles.js";

export async function show(root, { session }) {
  const [model, cameras, sinks, reviewed] = await Promise.all([
    api("/model"),
    api("/cameras"),
    api("/sinks"),
    api("/events", { query: { review: "any", limit: 1000 } }),
  ]);
  let ready = { status: "unready", reasons: ["it does not answer"] };
  try {
    ready = await (await fetch("/readyz")).json();
  } catch {
    /* said above */
  }
  const pick = el(
    "select",
    { "aria-label": "Run" },
    model.choices.map((name) => el("option", { value: name, selected: name === model.run }, name)),
  );
  const swap = el("button", { class: "tool", disabled: model.choices.length < 2, onclick: change }, "Use this run");
  const facts = (rows) =>
    el(
      "dl",
      { class: "plain" },
      rows.flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]),
    );
  const said = (verdict) => reviewed.events.filter((event) => event.review.verdict === verdict).length;
  const clips = reviewed.events.filter((event) => event.clip).length;
  root.append(
    el("div", { class: "head" }, el("h1", {}, "System")),
    el(
      "div",
      { class: "cards" },
      el(
        "section",
        { class: "card panel", "aria-labelledby": "model" },
        el("h2", { id: "model" }, "Model"),
        model.run
          ? facts([
              ["Run", model.run],
              ["Encoder", model.encoder],
              ["Categories", model.categories.map(words).join(", ")],
              [
                "Threshold",
                `${score(model.threshold)}, for ${model.alerts_per_hour} alerts an hour${model.certified ? "" : ", not vouched for"}`,
              ],
            ])
          : el("p", { class: "trouble" }, "There is none. Start the service with --model RUN."),
        model.choices.length ? el("p", { class: "actions", "data-needs": "admin" }, pick, swap) : null,
        model.choices.length === 1 ? el("p", { class: "note" }, "Other runs in the same folder show here.") : null,
      ),
      el(
        "section",
        { class: "card panel", "aria-labelledby": "labels" },
        el("h2", { id: "labels" }, "Training labels"),
        facts([
          ["Confirmed", said("confirmed")],
          ["Relabelled", said("relabelled")],
          ["Dismissed, as normal", said("dismissed")],
          ["With a clip", clips],
        ]),
        el(
          "p",
          { class: "note" },
          "Whole clips with one label each, as training wants them; when something happened in them is not told.",
        ),
        el(
          "p",
          { class: "actions", "data-needs": "reviewer" },
          clips
            ? el(
                "a",
                { class: "tool primary", href: "/api/v1/labels.zip", download: "labels.zip" },
                "Download clips and labels",
              )
            : el("a", { class: "tool", href: "#/review" }, "Review events first"),
        ),
      ),
      el(
        "section",
        { class: "card panel", "aria-labelledby": "service" },
        el("h2", { id: "service" }, "Service"),
        facts([
          ["Version", session?.version || "–"],
          ["Ready", ready.status === "ok" ? "yes" : `no: ${ready.reasons.join(", ")}`],
          [
            "Cameras live",
            `${cameras.filter((camera) => camera.state === "live").length} of ${cameras.filter((camera) => camera.state !== "ended").length}`,
          ],
          ["Access", session?.people ? "by name and password" : session?.needed ? "by token" : "this machine only, no login"],
        ]),
        el(
          "p",
          { class: "note" },
          "For programs: ",
          el("a", { href: "/api/v1/openapi.json" }, "OpenAPI"),
          ", ",
          el("a", { href: "/metrics" }, "metrics"),
          ".",
        ),
      ),
    ),
    ...table(
      "Cameras",
      ["Camera", "State", "Fault", "fps in", "fps scored", "Dropped", "Reconnects", "Events", "Threshold"],
      cameras.map((camera) => [
        camera.name,
        camera.state,
        camera.health.map(({ name }) => AILS[name]).join(", ") || "none",
        camera.fps_in.toFixed(1),
        camera.fps_scored.toFixed(1),
        camera.frames_dropped,
        camera.reconnects,
        camera.events,
        score(camera.threshold),
      ]),
    ),
    ...table(
      "Where events go",
      ["Sink", "Waiting", "Lost", "Trouble"],
      sinks.map((sink) => [
        sink.name,
        sink.waiting,
        sink.lost,
        sink.people ? reaching(sink) : sink.trouble || "none",
      ]),
      "text",
    ),
    ...troubleSection(),
    ...peopleSections(session),
  );

  async function change() {
    if (
      !(await ask(`Watch with ${pick.value}?`, [], {
        submit: "Use it",
        text: "Open events end. Thresholds that were moved by hand stay as they are: scores of another run may need others.",
      }))
    )
      return;
    swap.disabled = true;
    swap.textContent = "Loading…";
    try {
      await api("/model", { method: "PUT", body: { run: pick.value } });
      toast(`Now watching with ${pick.value}.`);
    } catch (error) {
      toast(error.message, "bad");
    }
    root.replaceChildren();
    show(root, { session });
  }
  return null;
}

/** A sink that reaches people: its trouble, a test that says what came back, and peace for a while. */
function reaching(sink) {
  const said = el("span", { role: "status" }, sink.trouble || "none"),
    path = `/sinks/${encodeURIComponent(sink.name)}`;
  const test = el("button", { class: "tool", "aria-label": `Test ${sink.name}`, onclick: send }, "Test");
  const pick = el(
    "select",
    { "aria-label": `Snooze ${sink.name}`, onchange: snooze },
    [
      ["", "Snooze…"],
      ["30", "30 min"],
      ["120", "2 h"],
      ["480", "8 h"],
      ["1440", "24 h"],
      ["0", "Send again"],
    ].map(([value, text]) => el("option", { value }, text)),
  );
  const state = el("span", { class: "tag snoozed", hidden: true }),
    hours = el("span", { class: "note" });
  const schedule = el(
    "button",
    {
      class: "tool",
      "aria-label": `Schedule of ${sink.name}`,
      onclick: async () => {
        const now = await askSchedule(sink);
        if (now) show(Object.assign(sink, now));
      },
    },
    "Schedule",
  );
  show(sink);
  return el("div", { class: "reaching" }, said, state, hours, el("span", { class: "tools", "data-needs": "admin" }, test, schedule, pick));

  function show({ snoozed_until: until, schedule: armed }) {
    hours.textContent = armed ? armedWhen(armed) : "";
    state.hidden = !until;
    state.textContent = until ? `snoozed until ${when(until)}` : "";
  }
  async function send() {
    test.disabled = true;
    said.textContent = "Sending a test…";
    try {
      const { taken, answer } = await api(path + "/test", { method: "POST" });
      said.textContent = taken ? "The test message was taken." : answer;
      said.classList.toggle("bad", !taken);
    } catch (error) {
      said.textContent = error.message;
    }
    test.disabled = false;
  }
  async function snooze() {
    try {
      show(await api(path + "/snooze", { method: "PUT", body: { minutes: Number(pick.value) } }));
    } catch (error) {
      toast(error.message, "bad");
    }
    pick.value = "";
  }
}

/** A heading and a table whose rows begin with a name; nothing where there are none. `last`: class of the last column. */
function table(title, columns, rows, last = "number") {
  if (!rows.length) return [];
  const kind = (index, many) => (index === many - 1 ? last : "number");
  const cells = ([name, ...values]) =>
    el(
      "tr",
      {},
      el("th", { scope: "row" }, name),
      values.map((value, index) => el("td", { class: kind(index, values.length) }, value instanceof Node ? value : String(value))),
    );
  const head = columns.map((name, index) =>
    el("th", { scope: "col", class: index ? kind(index - 1, columns.length - 1) : null }, name),
  );
  return [
    el("h2", {}, title),
    el(
      "div",
      { class: "card scroll", tabindex: "0", role: "region", "aria-label": title },
      el("table", {}, el("thead", {}, el("tr", {}, head)), el("tbody", {}, rows.map(cells))),
    ),
  ];
}
