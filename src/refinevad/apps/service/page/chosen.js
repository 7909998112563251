// Many events at once: which are chosen, and one verdict on all of them.

import { el } from "./dom.js";

export class Chosen {
  /** `all()`: the ids there are, in order; `say(verdict)` and `relabel()` are told to act on those that are chosen. */
  constructor({ all, say, relabel }) {
    this.ids = new Set();
    this.all = all;
    this.last = null;
    this.count = el("span", { role: "status" });
    this.every = el("input", { type: "checkbox", "aria-label": "Choose all events", onchange: () => this.toggleAll() });
    const act = (text, what) => el("button", { class: "tool", onclick: what }, text);
    this.tools = el(
      "span",
      { class: "tools", hidden: true },
      act("Confirm", () => say("confirmed")),
      act("Dismiss", () => say("dismissed")),
      act("Relabel", relabel),
      act("Unsure", () => say("unsure")),
    );
    this.node = el("div", { class: "chosen", "data-needs": "reviewer" }, el("label", { class: "tick" }, this.every), this.count, this.tools);
    this.boxes = new Map();
    this.show();
  }

  /** The box before an event of the list. */
  box(id, name) {
    const box = el("input", { type: "checkbox", "aria-label": `Choose ${name}`, checked: this.ids.has(id) });
    box.addEventListener("click", (event) => this.set(id, box.checked, event.shiftKey));
    this.boxes.set(id, box);
    return el("label", { class: "tick", "data-needs": "reviewer" }, box);
  }

  set(id, on, through = false) {
    const order = this.all(),
      [from, to] = [order.indexOf(this.last), order.indexOf(id)].sort((one, other) => one - other);
    const these = through && from >= 0 ? order.slice(from, to + 1) : [id];
    for (const each of these) on ? this.ids.add(each) : this.ids.delete(each);
    this.last = id;
    this.show();
  }

  toggle = (id) => this.set(id, !this.ids.has(id));

  toggleAll() {
    const all = this.all();
    this.ids = new Set(this.every.checked ? all : []);
    this.show();
  }

  none() {
    this.ids.clear();
    this.show();
  }

  /** Boxes and count as they are; those that are not in the list any more are not chosen. */
  show() {
    const all = new Set(this.all());
    for (const id of this.ids) if (!all.has(id)) this.ids.delete(id);
    for (const [id, box] of this.boxes)
      if (all.has(id)) box.checked = this.ids.has(id);
      else this.boxes.delete(id);
    const { size } = this.ids;
    this.count.textContent = size ? `${size} chosen` : "Choose several";
    this.tools.hidden = !size;
    this.every.checked = size > 0 && size === all.size;
    this.every.indeterminate = size > 0 && size < all.size;
    this.node.classList.toggle("some", size > 0);
  }
}
