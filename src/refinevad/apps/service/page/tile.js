// One camera on the wall.

import { api } from "./api.js";
import { drawStrip } from "./chart.js";
import { ask, el, toast } from "./dom.js";
import { editCamera } from "./edit_camera.js";
import { at, score, when, words } from "./format.js";
import { placeOver } from "./where.js";

const STRIP_S = 180;
const SAY = {
  starting: "starting",
  connecting: "connecting",
  live: "live",
  waiting: "no picture",
  ended: "ended",
  failed: "failed",
  paused: "paused",
};

/** What is wrong with a camera, in a word. */
export const AILS = {
  offline: "offline",
  slow: "few frames",
  frozen: "frozen",
  black: "black",
  covered: "covered",
  blurred: "out of focus",
  moved: "moved",
  above: "above threshold",
};

export class Tile {
  constructor(camera, refresh) {
    this.camera = camera;
    this.refresh = refresh;
    this.scores = [];
    this.visible = true;
    this.large = `#/cameras/${encodeURIComponent(camera.name)}/live`;
    this.timeline = `#/timeline?camera=${encodeURIComponent(camera.name)}`;
    this.picture = el("img", { alt: `Newest picture of ${camera.name}`, decoding: "async" });
    this.blank = el("span", { class: "blank" });
    this.state = el("span", { class: "state" });
    this.value = el("span", { class: "value number" });
    this.ailing = el("span", { class: "ailing", hidden: true });
    this.alarm = el("a", { class: "alarm", hidden: true });
    this.trouble = el("p", { class: "trouble", onclick: () => this.trouble.classList.toggle("whole") });
    this.facts = el("p", { class: "facts-line" });
    this.strip = el("canvas", { class: "spark-strip", role: "img" });
    this.pause = el("button", { class: "tool", onclick: () => this.togglePause(), "data-needs": "admin" });
    this.node = el(
      "li",
      { class: "tile card", "data-camera": camera.name },
      el(
        "a",
        { class: "screen", href: this.large, "aria-label": `${camera.name}, large` },
        this.blank,
        this.picture,
        this.state,
        this.ailing,
      ),
      el(
        "div",
        { class: "body" },
        el("div", { class: "name" }, el("h2", {}, camera.name), this.alarm, this.value),
        this.strip,
        this.trouble,
        el(
          "div",
          { class: "foot" },
          this.facts,
          el(
            "div",
            { class: "tools" },
            this.pause, // as far from "Remove" as can be
            el("a", { class: "tool", href: this.timeline, "aria-label": `Timeline of ${camera.name}` }, "Timeline"),
            el(
              "a",
              {
                class: "tool",
                "data-needs": "admin",
                href: `#/cameras/${encodeURIComponent(camera.name)}/zones`,
                "aria-label": `Masks and zones of ${camera.name}`,
              },
              "Zones",
            ),
            el(
              "button",
              { class: "tool", onclick: () => this.edit(), "aria-label": `Edit ${camera.name}`, "data-needs": "admin" },
              "Edit",
            ),
            el(
              "button",
              {
                class: "tool",
                onclick: () => this.remove(),
                "aria-label": `Remove ${camera.name}`,
                "data-needs": "admin",
              },
              "Remove",
            ),
          ),
        ),
      ),
    );
    this.loading = false; // the next picture is asked for once the last has come: a slow link would get none otherwise
    this.picture.addEventListener("load", () => this.pictured(true));
    this.picture.addEventListener("error", () => this.pictured(false));
    new IntersectionObserver(([entry]) => (this.visible = entry.isIntersecting)).observe(this.node);
  }

  pictured(there) {
    this.loading = false;
    this.node.classList.toggle("has-picture", there && this.camera.state !== "paused");
  }

  async begin() {
    const end = new Date(),
      start = new Date(end - STRIP_S * 1000),
      path = `/cameras/${encodeURIComponent(this.camera.name)}/scores`;
    try {
      const stored = await api(path, { query: { start, end, buckets: STRIP_S } });
      const begin = at(stored.start);
      const old = stored.highest
        .map((value, index) => [begin + index * stored.width_s, stored.width_s, value])
        .filter(([, , value]) => value !== null);
      const first = this.scores.length ? this.scores[0][0] : Infinity;
      this.scores = [...old.filter(([time]) => time < first), ...this.scores];
    } catch {
      /* the strip fills as scores come */
    }
    this.tick();
  }

  set(camera) {
    Object.assign(this.camera, camera);
    const ailing = this.camera.state === "paused" ? [] : this.camera.health || [];
    this.ailing.textContent = ailing.map(({ name }) => AILS[name]).join(", ");
    this.ailing.hidden = !ailing.length;
    this.ailing.title = ailing.map(({ text, since }) => `${text} (since ${when(since)})`).join("\n");
    const { state, trouble, fps_in, threshold, source, open_event } = this.camera;
    this.state.textContent = SAY[state];
    this.node.dataset.state = state;
    this.node.classList.toggle("alarmed", Boolean(open_event));
    if (open_event !== this.placed) this.findPlace(open_event);
    if (!open_event) this.alarm.hidden = true;
    else if (this.alarm.hidden) {
      this.alarm.textContent = "event";
      this.alarm.href = `#/review/${open_event}`;
      this.alarm.hidden = false;
    }
    this.showScore();
    const said = state === "paused" ? "" : trouble || "";
    this.trouble.textContent = this.trouble.title = said;
    this.trouble.classList.toggle("remark", state === "ended"); // a recording that is over is no fault
    this.facts.textContent = [
      state === "live" ? `${fps_in.toFixed(fps_in < 10 ? 1 : 0)} fps` : null,
      `threshold ${score(threshold)}`,
      this.camera.learning?.state === "learning"
        ? `learning, ${Math.floor(this.camera.learning.quiet_hours)} of ${this.camera.learning.hours_needed} h`
        : null,
      this.camera.hidden ? `${Math.round(100 * this.camera.hidden)} % masked` : null,
    ]
      .filter(Boolean)
      .join(" · ");
    this.node.title = source;
    this.pause.textContent = state === "paused" ? "Resume" : "Pause";
    this.pause.setAttribute("aria-label", `${this.pause.textContent} ${this.camera.name}`);
    const away = ["failed", "waiting"].includes(state) && !this.node.classList.contains("has-picture");
    this.blank.textContent =
      { paused: "Paused", failed: away && said ? said : "No picture", waiting: away && said ? said : "No picture", ended: "Recording over" }[state] ||
      (state === "live" ? "Waiting for a picture…" : "Connecting…");
    if (state === "paused") this.node.classList.remove("has-picture");
  }

  event(event) {
    const open = event.kind !== "end";
    this.camera.open_event = open ? event.event_id : null;
    this.alarm.hidden = !open;
    this.placed = this.camera.open_event;
    this.showPlace(open ? event.after.where : null);
    this.alarm.textContent = words(event.after.category);
    this.alarm.href = `#/review/${event.event_id}`;
    this.node.classList.toggle("alarmed", open);
  }

  /** What is stored of an event that began before this page did. */
  async findPlace(event) {
    this.placed = event;
    this.showPlace(null);
    if (!event) return;
    const stored = await api(`/events/${event}`).catch(() => ({})); // one that has just begun is not there yet
    if (this.placed === event && stored.where) this.showPlace(stored.where);
  }

  showPlace(where) {
    this.place?.remove();
    this.place = where ? placeOver(this.picture, where) : null;
    if (this.place) this.picture.after(this.place);
  }

  push(scores) {
    for (const [time, length, value] of scores) this.scores.push([at(time), length, value]);
    this.camera.score = scores.at(-1)[2];
    this.showScore();
  }

  showScore() {
    const { state, score: newest, threshold } = this.camera;
    this.value.replaceChildren(
      el("small", {}, "score "),
      score(["live", "ended"].includes(state) ? newest : null),
    );
    this.value.classList.toggle("hot", newest > threshold && state === "live");
  }

  tick() {
    const now = Date.now() / 1000,
      newest = this.scores.length ? this.scores.at(-1)[0] + this.scores.at(-1)[1] : now;
    // scores come a moment late; a strip that ends with the newest does not show that as a hole
    const end = now - newest < 60 ? newest : now;
    while (this.scores.length && this.scores[0][0] < end - STRIP_S - 10) this.scores.shift();
    if (!this.visible) return;
    drawStrip(this.strip, this.scores, end - STRIP_S, end, this.camera.threshold);
    const peak = this.scores.reduce((high, [, , value]) => Math.max(high, value), 0);
    this.strip.setAttribute("aria-label", `Scores of the last ${STRIP_S / 60} minutes, highest ${score(peak)}`);
    const wanted =
      this.camera.state === "live" || (this.camera.state === "ended" && !this.node.classList.contains("has-picture"));
    if (wanted && !this.loading) {
      this.loading = true;
      this.picture.src = `/api/v1/cameras/${encodeURIComponent(this.camera.name)}/preview.jpg?at=${Date.now()}`;
    }
  }

  async togglePause() {
    const paused = this.camera.state !== "paused";
    this.pause.disabled = true;
    try {
      this.set(await api(`/cameras/${encodeURIComponent(this.camera.name)}`, { method: "PATCH", body: { paused } }));
    } catch (error) {
      toast(error.message, "bad");
    }
    this.pause.disabled = false;
  }

  async edit() {
    if (await editCamera(this.camera)) this.refresh();
  }

  async remove() {
    const sure = await ask(`Remove ${this.camera.name}?`, [], {
      submit: "Remove",
      danger: true,
      text: "It is no longer watched. Its events and scores are kept.",
    });
    if (!sure) return;
    try {
      await api(`/cameras/${encodeURIComponent(this.camera.name)}`, { method: "DELETE" });
    } catch (error) {
      toast(error.message, "bad");
    }
    this.refresh();
  }
}
