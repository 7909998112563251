// A camera's picture as it comes: H.264 over a websocket into a video; single pictures where that cannot be.

import { el } from "./dom.js";

const BEHIND_S = 3, // of the newest picture: further back it jumps ahead
  KEPT_S = 20,
  PICTURE_MS = 700,
  AGAIN_MS = 3000,
  TRIES = 3; // sockets in a row that brought no picture

/** An element that shows camera `name`; `onmode("video" | "pictures" | "", why)` is told how. Call `end()` to leave. */
export class LiveVideo {
  constructor(name, onmode = () => {}) {
    this.name = name;
    this.onmode = onmode;
    this.video = el("video", { muted: true, autoplay: true, playsinline: true, hidden: true, "aria-label": `${name}, live` });
    this.picture = el("img", { alt: `Newest picture of ${name}`, decoding: "async" });
    this.blank = el("span", { class: "blank" }, "Waiting for a picture…");
    this.node = el("div", { class: "live-video" }, this.blank, this.picture, this.video);
    this.ended = false;
    this.failures = 0;
    this.loading = false;
    this.picture.addEventListener("load", () => this.loaded(true));
    this.picture.addEventListener("error", () => this.loaded(false));
    this.video.addEventListener("playing", () => this.mode("video"));
    this.video.addEventListener("error", () => this.again("the browser cannot play it"));
    this.timer = setInterval(() => this.tick(), PICTURE_MS);
    this.tick();
    if ("MediaSource" in window) this.connect();
    else setTimeout(() => this.mode("pictures", "this browser plays no stream"));
  }

  mode(mode, why = "") {
    this.video.hidden = mode !== "video";
    if (this.now === mode && this.why === why) return;
    this.now = mode;
    this.why = why;
    this.node.dataset.mode = mode;
    this.onmode(mode, why);
  }

  loaded(there) {
    this.loading = false;
    this.node.classList.toggle("has-picture", there);
  }

  tick() {
    if (this.ended || document.hidden) return;
    if (this.now === "video") this.follow();
    else if (!this.loading) {
      this.loading = true;
      this.picture.src = `/api/v1/cameras/${encodeURIComponent(this.name)}/preview.jpg?at=${Date.now()}`;
    }
  }

  connect() {
    const socket = new WebSocket(`${location.origin.replace(/^http/, "ws")}/ws/cameras/${encodeURIComponent(this.name)}`);
    socket.binaryType = "arraybuffer";
    this.socket = socket;
    socket.onmessage = ({ data }) => {
      if (socket !== this.socket) return;
      if (typeof data !== "string") this.take(data);
      else this.said(JSON.parse(data));
    };
    socket.onclose = ({ code }) => {
      if (socket !== this.socket || this.ended) return;
      this.again(code === 4408 ? "this network is too slow for the stream" : "the connection broke off");
    };
  }

  said({ type, codec, reason, width, height }) {
    if (type !== "begin") return;
    const kind = `video/mp4; codecs="${codec}"`;
    if (width && height) this.node.style.setProperty("--shape", `${width} / ${height}`);
    if (reason || !MediaSource.isTypeSupported(kind)) {
      this.waiting = null;
      this.mode("pictures", reason || "this browser does not play the stream");
      return;
    }
    this.waiting = [];
    this.buffer = null;
    const source = new MediaSource();
    this.source = source;
    if (this.url) URL.revokeObjectURL(this.url);
    this.url = URL.createObjectURL(source);
    this.video.src = this.url;
    source.addEventListener("sourceopen", () => {
      if (source !== this.source) return;
      this.buffer = source.addSourceBuffer(kind);
      this.buffer.addEventListener("updateend", () => this.feed());
      this.feed();
    });
  }

  take(data) {
    if (!this.waiting) return;
    this.waiting.push(data);
    if (this.waiting.length > 2000) this.again("the browser falls behind");
    else this.feed();
  }

  feed() {
    const { buffer, source, video, waiting } = this;
    if (!buffer || !waiting || source.readyState !== "open" || buffer.updating) return;
    try {
      const ranges = buffer.buffered,
        first = ranges.length ? ranges.start(0) : 0;
      if (ranges.length && video.currentTime - first > 2 * KEPT_S) {
        buffer.remove(first, video.currentTime - KEPT_S);
        return;
      }
      if (waiting.length) buffer.appendBuffer(joined(waiting.splice(0)));
    } catch (error) {
      this.again(error.message);
      return;
    }
    if (video.paused && this.now !== "video") video.play().catch(() => {});
    if (video.readyState < 2) this.follow();
  }

  /** Stay near the newest picture; begin where there are any. */
  follow() {
    const ranges = this.video.buffered;
    if (!ranges.length) return;
    const end = ranges.end(ranges.length - 1),
      start = ranges.start(ranges.length - 1),
      behind = end - this.video.currentTime;
    if (this.video.currentTime < start || behind > BEHIND_S) this.video.currentTime = Math.max(start, end - 0.4);
    this.video.playbackRate = behind > 1.2 ? 1.08 : 1;
    this.failures = 0;
  }

  /** Show pictures, and after a while try again. */
  again(why) {
    this.drop();
    if (this.ended) return;
    this.mode("pictures", why);
    if (++this.failures < TRIES) this.retry = setTimeout(() => this.connect(), AGAIN_MS * this.failures);
  }

  drop() {
    clearTimeout(this.retry);
    const socket = this.socket;
    this.socket = this.buffer = this.source = this.waiting = null;
    socket?.close();
    if (this.url) URL.revokeObjectURL(this.url);
    this.url = null;
    this.video.removeAttribute("src");
  }

  end() {
    this.ended = true;
    clearInterval(this.timer);
    this.drop();
  }
}

function joined(parts) {
  if (parts.length === 1) return parts[0];
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.byteLength, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(new Uint8Array(part), at);
    at += part.byteLength;
  }
  return whole;
}
