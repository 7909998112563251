// Masks and zones of a camera, drawn on its picture.

import { api } from "./api.js";
import { el, toast } from "./dom.js";
import { bind } from "./keys.js";
import { Polygons } from "./polygons.js";

const PICTURE_MS = 1500,
  SAYS = { mask: "Mask", zone: "Zone" };
const HELP = {
  drawing: [
    "Drag a rectangle, or press corner after corner and the first one again.",
    " With keys: arrows move, Enter sets a corner, c closes, Escape leaves.",
  ],
  selected: [
    "Drag its corners, the points between them, or all of it.",
    " With keys: Tab to a corner, arrows move it, Delete removes it.",
  ],
  resting: [
    "What moves under a mask never counts: a tree, a road, a screen, the clock in the picture. Where there are zones, nothing outside of them counts.",
    "",
  ],
};
const drafts = new Map(); // of cameras whose areas were changed and not saved, while the page is open

export async function show(root, name) {
  const path = `/cameras/${encodeURIComponent(name)}`;
  const [camera, stored] = await Promise.all([api(path), api(path + "/zones")]);
  let saved = flat(stored),
    share = camera.hidden;
  const picture = el("img", { alt: "", decoding: "async", draggable: false }),
    said = el("p", { class: "hidden", role: "status" }),
    list = el("ul", { class: "areas" }),
    state = el("p", { class: "note", role: "status" }),
    help = el("p", { class: "note" }),
    text = el("pre", { class: "as-text", tabindex: 0, "aria-label": "The areas as text" });
  const save = el("button", { class: "tool primary", onclick: store }, "Save"),
    back = el("button", { class: "tool", onclick: () => (editor.set(saved), changed(true)) }, "Undo changes"),
    finish = el("button", { class: "tool", onclick: () => editor.close() }, "Close the area"),
    cancel = el("button", { class: "tool", onclick: () => editor.cancel() }, "Cancel"),
    mask = el("button", { class: "tool", onclick: () => editor.begin("mask") }, "Draw a mask"),
    zone = el("button", { class: "tool", onclick: () => editor.begin("zone") }, "Draw a zone");
  const editor = new Polygons(`Picture of ${name}, on which areas are drawn`, changed, (word) => (said.textContent = word));
  const stage = el(
    "div",
    { class: "drawing-stage" },
    el("span", { class: "blank" }, "No picture yet; areas can be drawn all the same."),
    picture,
    editor.node,
  );

  root.append(
    el(
      "div",
      { class: "head" },
      el("div", {}, el("h1", {}, "Masks and zones"), el("p", { class: "kicker" }, name)),
      el("div", { class: "tools" }, el("a", { class: "tool", href: "#/cameras" }, "Back to the cameras")),
    ),
    el(
      "div",
      { class: "zones" },
      el("div", {}, stage, el("p", { class: "tools drawing-tools" }, mask, zone, finish, cancel), help),
      el(
        "section",
        { class: "card panel", "aria-labelledby": "areas-title" },
        el("h2", { id: "areas-title" }, "Areas"),
        list,
        el("p", { class: "actions" }, save, back),
        state,
        el(
          "details",
          {},
          el("summary", {}, "As text"),
          el(
            "p",
            { class: "note" },
            "For a file of ",
            el("code", {}, "detect --zones"),
            "; in cameras.toml write ",
            el("code", {}, "[[camera.mask]]"),
            " and ",
            el("code", {}, "[[camera.zone]]"),
            ".",
          ),
          text,
        ),
      ),
    ),
    said,
  );

  const dirty = () => JSON.stringify(editor.areas) !== JSON.stringify(saved);

  function changed(edited = false) {
    if (edited && dirty()) drafts.set(name, editor.areas);
    else if (edited) drafts.delete(name);
    const { drawing, areas, selected } = editor;
    mask.hidden = zone.hidden = Boolean(drawing);
    finish.hidden = cancel.hidden = !drawing;
    finish.disabled = (drawing?.points.length || 0) < 3;
    const [what, keys] = drawing ? HELP.drawing : selected === null ? HELP.resting : HELP.selected;
    help.replaceChildren(what, el("span", { class: "by-keys" }, keys));
    list.replaceChildren(...(areas.length ? areas.map(row) : [el("li", { class: "note" }, "None: the whole picture counts.")]));
    save.disabled = back.disabled = !dirty() || Boolean(drawing);
    state.textContent = dirty()
      ? "Not saved yet."
      : areas.length
        ? `${Math.round(100 * share)} % of the picture is left out.` +
          (share > 0.5 ? " The model learnt on whole pictures: see whether it still finds what it should." : "")
        : "";
    text.textContent = asText(areas);
  }

  function row(area, index) {
    const input = el("input", {
      value: area.name,
      maxlength: 64,
      "aria-label": `Name of ${area.name}`,
      onfocus: () => index !== editor.selected && !editor.drawing && pick(index, input),
      onchange: () => {
        area.name = input.value.trim() || area.name;
        changed(true);
      },
    });
    return el(
      "li",
      { class: index === editor.selected ? "current" : "" },
      el("span", { class: `swatch ${area.kind}`, "aria-hidden": "true" }),
      el("span", { class: "kind" }, SAYS[area.kind]),
      input,
      el("button", { class: "tool", "aria-label": `Delete ${area.name}`, onclick: () => editor.remove(index) }, "Delete"),
    );
  }
  function pick(index, input) {
    const place = [...list.querySelectorAll("input")].indexOf(input);
    editor.select(index);
    list.querySelectorAll("input")[place]?.focus(); // the rows were drawn anew
  }

  async function store() {
    save.disabled = true;
    try {
      const now = await api(path + "/zones", { method: "PUT", body: grouped(editor.areas) });
      saved = editor.areas.map((area) => structuredClone(area));
      share = now.hidden;
      drafts.delete(name);
      toast(
        saved.length
          ? `Saved: ${name} is opened again and looks at ${Math.round(100 * (1 - share))} % of its picture.`
          : `Saved: ${name} is opened again and looks at its whole picture.`,
      );
    } catch (error) {
      toast(error.message, "bad");
    }
    changed();
  }

  let loading = false;
  function look() {
    if (loading || document.hidden) return;
    loading = true;
    picture.src = `/api/v1${path}/preview.jpg?at=${Date.now()}`;
  }
  picture.addEventListener("load", () => {
    loading = false;
    stage.classList.add("has-picture");
    stage.style.aspectRatio = `${picture.naturalWidth} / ${picture.naturalHeight}`;
    editor.shaped(picture.naturalHeight / picture.naturalWidth);
  });
  picture.addEventListener("error", () => (loading = false));

  editor.set(drafts.get(name) || saved);
  changed();
  look();
  const timer = setInterval(look, PICTURE_MS);
  const keys = bind([
    ["m", "draw a mask", () => editor.begin("mask")],
    ["z", "draw a zone", () => editor.begin("zone")],
    ["s", "save", () => save.disabled || store()],
  ]);
  return () => {
    clearInterval(timer);
    editor.watch.disconnect();
    keys();
    if (dirty()) toast(`The areas of ${name} are not saved; they are still there when you come back.`);
  };
}

/** { mask: […], zone: […] } -> [{ kind, name, points }] and back. */
const flat = (stored) =>
  ["mask", "zone"].flatMap((kind) => stored[kind].map(({ name, points }) => ({ kind, name, points })));
const grouped = (areas) =>
  Object.fromEntries(
    ["mask", "zone"].map((kind) => [
      kind,
      areas.filter((area) => area.kind === kind).map(({ name, points }) => ({ name, points })),
    ]),
  );
const asText = (areas) =>
  areas
    .map(
      ({ kind, name, points }) =>
        `[[${kind}]]\nname = ${JSON.stringify(name)}\npoints = [${points.map(([x, y]) => `[${x}, ${y}]`).join(", ")}]\n`,
    )
    .join("\n");
