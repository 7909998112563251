// Polygons drawn over a picture, with mouse, finger and keyboard. Corners are fractions of the picture.

const NAMESPACE = "http://www.w3.org/2000/svg",
  WIDE = 1000, // of the drawing, whatever the screen
  STEP = 0.01,
  NEAR_PX = 16, // the first corner, pressed again so near, closes the area
  RIM_PX = 6,
  DRAGGED_PX = 10; // a press that moves so far draws a rectangle
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

const shape = (tag, attributes = {}, ...children) => {
  const node = document.createElementNS(NAMESPACE, tag);
  for (const [name, value] of Object.entries(attributes))
    if (value !== null && value !== undefined) node.setAttribute(name, value);
  node.append(...children);
  return node;
};
const within = (value) => Math.min(1, Math.max(0, Math.round(value * 1e4) / 1e4));
const percent = (value) => `${Math.round(100 * value)} %`;

/** The areas of one picture; `changed()` after each change, `told(sentence)` what a screen reader should say. */
export class Polygons {
  constructor(label, changed, told) {
    this.areas = [];
    this.selected = null;
    this.drawing = null; // { kind, points, cursor, byKeys }
    this.aspect = 9 / 16;
    this.changed = changed;
    this.told = told;
    this.node = shape("svg", { class: "polygons", tabindex: 0, role: "application", "aria-label": label });
    this.node.addEventListener("pointerdown", (event) => this.press(event));
    this.node.addEventListener("pointermove", (event) => this.move(event));
    this.node.addEventListener("pointerup", (event) => this.release(event));
    this.node.addEventListener("pointercancel", () => this.letGo());
    this.node.addEventListener("keydown", (event) => this.key(event));
    this.node.addEventListener("dblclick", () => this.close());
    this.watch = new ResizeObserver(() => this.draw());
    this.watch.observe(this.node);
  }

  set(areas) {
    this.areas = areas.map((area) => ({ ...area, points: area.points.map((point) => [...point]) }));
    this.selected = this.drawing = null;
    this.draw();
  }

  shaped(aspect) {
    this.aspect = aspect;
    this.draw();
  }

  begin(kind) {
    this.drawing = { kind, points: [], cursor: [0.5, 0.5], byKeys: false };
    this.selected = null;
    this.node.focus();
    this.done();
  }

  cancel() {
    this.drawing = this.held = null;
    this.done();
  }

  /** The area that is being drawn is whole. */
  close() {
    const { kind, points } = this.drawing || {};
    if (!points || points.length < 3) return false;
    this.add(kind, points);
    return true;
  }

  add(kind, points) {
    const taken = new Set(this.areas.map((area) => area.name));
    let number = 1;
    while (taken.has(`${kind} ${number}`)) number++;
    this.areas.push({ kind, name: `${kind} ${number}`, points });
    this.drawing = null;
    this.selected = this.areas.length - 1;
    this.told(`${kind} ${number} drawn`);
    this.done(true);
  }

  remove(index) {
    this.areas.splice(index, 1);
    this.selected = null;
    this.done(true);
  }

  select(index) {
    this.selected = index;
    this.done();
  }

  done(edited = false) {
    this.draw();
    this.changed(edited);
  }

  // --- what is pressed

  at(event) {
    const box = this.node.getBoundingClientRect();
    const near = (value, size) => {
      const pixels = value * size; // what is nearly the picture's rim is meant to be it
      return within(pixels < RIM_PX ? 0 : pixels > size - RIM_PX ? 1 : value);
    };
    return [near((event.clientX - box.left) / box.width, box.width), near((event.clientY - box.top) / box.height, box.height)];
  }

  apart(one, other) {
    const { clientWidth: width, clientHeight: height } = this.node;
    return Math.hypot((one[0] - other[0]) * width, (one[1] - other[1]) * height);
  }

  press(event) {
    if (event.button) return;
    const place = this.at(event),
      { area, corner, between } = event.target.dataset;
    this.node.setPointerCapture(event.pointerId);
    event.preventDefault(); // no text is selected, and the focus stays with us
    this.node.focus({ preventScroll: true });
    if (this.drawing) {
      this.drawing.byKeys = false;
      this.held = { from: place, to: place };
      return;
    }
    if (corner !== undefined) this.held = { points: this.areas[this.selected].points, corner: Number(corner) };
    else if (between !== undefined) {
      const { points } = this.areas[this.selected];
      points.splice(Number(between) + 1, 0, place);
      this.held = { points, corner: Number(between) + 1 };
    } else if (area !== undefined) {
      this.selected = Number(area);
      const { points } = this.areas[this.selected];
      this.held = { points, from: place, before: points.map((point) => [...point]) };
    } else this.selected = null;
    this.done();
  }

  move(event) {
    const place = this.at(event);
    if (this.drawing) {
      this.drawing.cursor = place;
      if (this.held) this.held.to = place;
      this.draw();
    } else if (this.held) {
      const { points, corner, from, before } = this.held;
      if (corner !== undefined) points[corner] = place;
      else shift(points, before, place[0] - from[0], place[1] - from[1]);
      this.held.moved = true;
      this.draw();
    }
  }

  release(event) {
    const held = this.held;
    this.held = null;
    if (!held) return;
    if (!this.drawing) {
      if (held.moved || held.corner !== undefined) this.done(true);
      return;
    }
    const { points, kind } = this.drawing,
      place = this.at(event);
    if (!points.length && this.apart(held.from, place) > DRAGGED_PX) {
      const [[x0, y0], [x1, y1]] = [held.from, place];
      if (Math.abs(x1 - x0) > STEP / 2 && Math.abs(y1 - y0) > STEP / 2)
        this.add(kind, [[x0, y0], [x1, y0], [x1, y1], [x0, y1]]);
      return;
    }
    this.corner(place);
  }

  letGo() {
    this.held = null;
    this.draw();
  }

  corner(place) {
    const { points } = this.drawing;
    if (points.length >= 3 && this.apart(points[0], place) < NEAR_PX) this.close();
    else if (!points.length || this.apart(points.at(-1), place) > 2) {
      points.push(place);
      this.told(`corner ${points.length} at ${percent(place[0])}, ${percent(place[1])}`);
      this.done();
    }
  }

  // --- what is typed

  key(event) {
    const arrow = ARROWS[event.key],
      step = event.shiftKey ? 5 * STEP : STEP,
      { corner } = event.target.dataset;
    let used = true;
    if (this.drawing && arrow) {
      const { cursor } = this.drawing;
      this.drawing.cursor = [within(cursor[0] + step * arrow[0]), within(cursor[1] + step * arrow[1])];
      this.drawing.byKeys = true;
      this.draw();
    } else if (this.drawing && (event.key === "Enter" || event.key === " ")) this.corner(this.drawing.cursor);
    else if (this.drawing && event.key === "Backspace") {
      this.drawing.points.pop();
      this.done();
    } else if (this.drawing && event.key === "Escape") this.cancel();
    else if (this.drawing && event.key === "c") this.close();
    else if (!this.drawing && this.selected !== null && arrow) {
      const { points } = this.areas[this.selected];
      if (corner !== undefined) {
        const point = points[Number(corner)];
        points[Number(corner)] = [within(point[0] + step * arrow[0]), within(point[1] + step * arrow[1])];
      } else shift(points, points.map((point) => [...point]), step * arrow[0], step * arrow[1]);
      this.done(true);
    } else if (!this.drawing && this.selected !== null && ["Delete", "Backspace"].includes(event.key)) {
      const { points } = this.areas[this.selected];
      if (corner === undefined) this.remove(this.selected);
      else if (points.length > 3) {
        points.splice(Number(corner), 1);
        this.done(true);
      }
    } else if (!this.drawing && this.selected !== null && event.key === "Escape") this.select(null);
    else used = false;
    if (used) event.preventDefault();
  }

  // --- what is seen

  draw() {
    const high = WIDE * this.aspect,
      unit = WIDE / (this.node.clientWidth || WIDE), // a pixel of the screen
      focused = document.activeElement?.dataset?.corner,
      text = (points) => points.map(([x, y]) => `${x * WIDE},${y * high}`).join(" ");
    this.node.setAttribute("viewBox", `0 0 ${WIDE} ${high}`);
    const parts = [],
      zones = this.areas.filter((area) => area.kind === "zone");
    if (zones.length) {
      const rim = `M0 0H${WIDE}V${high}H0Z`,
        holes = zones.map(({ points }) => `M${text(points)}Z`).join("");
      parts.push(shape("path", { class: "outside", d: rim + holes, "fill-rule": "evenodd" }));
    }
    this.areas.forEach(({ kind, points }, index) =>
      parts.push(
        shape("polygon", {
          class: `${kind}${index === this.selected ? " selected" : ""}`,
          points: text(points),
          "data-area": index,
        }),
      ),
    );
    if (!this.drawing && this.selected !== null) parts.push(...this.handles(unit, high));
    if (this.drawing) parts.push(...this.begun(unit, high, text));
    this.node.replaceChildren(hatching(unit), ...parts);
    this.node.classList.toggle("is-drawing", Boolean(this.drawing));
    if (focused !== undefined) this.node.querySelector(`[data-corner="${focused}"]`)?.focus({ preventScroll: true });
  }

  handles(unit, high) {
    const { name, points } = this.areas[this.selected];
    const between = points.map(([x, y], index) => {
      const [nextX, nextY] = points[(index + 1) % points.length];
      return dot("between", ((x + nextX) / 2) * WIDE, ((y + nextY) / 2) * high, unit, { "data-between": index });
    });
    const corners = points.map(([x, y], index) =>
      dot("corner", x * WIDE, y * high, unit, {
        "data-corner": index,
        tabindex: 0,
        role: "button",
        "aria-label": `Corner ${index + 1} of ${name}: ${percent(x)} from the left, ${percent(y)} from the top`,
      }),
    );
    return [...between, ...corners];
  }

  begun(unit, high, text) {
    const { kind, points, cursor, byKeys } = this.drawing,
      parts = [];
    if (this.held && !points.length && this.apart(this.held.from, this.held.to) > DRAGGED_PX) {
      const [[x0, y0], [x1, y1]] = [this.held.from, this.held.to];
      parts.push(shape("polygon", { class: `${kind} selected`, points: text([[x0, y0], [x1, y0], [x1, y1], [x0, y1]]) }));
    } else if (points.length)
      parts.push(shape("polyline", { class: `${kind} selected open`, points: text([...points, cursor]) }));
    points.forEach(([x, y], index) => parts.push(dot(index ? "corner" : "corner first", x * WIDE, y * high, unit)));
    if (byKeys || !points.length) {
      const [x, y] = [cursor[0] * WIDE, cursor[1] * high];
      parts.push(shape("path", { class: "crosshair", d: `M${x} 0V${high}M0 ${y}H${WIDE}` }));
    }
    return parts;
  }
}

/** Move corners by (x, y) from where they were, as far as the picture reaches. */
function shift(points, before, x, y) {
  const least = (axis) => Math.min(...before.map((point) => point[axis])),
    most = (axis) => Math.max(...before.map((point) => point[axis]));
  const right = Math.min(1 - most(0), Math.max(-least(0), x)),
    down = Math.min(1 - most(1), Math.max(-least(1), y));
  before.forEach(([left, top], index) => (points[index] = [within(left + right), within(top + down)]));
}

/** A handle, with room for a finger around it. */
function dot(kind, x, y, unit, attributes = {}) {
  return shape(
    "g",
    { class: kind, ...attributes },
    shape("circle", { class: "reach", cx: x, cy: y, r: 20 * unit, ...data(attributes) }),
    shape("circle", { class: "seen", cx: x, cy: y, r: (kind === "between" ? 4.5 : 7) * unit, ...data(attributes) }),
  );
}
const data = (attributes) => Object.fromEntries(Object.entries(attributes).filter(([name]) => name.startsWith("data-")));

function hatching(unit) {
  return shape(
    "defs",
    {},
    shape(
      "pattern",
      {
        id: "hatching",
        width: 9 * unit,
        height: 9 * unit,
        patternUnits: "userSpaceOnUse",
        patternTransform: "rotate(45)",
      },
      shape("rect", { width: 9 * unit, height: 9 * unit, class: "hatch-ground" }),
      shape("rect", { width: 3 * unit, height: 9 * unit, class: "hatch" }),
    ),
  );
}
