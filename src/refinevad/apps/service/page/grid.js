// Several cameras at once: 1, 4, 9 or 16 of them, page by page, and nothing else on the screen.

import { api } from "./api.js";
import { el, empty } from "./dom.js";
import { score } from "./format.js";
import { bind } from "./keys.js";
import { large } from "./large.js";
import { LiveVideo } from "./live_video.js";
import { on } from "./socket.js";
import { AILS } from "./tile.js";

export const SIZES = [1, 4, 9, 16];

export async function show(root, query) {
  const cameras = await api("/cameras"),
    size = SIZES.includes(Number(query.get("grid"))) ? Number(query.get("grid")) : 4,
    pages = Math.max(1, Math.ceil(cameras.length / size)),
    page = Math.min(pages - 1, Math.max(0, Number(query.get("page")) || 0)),
    cells = new Map();
  const go = (many, which) => (location.hash = `#/cameras?grid=${many}&page=${which}`),
    turn = (step) => go(size, (page + step + pages) % pages);
  const grid = el("ul", { class: "grid", "data-size": size, "aria-label": "Cameras" });
  const pick = el(
    "div",
    { class: "tools sizes", role: "group", "aria-label": "Cameras at once" },
    SIZES.map((many) =>
      el("button", { class: "tool", "aria-pressed": String(many === size), onclick: () => go(many, 0) }, String(many)),
    ),
  );
  root.append(
    el(
      "div",
      { class: "head" },
      el(
        "div",
        {},
        el("h1", {}, "Cameras"),
        el("p", { class: "kicker", role: "status" }, pages > 1 ? `page ${page + 1} of ${pages}` : ""),
      ),
      el(
        "div",
        { class: "tools" },
        pick,
        pages > 1 ? el("button", { class: "tool", onclick: () => turn(-1), "aria-label": "Page before" }, "‹") : null,
        pages > 1 ? el("button", { class: "tool", onclick: () => turn(1), "aria-label": "Next page" }, "›") : null,
        el("button", { class: "tool", onclick: fullScreen }, "Full screen"),
        el("a", { class: "tool", href: "#/cameras" }, "Tiles"),
      ),
    ),
    cameras.length ? grid : empty("No cameras yet", "Add one under Cameras.", el("a", { class: "tool", href: "#/cameras" }, "Cameras")),
  );
  for (const camera of cameras.slice(page * size, (page + 1) * size)) {
    const live = new LiveVideo(camera.name),
      value = el("span", { class: "number" }),
      ails = el("span", { class: "ailing", hidden: true }),
      node = el(
        "li",
        { class: "cell", "data-camera": camera.name },
        el(
          "a",
          { href: large(camera.name), "aria-label": `${camera.name}, large` },
          live.node,
          el("span", { class: "label" }, el("b", {}, camera.name), value),
          ails,
        ),
      );
    cells.set(camera.name, { camera, live, node, value, ails });
    grid.append(node);
    draw(cells.get(camera.name));
  }

  function draw({ camera, node, value, ails }) {
    value.textContent = ["live", "ended"].includes(camera.state) ? score(camera.score) : camera.state;
    node.classList.toggle("alarmed", Boolean(camera.open_event));
    node.classList.toggle("hot", camera.state === "live" && camera.score > camera.threshold);
    ails.textContent = camera.health.map((one) => AILS[one.name]).join(", ");
    ails.hidden = !camera.health.length;
  }
  async function refresh() {
    for (const camera of await api("/cameras")) {
      const cell = cells.get(camera.name);
      if (cell) draw(Object.assign(cell, { camera }));
    }
  }
  function fullScreen() {
    if (document.fullscreenElement) document.exitFullscreen();
    else grid.requestFullscreen?.();
  }
  const quietly = () => refresh().catch(() => {}),
    timer = setInterval(quietly, 5000);
  const ends = [
    on("scores", ({ camera, scores }) => {
      const cell = cells.get(camera);
      if (!cell) return;
      cell.camera.score = scores.at(-1)[2];
      draw(cell);
    }),
    on("event", quietly),
    on("state", quietly),
    bind([
      ["f", "full screen", fullScreen],
      ["ArrowLeft", "page before", () => turn(-1)],
      ["ArrowRight", "next page", () => turn(1)],
      ["g", "more at once", () => go(SIZES[(SIZES.indexOf(size) + 1) % SIZES.length], 0)],
      ["Escape", "tiles", () => (location.hash = "#/cameras")],
    ]),
  ];
  return () => {
    clearInterval(timer);
    ends.forEach((stop) => stop());
    for (const { live } of cells.values()) live.end();
  };
}
