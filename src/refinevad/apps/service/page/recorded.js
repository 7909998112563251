// What was recorded of a camera: a day's line to scrub on, the picture of any moment, and a stretch to take away.

import { api } from "./api.js";
import { el, toast } from "./dom.js";
import { at, second, when } from "./format.js";

const REFRESH_MS = 30_000;

/** Fill `host` for a camera and a day; returns what ends it. Empty where nothing is, or was, recorded. */
export function recorded(host, name, start, end) {
  const path = `/cameras/${encodeURIComponent(name)}`,
    span = end - start;
  let found = null,
    now = null, // Unix second that is shown
    from = null,
    piece = null;
  const video = el("video", { controls: false, muted: true, playsinline: true, preload: "auto", "aria-label": `Recording of ${name}` });
  const screen = el("div", { class: "recorded-screen", hidden: true }, video),
    line = el("div", {
      class: "recorded-line",
      role: "slider",
      tabindex: 0,
      "aria-label": "Moment of the recording",
      "aria-valuemin": 0,
      "aria-valuemax": Math.round(span / 1000),
      "aria-valuenow": 0,
    }),
    said = el("p", { class: "note", role: "status" }),
    play = el("button", { class: "tool", disabled: true, onclick: () => (video.paused ? video.play() : video.pause()) }, "Play"),
    mark = el("button", { class: "tool", disabled: true, onclick: begin }, "Mark the start"),
    take = el("a", { class: "tool", hidden: true }, "Export");
  host.replaceChildren(
    el("h2", { id: "recorded-title" }, "Recording"),
    screen,
    el("div", { class: "recorded-track" }, line),
    el("p", { class: "tools recorded-tools" }, play, mark, take),
    said,
  );

  const x = (time) => `${(100 * (time * 1000 - start)) / span}%`;

  function draw() {
    host.hidden = !(found.stretches.length || found.removed);
    const bars = found.stretches.map((one) =>
      el("i", { class: "there", style: { left: x(at(one.start)), width: `calc(${x(at(one.end))} - ${x(at(one.start))})` } }),
    );
    if (found.removed && new Date(found.removed.until) > start)
      bars.unshift(el("i", { class: "gone", style: { left: "0%", width: x(Math.min(at(found.removed.until), end / 1000)) } }));
    if (from !== null && now !== null)
      bars.push(el("i", { class: "chosen", style: { left: x(Math.min(from, now)), width: `calc(${x(Math.max(from, now))} - ${x(Math.min(from, now))})` } }));
    if (now !== null) bars.push(el("i", { class: "now", style: { left: x(now) } }));
    line.replaceChildren(...bars);
    const hours = found.pieces.reduce((sum, one) => sum + at(one.end) - at(one.start), 0) / 3600,
      size = found.bytes / 1e9;
    const facts = [
      now !== null ? `${second(now)}.` : null,
      found.pieces.length
        ? `${hours < 1 ? `${Math.round(60 * hours)} min` : `${hours.toFixed(1)} h`} of this day are recorded, ${size < 1 ? `${Math.round(1000 * size)} MB` : `${size.toFixed(1)} GB`}.`
        : "Nothing of this day is recorded.",
      found.removed ? `Retention deleted what lay before ${when(found.removed.until)}: ${found.removed.reason}.` : null,
    ];
    said.textContent = facts.filter(Boolean).join(" ");
    play.disabled = mark.disabled = now === null;
    take.hidden = from === null || now === null || Math.abs(now - from) < 1;
    if (!take.hidden) {
      const [first, last] = [Math.min(from, now), Math.max(from, now)].map((one) => new Date(one * 1000).toISOString());
      take.href = `/api/v1${path}/recording.mp4?start=${encodeURIComponent(first)}&end=${encodeURIComponent(last)}`;
      take.download = `${name}.mp4`;
      take.textContent = `Export ${Math.round(Math.abs(now - from))} s`;
    }
  }

  function begin() {
    from = from === null ? now : null;
    mark.textContent = from === null ? "Mark the start" : "Unmark";
    draw();
  }

  /** Show a moment; the next piece where there is none of it. */
  function show(time, playing = !video.paused) {
    const next = found.pieces.find((one) => at(one.end) > time);
    if (!next) return;
    now = Math.max(time, at(next.start));
    screen.hidden = false;
    const offset = now - at(next.start);
    if (piece?.file !== next.file) {
      piece = next;
      video.src = next.file;
      video.addEventListener(
        "loadedmetadata",
        () => {
          video.currentTime = offset;
          if (playing) video.play().catch(() => {});
        },
        { once: true },
      );
    } else video.currentTime = offset;
    line.setAttribute("aria-valuenow", Math.round(now - start / 1000));
    line.setAttribute("aria-valuetext", second(now));
    draw();
  }

  video.addEventListener("timeupdate", () => {
    if (!piece || video.paused) return;
    now = at(piece.start) + video.currentTime;
    draw();
  });
  video.addEventListener("ended", () => show(at(piece.end) + 0.01, true));
  video.addEventListener("play", () => (play.textContent = "Pause"));
  video.addEventListener("pause", () => (play.textContent = "Play"));
  video.addEventListener("error", () => {
    if (video.src) said.textContent = "This browser does not play the recording; mark a stretch and export it.";
  });

  let dragging = false;
  const moment = (event) => {
    const box = line.getBoundingClientRect(),
      share = Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
    show((start.getTime() + share * span) / 1000);
  };
  line.addEventListener("pointerdown", (event) => {
    dragging = true;
    line.setPointerCapture(event.pointerId);
    moment(event);
  });
  line.addEventListener("pointermove", (event) => dragging && moment(event));
  line.addEventListener("pointerup", () => (dragging = false));
  line.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -5, ArrowRight: 5, PageDown: -300, PageUp: 300 }[event.key];
    if (!step || !found?.pieces.length) return;
    event.preventDefault();
    show((now ?? at(found.pieces[0].start)) + step);
  });

  async function load() {
    found = await api(path + "/recordings", { query: { start, end } });
    draw();
  }
  load().catch((error) => toast(error.message, "bad"));
  const timer = setInterval(() => !document.hidden && load().catch(() => {}), REFRESH_MS);
  return () => {
    clearInterval(timer);
    video.removeAttribute("src");
  };
}
