// Narrows a long overview to the rows that have every word typed.
"use strict";
(() => {
  const field = document.getElementById("narrow");
  const told = document.getElementById("narrowed");
  const rows = [...document.querySelectorAll(".overview tbody tr")];
  const texts = rows.map((row) => row.textContent.toLowerCase());
  let waiting = 0;

  function narrow() {
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    rows.forEach((row, place) => {
      const fits = words.every((word) => texts[place].includes(word));
      row.hidden = !fits;
      shown += fits;
    });
    told.textContent = words.length ? `${shown.toLocaleString("en")} of ${rows.length.toLocaleString("en")} videos` : "";
  }

  field.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(narrow, 120);
  });
  field.closest("label").hidden = false;
})();
