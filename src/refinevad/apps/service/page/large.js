// One camera large: its picture as it comes, its score beneath it, and its last events.

import { api } from "./api.js";
import { drawStrip } from "./chart.js";
import { el } from "./dom.js";
import { verdictTag } from "./event.js";
import { at, lasted, score, when, words } from "./format.js";
import { bind } from "./keys.js";
import { LiveVideo } from "./live_video.js";
import { on } from "./socket.js";
import { AILS } from "./tile.js";

const STRIP_S = 600,
  SAY = { video: "live", pictures: "single pictures", "": "connecting" };

export const large = (name) => `#/cameras/${encodeURIComponent(name)}/live`;

export async function show(root, name) {
  const path = `/cameras/${encodeURIComponent(name)}`,
    end = new Date(),
    start = new Date(end - STRIP_S * 1000);
  const [cameras, stored] = await Promise.all([
    api("/cameras"),
    api(path + "/scores", { query: { start, end, buckets: STRIP_S } }),
  ]);
  const place = cameras.findIndex((one) => one.name === name);
  let camera = cameras[place] || (await api(path));
  const state = el("span", { class: "state" }),
    ailing = el("span", { class: "ailing", hidden: true }),
    value = el("span", { class: "value number" }),
    strip = el("canvas", { class: "spark-strip tall", role: "img" }),
    trouble = el("p", { class: "trouble" }),
    facts = el("p", { class: "facts-line" }),
    list = el("div", {});
  const live = new LiveVideo(name, (mode, why) => {
    shown = mode;
    state.textContent = camera.state === "live" ? SAY[mode] : camera.state;
    state.title = why;
    facts.title = why;
    draw();
  });
  let shown = "";
  const stage = el("div", { class: "large-stage" }, live.node, state, ailing),
    full = el("button", { class: "tool", onclick: fullScreen, "aria-label": "Full screen" }, "Full screen"),
    beside = (step) => cameras[(place + step + cameras.length) % cameras.length]?.name || name;
  const go = (step) => (location.hash = large(beside(step)));
  const turn = (step, sign, label) =>
    cameras.length > 1 ? el("button", { class: "tool", onclick: () => go(step), "aria-label": label }, sign) : null;
  root.append(
    el(
      "div",
      { class: "head" },
      el("div", {}, el("h1", {}, name), el("p", { class: "kicker" }, "")),
      el(
        "div",
        { class: "tools" },
        turn(-1, "‹", "Camera before"),
        turn(1, "›", "Next camera"),
        full,
        el("a", { class: "tool", href: `#/timeline?camera=${encodeURIComponent(name)}` }, "Timeline"),
        el("a", { class: "tool", href: "#/cameras" }, "All cameras"),
      ),
    ),
    stage,
    el(
      "section",
      { class: "card large-score", "aria-label": `Scores of the last ${STRIP_S / 60} minutes` },
      el("div", { class: "name" }, el("h2", {}, `Last ${STRIP_S / 60} minutes`), value),
      strip,
      trouble,
      facts,
    ),
    el("h2", {}, "Last events"),
    list,
  );

  const begin = at(stored.start);
  let scores = stored.highest
    .map((one, index) => [begin + index * stored.width_s, stored.width_s, one])
    .filter(([, , one]) => one !== null);

  function draw() {
    const now = Date.now() / 1000;
    scores = scores.filter(([from]) => from > now - STRIP_S - 10);
    drawStrip(strip, scores, now - STRIP_S, now, camera.threshold);
    const peak = scores.reduce((high, [, , one]) => Math.max(high, one), 0);
    strip.setAttribute("aria-label", `Scores, highest ${score(peak)}, threshold ${score(camera.threshold)}`);
    stage.dataset.state = camera.state;
    stage.classList.toggle("alarmed", Boolean(camera.open_event));
    state.textContent = camera.state === "live" ? SAY[shown] : camera.state === "waiting" ? "no picture" : camera.state;
    ailing.textContent = camera.health.map((one) => AILS[one.name]).join(", ");
    ailing.hidden = !camera.health.length;
    value.replaceChildren(el("small", {}, "score "), score(camera.score));
    value.classList.toggle("hot", camera.score > camera.threshold && camera.state === "live");
    trouble.textContent = camera.state === "paused" ? "" : camera.trouble || "";
    facts.textContent = [
      camera.width ? `${camera.width} × ${camera.height} scored` : null,
      camera.state === "live" ? `${camera.fps_in.toFixed(camera.fps_in < 10 ? 1 : 0)} fps` : null,
      `threshold ${score(camera.threshold)}`,
      camera.record ? "recorded all the time" : null,
      shown === "pictures" && live.why ? `single pictures: ${live.why}` : null,
    ]
      .filter(Boolean)
      .join(" · ");
  }

  async function refresh() {
    const [now, found] = await Promise.all([api(path), api("/events", { query: { camera: name, limit: 8 } })]);
    camera = now;
    draw();
    list.replaceChildren(
      found.events.length
        ? el("ol", { class: "rows card" }, found.events.map(row))
        : el("p", { class: "note" }, "Nothing has happened before this camera yet."),
    );
  }
  const row = (event) =>
    el(
      "li",
      {},
      el(
        "a",
        { href: `#/review/${event.id}?camera=${encodeURIComponent(name)}` },
        event.snapshot ? el("img", { src: event.snapshot, alt: "", loading: "lazy" }) : el("span", { class: "noimg" }),
        el(
          "span",
          { class: "what" },
          el("b", {}, words(event.label)),
          el("small", {}, `${when(event.start_time)} · ${lasted(event.start_time, event.end_time)}`),
        ),
        el("span", { class: "number" }, score(event.peak)),
        verdictTag(event),
      ),
    );

  function fullScreen() {
    if (document.fullscreenElement) document.exitFullscreen();
    else stage.requestFullscreen?.();
  }

  const quietly = () => refresh().catch(() => {});
  await refresh();
  const timers = [setInterval(quietly, 5000), setInterval(draw, 1000)];
  const ends = [
    on("scores", ({ camera: whose, scores: rows }) => {
      if (whose !== name) return;
      for (const [time, length, one] of rows) scores.push([at(time), length, one]);
      camera.score = rows.at(-1)[2];
      draw();
    }),
    on("state", (now) => now.camera === name && quietly()),
    on("event", (event) => event.camera === name && quietly()),
    on("missed", quietly),
    bind([
      ["f", "full screen", fullScreen],
      ["ArrowLeft", "camera before", () => go(-1)],
      ["ArrowRight", "next camera", () => go(1)],
      ["g", "several cameras at once", () => (location.hash = "#/cameras?grid=4")],
      ["t", "its timeline", () => (location.hash = `#/timeline?camera=${encodeURIComponent(name)}`)],
      ["Escape", "all cameras", () => (location.hash = "#/cameras")],
    ]),
  ];
  return () => {
    live.end();
    timers.forEach(clearInterval);
    ends.forEach((stop) => stop());
  };
}
