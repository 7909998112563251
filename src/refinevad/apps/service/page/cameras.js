// The wall: every camera with its newest picture, its score and the last minutes of it.

import { api } from "./api.js";
import { el, empty, toast } from "./dom.js";
import { editCamera } from "./edit_camera.js";
import { bind } from "./keys.js";
import { on } from "./socket.js";
import { Tile } from "./tile.js";

const PICTURE_MS = 1000,
  REFRESH_MS = 5000;

export async function show(root, { rest = [], query = new URLSearchParams() } = {}) {
  if (rest[1] === "zones") return (await import("./zones.js")).show(root, rest[0]);
  if (rest[1] === "live") return (await import("./large.js")).show(root, rest[0]);
  if (query.get("grid")) return (await import("./grid.js")).show(root, query);
  const tiles = new Map(),
    wall = el("ul", { class: "wall", "aria-label": "Cameras" });
  const add = el("button", { class: "tool primary", onclick: addCamera, "data-needs": "admin" }, "Add a camera");
  const summary = el("p", { class: "kicker", role: "status" });
  const grid = el("a", { class: "tool", href: "#/cameras?grid=4" }, "Grid");
  root.append(
    el(
      "div",
      { class: "head" },
      el("div", {}, el("h1", {}, "Cameras"), summary),
      el("div", { class: "tools" }, grid, add),
    ),
    wall,
  );

  async function refresh() {
    const cameras = await api("/cameras");
    const names = new Set(cameras.map((camera) => camera.name));
    for (const [name, tile] of tiles)
      if (!names.has(name)) {
        tile.node.remove();
        tiles.delete(name);
      }
    for (const camera of cameras) {
      if (!tiles.has(camera.name)) {
        const tile = new Tile(camera, refresh);
        tiles.set(camera.name, tile);
        wall.append(tile.node);
        tile.begin();
      }
      tiles.get(camera.name).set(camera);
    }
    wall.dataset.count = cameras.length;
    const live = cameras.filter((camera) => camera.state === "live").length,
      over = cameras.filter((camera) => camera.state === "ended").length,
      alarms = cameras.filter((camera) => camera.open_event).length,
      ailing = cameras.filter((camera) => camera.health.length).length;
    summary.textContent = cameras.length
      ? `${live} of ${cameras.length - over} live` + (over ? ` · ${over} over` : "") + (alarms ? ` · ${alarms} with an event` : "") +
        (ailing ? ` · ${ailing} with a fault` : "")
      : "";
    wall.querySelector(".empty")?.parentElement.remove();
    if (!cameras.length)
      wall.append(
        el(
          "li",
          { class: "wide" },
          empty(
            "No cameras yet",
            "Add one by its stream's address, or name cameras in cameras.toml and start the service with --config. To look at a recording, drop it under Analyse.",
            el("button", { class: "tool primary", onclick: addCamera, "data-needs": "admin" }, "Add a camera"),
            el("a", { class: "tool", href: "#/analyse" }, "Analyse a file"),
          ),
        ),
      );
  }

  async function addCamera() {
    const given = await editCamera();
    if (!given) return;
    toast(`${given.name} is being connected.`);
    quietly();
  }

  const quietly = () => refresh().catch(() => {}); // the line on top says when the link is lost
  await refresh();
  const ends = [
    on("scores", ({ camera, scores }) => tiles.get(camera)?.push(scores)),
    on("state", ({ camera, state, trouble, health }) => {
      tiles.get(camera)?.set({ state, trouble, health });
      quietly();
    }),
    on("event", (event) => {
      tiles.get(event.camera)?.event(event);
      quietly();
    }),
    on("cameras-changed", quietly),
    on("hello", quietly),
    on("missed", quietly),
    bind([
      ["a", "add a camera", addCamera],
      ["g", "several cameras at once", () => (location.hash = "#/cameras?grid=4")],
      [
        "l",
        "the camera with the focus, large",
        () => {
          const tile = focused();
          if (tile) location.hash = tile.large;
        },
      ],
      ["j", "next camera", () => move(1)],
      ["k", "previous camera", () => move(-1)],
      ["e", "edit the camera with the focus", () => focused()?.edit()],
      ["p", "pause or resume the camera with the focus", () => focused()?.togglePause()],
      [
        "t",
        "its timeline",
        () => {
          const tile = focused();
          if (tile) location.hash = tile.timeline;
        },
      ],
    ]),
  ];
  const focused = () => [...tiles.values()].find((tile) => tile.node.contains(document.activeElement));
  function move(step) {
    const all = [...tiles.values()],
      here = all.indexOf(focused());
    all[(here + step + all.length) % all.length || 0]?.node.querySelector("a").focus();
  }
  const timers = [
    setInterval(quietly, REFRESH_MS),
    setInterval(() => {
      if (!document.hidden) for (const tile of tiles.values()) tile.tick();
    }, PICTURE_MS),
  ];
  const leave = () => {
    timers.forEach(clearInterval);
    ends.forEach((end) => end());
  };
  return leave;
}
