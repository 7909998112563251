// A clip that this browser does not play: made playable when asked for, or downloaded.

import { api } from "./api.js";
import { el } from "./dom.js";

/** What is said in place of a clip that could not be played; `play()` is called with the address of one that can. */
export function offerPlayable(event, play) {
  const said = el("span", {}, "This browser cannot play the clip. "),
    make = el("button", { class: "tool", onclick: work }, "Make it playable");
  async function work() {
    make.disabled = true;
    said.textContent = "Making it playable; this takes about as long as the clip lasts. ";
    try {
      await api(`/events/${event.id}/playable`, { method: "POST" });
      play(`/api/v1/events/${event.id}/playable`);
    } catch (error) {
      said.textContent = error.message + " ";
      make.disabled = false;
    }
  }
  return el("span", {}, said, make, " ", el("a", { href: event.clip, download: "" }, "Download it"), ".");
}
