"use strict";
// Buttons over the list of test videos: show those with one outcome.
(() => {
  const section = document.querySelector(".evaluation");
  const buttons = [...section.querySelectorAll("[data-filter]")];
  for (const button of buttons)
    button.addEventListener("click", () => {
      for (const other of buttons) other.setAttribute("aria-pressed", String(other === button));
      for (const video of section.querySelectorAll(".videos > li"))
        video.hidden = button.dataset.filter !== "" && video.dataset.outcome !== button.dataset.filter;
    });
})();
