// A reader points at something and is told what it is at once; a category can be picked out on the maps.
"use strict";
(() => {
  const tip = document.createElement("div");
  tip.className = "tip";
  tip.hidden = true;
  document.body.append(tip);

  // The browser's own hint comes late and never by touch: its words move into ours, and stay for screen readers.
  for (const mark of document.querySelectorAll(".tell")) {
    const title = mark.querySelector(":scope > title");
    if (!title || !title.textContent) continue;
    mark.dataset.told = title.textContent;
    mark.setAttribute("aria-label", title.textContent);
    title.remove();
  }

  const show = (event) => {
    const mark = event.target instanceof Element ? event.target.closest("[data-told]") : null;
    tip.hidden = !mark;
    if (!mark) return;
    tip.textContent = mark.dataset.told;
    const box = tip.getBoundingClientRect();
    const left = Math.min(event.clientX + 12, window.innerWidth - box.width - 6);
    const above = event.clientY - box.height - 12;
    tip.style.left = `${Math.max(6, left)}px`;
    tip.style.top = `${above > 4 ? above : event.clientY + 16}px`;
  };
  document.addEventListener("pointermove", show);
  document.addEventListener("pointerdown", show);
  document.addEventListener("scroll", () => { tip.hidden = true; }, { passive: true });

  const picks = [...document.querySelectorAll("[data-pick]")];
  for (const button of picks) {
    button.addEventListener("click", () => {
      const on = button.getAttribute("aria-pressed") !== "true";
      const card = button.closest(".explained");
      for (const other of picks) other.setAttribute("aria-pressed", String(on && other === button));
      card.classList.toggle("picked", on);
      for (const dot of card.querySelectorAll("[data-group]")) {
        dot.classList.toggle("on", on && dot.dataset.group === button.dataset.pick);
      }
    });
  }
})();
