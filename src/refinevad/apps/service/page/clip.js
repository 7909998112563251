// An event's clip or, where there is none that plays, its snapshot; and the clips that come next, loaded ahead.

import { el } from "./dom.js";
import { words } from "./format.js";
import { offerPlayable } from "./playable.js";

const ready = new Map(); // a clip's address -> its video, which is loading

function videoOf(event) {
  return el("video", {
    src: event.clip,
    poster: event.snapshot,
    controls: true,
    muted: true,
    loop: true,
    playsinline: true,
    preload: "auto",
    "aria-label": `Clip of ${words(event.label)} on ${event.camera}`,
  });
}

/** Load the clips of these events; what was loaded of others is let go. */
export function loadAhead(events) {
  const wanted = new Map(events.filter((event) => event?.clip).map((event) => [event.clip, event]));
  for (const [address, video] of ready)
    if (!wanted.has(address)) {
      video.removeAttribute("src");
      video.load();
      ready.delete(address);
    }
  for (const [address, event] of wanted) if (!ready.has(address)) ready.set(address, videoOf(event));
}

/** What there is to look at: { screen, video }, the video null where there is none. */
export function screenOf(event) {
  const screen = el("div", { class: "screen" });
  const video = event.clip ? (ready.get(event.clip) ?? videoOf(event)) : null;
  const still = (...why) => screen.replaceChildren(...stillOf(event, ...why));
  if (!video) {
    still(
      ["new", "open"].includes(event.state)
        ? "The event is going on; its clip comes when it is over."
        : "No clip was kept of this event.",
    );
    return { screen, video };
  }
  ready.delete(event.clip);
  let remade = false;
  const unplayable = () =>
    remade
      ? still("This browser cannot play what was made of the clip, either. ")
      : screen.replaceChildren(
          ...stillOf(
            event,
            offerPlayable(event, (address) => {
              remade = true;
              video.src = address;
              screen.replaceChildren(video);
            }),
          ),
        );
  if (video.error) unplayable();
  else {
    video.addEventListener("error", unplayable);
    screen.append(video);
    video.autoplay = true;
    video.play().catch(() => {}); // a browser that plays nothing by itself shows the first picture
  }
  return { screen, video };
}

/** The snapshot, with a line that says why it is one; the line alone where there is none (any more). */
function stillOf(event, ...why) {
  const line = el("p", { class: event.snapshot ? "why" : "noclip" }, ...why);
  if (!event.snapshot) return [line];
  const picture = el("img", { src: event.snapshot, alt: `Snapshot of ${words(event.label)} on ${event.camera}` });
  picture.addEventListener("error", () => {
    picture.remove();
    line.className = "noclip";
  });
  return [picture, line];
}
