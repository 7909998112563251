// Where in the picture an event came from, drawn over it; why, in a sentence; and the score's curve beneath its clip.

import { api } from "./api.js";
import { drawStrip, redrawn } from "./chart.js";
import { el } from "./dom.js";
import { at, score } from "./format.js";

const NAMESPACE = "http://www.w3.org/2000/svg",
  FAINT = 0.08, // of the strongest cell: fainter ones are not drawn
  AROUND_S = 5, // of the curve, before and after what the clip shows
  BUCKETS = 300,
  STEP_S = 1.2, // a score holds until the next one, and no longer: buckets are narrower than segments
  POST_ROLL_S = 5, // of a camera that is no longer there
  KEPT = "refinevad.where"; // whether it is drawn, in this browser
const PATHS = { direct: "direct path", refined: "MoTAR + CORE", prompts: "written prompts", video: "the video as a whole" };

const shape = (tag, attributes) => {
  const node = document.createElementNS(NAMESPACE, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  return node;
};

/** Draw cells and box over a picture or video that is shown whole in its element; gives the drawing. */
export function placeOver(media, where) {
  const node = shape("svg", { class: "where", "aria-hidden": "true", preserveAspectRatio: "xMidYMid meet" });
  const draw = () => {
    const wide = media.naturalWidth || media.videoWidth,
      high = media.naturalHeight || media.videoHeight;
    if (!wide || !high) return;
    node.setAttribute("viewBox", `0 0 ${wide} ${high}`);
    const most = Math.max(...where.cells),
      cell = [wide / where.columns, high / where.rows];
    const shown = where.cells.flatMap((weight, place) =>
      weight < FAINT * most
        ? []
        : shape("rect", {
            class: "cell",
            x: (place % where.columns) * cell[0],
            y: Math.floor(place / where.columns) * cell[1],
            width: cell[0],
            height: cell[1],
            "fill-opacity": (0.45 * weight) / most,
          }),
    );
    const [left, top, right, bottom] = where.box;
    const box = { x: left * wide, y: top * high, width: (right - left) * wide, height: (bottom - top) * high };
    node.replaceChildren(...shown, shape("rect", { class: "box back", ...box }), shape("rect", { class: "box", ...box }));
  };
  for (const happening of ["load", "loadedmetadata"]) media.addEventListener(happening, draw);
  draw();
  return node;
}

/** Over a whole recording: each event's place while it is on. Times of the events in seconds of the video. */
export function placesWhile(video, events) {
  let shown = null,
    drawn = null;
  video.addEventListener("timeupdate", () => {
    const now = events.find((event) => event.start_s <= video.currentTime && video.currentTime < event.end_s);
    if (now === shown) return;
    shown = now;
    drawn?.remove();
    drawn = now?.where ? placeOver(video, now.where) : null;
    if (drawn) video.after(drawn);
  });
}

const percent = (share) => `${Math.round(100 * share)} %`;
const named = ([left, top, right, bottom]) => {
  const x = (left + right) / 2,
    y = (top + bottom) / 2,
    row = y < 1 / 3 ? "upper " : y > 2 / 3 ? "lower " : "",
    column = x < 1 / 3 ? "left" : x > 2 / 3 ? "right" : "middle";
  return right - left > 0.7 && bottom - top > 0.7 ? "most of the picture" : `the ${row}${column} of the picture`;
};

/** Why an event has its score, in words. */
export function whySentence({ where, why }) {
  const shares = Object.entries(why.paths).filter(([, share]) => share > 0);
  const paths = shares.map(([path, share]) => `${PATHS[path] || path} ${percent(share)}`).join(", ");
  const by = shares.length > 1 ? ` By path: ${paths}.` : "";
  const lost = `without what is marked its peak by itself would score ${score(why.without)} in place of ${score(why.score)}`;
  return `It came from ${named(where.box)}: ${lost}.${by}`;
}

/** A button that shows and hides what is drawn over the pictures of `screen`. */
export function whereSwitch(screen) {
  const shown = () => {
    try {
      return localStorage.getItem(KEPT) !== "off";
    } catch {
      return true; // this browser keeps nothing
    }
  };
  const button = el("button", { class: "tool", "aria-pressed": String(shown()) }, "Show where");
  screen.classList.toggle("without-where", !shown());
  button.addEventListener("click", () => {
    const on = button.getAttribute("aria-pressed") !== "true";
    button.setAttribute("aria-pressed", String(on));
    screen.classList.toggle("without-where", !on);
    try {
      localStorage.setItem(KEPT, on ? "on" : "off");
    } catch {
      /* it holds until the page is left */
    }
  });
  return button;
}

/** The score's curve beneath a clip, with a cursor that follows it; a press goes there. Fills `host` once the clip says
 * how long it is. */
export function curveUnder(host, video, event, camera) {
  const canvas = el("canvas", { class: "clip-curve", role: "img" }),
    cursor = el("i", { class: "clip-cursor" });
  let values = [],
    span = null,
    beginning = 0;
  const draw = () => {
    if (!span) return;
    drawStrip(canvas, values, ...span, camera?.threshold ?? null);
  };
  const follow = () => {
    if (!span) return;
    const share = (beginning + video.currentTime - span[0]) / (span[1] - span[0]);
    cursor.style.left = `${100 * Math.min(1, Math.max(0, share))}%`;
  };
  const load = async () => {
    if (!Number.isFinite(video.duration) || span) return;
    const end = at(event.end_time) + (camera?.post_roll_s ?? POST_ROLL_S); // a clip ends so long after its event, and begins at a key frame
    beginning = end - video.duration;
    span = [beginning - AROUND_S, end + AROUND_S];
    const [from, to] = span.map((second) => new Date(1000 * second));
    try {
      const path = `/cameras/${encodeURIComponent(event.camera)}/scores`;
      const stored = await api(path, { query: { start: from, end: to, buckets: BUCKETS } });
      values = stored.highest
        .map((value, place) => [at(stored.start) + place * stored.width_s, stored.width_s, value])
        .filter(([, , value]) => value !== null)
        .map(([time, , value], place, all) => [time, Math.min(STEP_S, (all[place + 1]?.[0] ?? Infinity) - time), value]);
    } catch {
      return; // its scores are gone, or the camera is
    }
    if (!values.length) return;
    canvas.setAttribute("aria-label", `Score while the clip plays, highest ${score(Math.max(...values.map(([, , value]) => value)))}`);
    host.replaceChildren(canvas, cursor);
    redrawn(canvas, draw);
    draw();
    follow();
  };
  host.addEventListener("click", (press) => {
    if (!span) return;
    const box = canvas.getBoundingClientRect();
    const second = span[0] + ((press.clientX - box.left) / box.width) * (span[1] - span[0]) - beginning;
    video.currentTime = Math.min(Math.max(0, second), video.duration);
  });
  video.addEventListener("loadedmetadata", load);
  load();
  const step = () => {
    if (!host.isConnected) return;
    follow();
    requestAnimationFrame(step);
  };
  requestAnimationFrame(step);
}
