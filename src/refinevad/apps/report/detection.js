"use strict";
// One detection: curve (uPlot), category strip, player and event cards share one position in time.
(() => {
  const root = document.querySelector(".detection");
  const data = JSON.parse(document.getElementById("detection-data").textContent);
  const find = (selector) => root.querySelector(selector);
  const plot = find(".plot"), strip = find(".strip"), readout = find(".readout");
  const stage = find(".stage"), video = find("video"), whole = find(".whole");
  const cards = [...root.querySelectorAll(".events > li")];
  const duration = Math.max(data.duration, 0.001);
  const ROW = 16, GAP = 2, COLUMNS = 2000;
  let position = 0, hovering = null, playable = false, chart = null, plotWidth = 0, strips = null, colours = {};

  const clock = (second) => {
    const tenths = Math.round(Math.max(second, 0) * 10), minutes = Math.floor(tenths / 600);
    const two = (value) => String(value).padStart(2, "0");
    const rest = two(Math.floor((tenths % 600) / 10)) + "." + (tenths % 10);
    return minutes < 60 ? two(minutes) + ":" + rest : Math.floor(minutes / 60) + ":" + two(minutes % 60) + ":" + rest;
  };
  const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
  const lastNotAfter = (times, second, count) => {
    let low = 0, high = count - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (times[middle] <= second) low = middle; else high = middle - 1;
    }
    return low;
  };
  const columnAt = (second) => lastNotAfter(view.starts, second, view.starts.length);
  const isShown = (column, second) => second < view.ends[column] || column === view.starts.length - 1; // else a hole
  const eventAt = (second) => data.events.findIndex((event) => event.start <= second && second < event.end);
  const categoriesAt = (column) => data.categories
    .map((name, row) => [name, view.heat[row][column] / 100])
    .sort((one, other) => other[1] - one[1]);

  // --- what is drawn: the whole video as the page holds it, or a stretch of a long one from all its segments
  const wholeView = { x: data.x, y: data.y, starts: data.starts, ends: data.ends, high: data.high, heat: data.heat };
  let view = wholeView;
  const unpack = (text, type) => new type(Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)).buffer);
  const detail = data.detail && {
    starts: unpack(data.detail.starts, Float32Array),
    ends: unpack(data.detail.ends, Float32Array),
    scores: unpack(data.detail.scores, Uint16Array),
    heat: unpack(data.detail.heat, Uint8Array),
  };
  function stretch(low, high) {
    const count = detail.scores.length;
    const begin = lastNotAfter(detail.starts, low, count), end = lastNotAfter(detail.starts, high, count) + 1;
    const width = Math.ceil((end - begin) / COLUMNS);
    const made = { x: [], y: [], starts: [], ends: [], high: [], heat: data.categories.map(() => []) };
    const apart = (segment) => segment > begin && detail.ends[segment - 1] < detail.starts[segment]; // a hole before it
    for (let first = begin, last; first < end; first = last) {
      last = first + 1;
      while (last < Math.min(first + width, end) && !apart(last)) last++;
      if (apart(first)) { made.x.push(detail.ends[first - 1]); made.y.push(null); }
      let least = first, most = first;
      for (let segment = first; segment < last; segment++) {
        if (detail.scores[segment] < detail.scores[least]) least = segment;
        if (detail.scores[segment] > detail.scores[most]) most = segment;
      }
      made.starts.push(detail.starts[first]);
      made.ends.push(detail.ends[last - 1]);
      made.high.push(detail.scores[most] / 65535);
      if (last - first === 1) made.x.push(detail.starts[first], detail.ends[first]);
      else for (const segment of [Math.min(least, most), Math.max(least, most)])
        made.x.push((detail.starts[segment] + detail.ends[segment]) / 2);
      made.y.push(detail.scores[Math.min(least, most)] / 65535, detail.scores[Math.max(least, most)] / 65535);
      made.heat.forEach((row, index) => row.push(Math.max(...detail.heat.subarray(index * count + first, index * count + last))));
    }
    return made;
  }

  function readColours() {
    const style = getComputedStyle(document.documentElement);
    for (const name of ["ink", "muted", "line", "grid", "curve", "curve-fill", "event", "event-rgb", "event-fill", "truth", "truth-fill", "card"])
      colours[name] = style.getPropertyValue("--" + name).trim();
  }
  const font = (size) => `${size}px ${getComputedStyle(document.body).fontFamily}`;

  function gutter() {
    const context = document.createElement("canvas").getContext("2d");
    context.font = font(12);
    const widest = Math.max(34, ...data.categories.map((name) => context.measureText(name).width + 12));
    return Math.ceil(Math.min(widest, plotWidth < 560 ? 84 : 140));
  }

  // --- the curve
  function drawEvents(u) {
    const { ctx, bbox } = u, ratio = devicePixelRatio || 1;
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
    ctx.clip();
    for (const [start, end] of data.truth) {
      const left = u.valToPos(start, "x", true), width = Math.max(u.valToPos(end, "x", true) - left, 2 * ratio);
      ctx.fillStyle = colours["truth-fill"];
      ctx.fillRect(left, bbox.top, width, bbox.height);
      ctx.fillStyle = colours.truth;
      ctx.fillRect(left, bbox.top + bbox.height - 4 * ratio, width, 4 * ratio);
    }
    for (const event of data.events) {
      const left = u.valToPos(event.start, "x", true), right = u.valToPos(event.end, "x", true);
      ctx.fillStyle = colours["event-fill"];
      ctx.fillRect(left, bbox.top, Math.max(right - left, 2 * ratio), bbox.height);
      ctx.fillStyle = colours.event;
      ctx.fillRect(left, bbox.top, Math.max(right - left, 2 * ratio), 3 * ratio);
    }
    for (const [value, name, dash] of [[data.threshold, "event", [6, 4]], [data.low, "muted", [1.5, 4]]]) {
      const y = Math.round(u.valToPos(value, "y", true)) + 0.5;
      ctx.beginPath();
      ctx.setLineDash(dash.map((part) => part * ratio));
      ctx.strokeStyle = colours[name];
      ctx.lineWidth = 1.25 * ratio;
      ctx.moveTo(bbox.left, y);
      ctx.lineTo(bbox.left + bbox.width, y);
      ctx.stroke();
    }
    ctx.restore();
  }
  function labelEvents(u) {
    const { ctx, bbox } = u, ratio = devicePixelRatio || 1;
    const previousFont = ctx.font, previousAlign = ctx.textAlign;
    ctx.font = "600 " + font(12 * ratio);
    ctx.textBaseline = "top";
    ctx.textAlign = "left";
    let free = bbox.left;
    for (const event of data.events) {
      const left = u.valToPos(event.start, "x", true) + 5 * ratio, width = ctx.measureText(event.category).width;
      if (left < free || left + width > bbox.left + bbox.width) continue;
      ctx.lineWidth = 3 * ratio;
      ctx.lineJoin = "round";
      ctx.strokeStyle = colours.card;
      ctx.strokeText(event.category, left, bbox.top + 7 * ratio);
      ctx.fillStyle = colours.event;
      ctx.fillText(event.category, left, bbox.top + 7 * ratio);
      free = left + width + 10 * ratio;
    }
    ctx.font = previousFont;
    ctx.textAlign = previousAlign;
  }
  function axisTime(u, splits) { // h:mm on a long axis, mm:ss on a short one
    const step = splits.length > 1 ? splits[1] - splits[0] : 1;
    return splits.map((second) => {
      const text = clock(second);
      if (step >= 60 && duration >= 3600) return (second < 3600 ? "0:" : "") + text.slice(0, -5);
      return step >= 1 ? text.slice(0, -2) : text;
    });
  }
  const STEPS = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200];

  function build(width) {
    plotWidth = width;
    if (chart) chart.destroy();
    view = wholeView;
    whole.disabled = true;
    readColours();
    const left = gutter(), narrow = width < 560;
    const axis = { stroke: () => colours.muted, font: font(12), grid: { stroke: () => colours.grid, width: 1 }, ticks: { show: false } };
    chart = new uPlot({
      width, height: narrow ? 200 : 240, padding: [6, 18, 0, 0],
      legend: { show: false },
      cursor: { y: false, points: { show: false }, drag: { x: true, y: false, dist: 6, setScale: false },
        bind: { dblclick: () => () => { show(0, duration); return null; } } },
      scales: {
        x: { time: false, min: 0, max: duration, range: (u, low, high) => low === null ? [0, duration] : [low, high] },
        y: { range: [0, 1.13] },
      },
      axes: [
        { ...axis, size: 28, space: narrow ? 64 : 90, incrs: STEPS, values: axisTime },
        { ...axis, size: left, splits: () => [0, 0.25, 0.5, 0.75, 1], values: (u, splits) => splits.map((value) => value.toFixed(2)) },
      ],
      series: [{}, {
        stroke: () => colours.curve, fill: () => colours["curve-fill"], width: lineWidth(), points: { show: false },
        paths: uPlot.paths.linear(),
      }],
      hooks: {
        drawClear: [drawEvents],
        draw: [labelEvents],
        setScale: [(u, key) => { if (key === "x") { drawStrip(); alignPaths(); movePlayhead(); } }],
        setSelect: [(u) => {
          const { left: from, width: across } = u.select;
          if (across > 4) show(u.posToVal(from, "x"), u.posToVal(from + across, "x"));
          u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
        }],
        setCursor: [(u) => { hovering = u.cursor.left >= 0 ? clamp(u.posToVal(u.cursor.left, "x"), 0, duration) : null; tell(); }],
      },
    }, [view.x, view.y], plot);
    chart.playhead = document.createElement("div");
    chart.playhead.className = "playhead";
    chart.over.append(chart.playhead);
    chart.over.addEventListener("click", (event) => {
      const moved = Math.abs(event.clientX - pressed) > 5;
      if (!moved) goTo(chart.posToVal(event.clientX - chart.over.getBoundingClientRect().left, "x"));
    });
    chart.over.addEventListener("mousedown", (event) => { pressed = event.clientX; });
    drawStrip();
    alignPaths();
    movePlayhead();
    tell();
    root.dataset.drawn = "yes";
  }
  let pressed = 0;
  const zoomed = (low, high) => low > 0.001 || high < duration - 0.001;
  function show(low, high) {
    const min = clamp(low, 0, duration), max = clamp(high, 0, duration);
    if (max - min < 0.05) return;
    whole.disabled = !zoomed(min, max);
    chart.batch(() => {
      if (detail) {
        view = zoomed(min, max) ? stretch(min, max) : wholeView;
        chart.series[1].width = lineWidth();
        chart.setData([view.x, view.y], false);
      }
      chart.setScale("x", { min, max });
    });
  }
  const lineWidth = () => (view.starts.length > plotWidth ? 1 : 1.75);

  // --- the strip of categories
  function drawStrip() {
    if (!chart || !chart.over) return;
    const ratio = devicePixelRatio || 1, rows = data.categories.length;
    const left = chart.bbox.left / ratio, width = chart.bbox.width / ratio, height = rows * (ROW + GAP);
    if (!strips) {
      strips = document.createElement("canvas");
      strip.append(strips);
      data.categories.forEach((name, row) => {
        const label = document.createElement("div");
        label.className = "label";
        label.textContent = label.title = name;
        label.style.top = row * (ROW + GAP) + 2 + "px";
        strip.append(label);
      });
      strips.addEventListener("click", (event) => goTo(chart.posToVal(event.offsetX, "x")));
      strips.addEventListener("mousemove", (event) => { hovering = clamp(chart.posToVal(event.offsetX, "x"), 0, duration); tell(); });
      strips.addEventListener("mouseleave", () => { hovering = null; tell(); });
      strip.playhead = document.createElement("div");
      strip.playhead.className = "playhead";
      strip.append(strip.playhead);
    }
    strips.style.marginLeft = left + "px";
    strips.style.width = width + "px";
    strips.style.height = height + "px";
    strips.width = Math.round(width * ratio);
    strips.height = Math.round(height * ratio);
    for (const label of strip.querySelectorAll(".label")) label.style.width = left + "px";
    const context = strips.getContext("2d"), low = chart.scales.x.min, high = chart.scales.x.max;
    context.scale(ratio, ratio);
    context.clearRect(0, 0, width, height);
    for (let row = 0; row < rows; row++) {
      context.fillStyle = colours.grid;
      context.fillRect(0, row * (ROW + GAP), width, ROW);
      for (let column = 0; column < view.starts.length; column++) {
        if (view.ends[column] < low || view.starts[column] > high || !view.heat[row][column]) continue;
        const from = (view.starts[column] - low) / (high - low) * width, to = (view.ends[column] - low) / (high - low) * width;
        context.fillStyle = `rgba(${colours["event-rgb"]}, ${view.heat[row][column] / 100})`;
        context.fillRect(from, row * (ROW + GAP), to - from + (to - from > 3 ? -0.5 : 0.3), ROW);
      }
    }
  }

  // --- the curves by path: under the score's, over the same stretch of time
  const lanes = find(".lanes"), byPath = find(".lanes svg");
  function alignPaths() {
    if (!lanes || !chart || !chart.over) return;
    const ratio = devicePixelRatio || 1, low = chart.scales.x.min, high = chart.scales.x.max;
    lanes.style.marginLeft = chart.bbox.left / ratio + "px";
    byPath.style.width = chart.bbox.width / ratio + "px";
    const [, , across, height] = (byPath.dataset.whole ||= byPath.getAttribute("viewBox")).split(" ").map(Number);
    byPath.setAttribute("viewBox", `${across * low / duration} 0 ${across * (high - low) / duration} ${height}`);
  }

  // --- what is said about a moment
  function tell() {
    const second = hovering === null ? position : hovering, index = eventAt(second);
    if (view.starts.length) {
      const column = columnAt(second), [top] = categoriesAt(column);
      const parts = [clock(second), isShown(column, second) ? "score " + view.high[column].toFixed(2) : "no pictures"];
      if (index >= 0) parts.push("event: " + data.events[index].category);
      else if (top) parts.push(top[0] + " " + top[1].toFixed(2));
      readout.textContent = parts.join(" · ");
    }
    const current = eventAt(position);
    for (const list of [cards, root.querySelectorAll(".jump > li")])
      list.forEach((item, place) => item.classList.toggle("current", place === current));
    plot.setAttribute("aria-valuemin", "0");
    plot.setAttribute("aria-valuemax", duration.toFixed(1));
    plot.setAttribute("aria-valuenow", position.toFixed(1));
    plot.setAttribute("aria-valuetext", readout.textContent);
    if (playable && view.starts.length) tellNow(second, index);
  }
  function tellNow(second, index) {
    const column = columnAt(second), state = find(".now .state");
    state.textContent = index >= 0 ? data.events[index].category : "no event";
    state.classList.toggle("on", index >= 0);
    find(".now .score").textContent = isShown(column, second) ? view.high[column].toFixed(2) : "–";
    find(".now .of").textContent = `score at ${clock(second)}, threshold ${data.threshold.toFixed(2)}`;
    const cells = categoriesAt(column).slice(0, 6).flatMap(([name, value]) => {
      const [label, track, fill, number] = ["span", "span", "i", "span"].map((tag) => document.createElement(tag));
      label.className = "name"; label.textContent = label.title = name;
      track.className = "track"; fill.style.width = 100 * value + "%"; track.append(fill);
      number.className = "value"; number.textContent = value.toFixed(2);
      return [label, track, number];
    });
    find(".now .bars").replaceChildren(...cells);
  }
  function movePlayhead() {
    if (!chart || !chart.playhead) return;
    const left = chart.valToPos(position, "x"), inside = left >= -1 && left <= chart.over.clientWidth + 1;
    chart.playhead.style.left = left + "px";
    chart.playhead.style.display = inside ? "" : "none";
    if (strip.playhead) {
      strip.playhead.style.left = left + chart.bbox.left / (devicePixelRatio || 1) + "px";
      strip.playhead.style.display = inside ? "" : "none";
    }
  }
  function setPosition(second) {
    position = clamp(second, 0, duration);
    if (chart && zoomed(chart.scales.x.min, chart.scales.x.max) && (position < chart.scales.x.min || position > chart.scales.x.max)) {
      const half = (chart.scales.x.max - chart.scales.x.min) / 2, middle = clamp(position, half, duration - half);
      show(middle - half, middle + half);
    }
    movePlayhead();
    tell();
  }
  function goTo(second) {
    setPosition(second);
    if (playable) video.currentTime = Math.min(position + data.ahead, (video.duration || duration + data.ahead) - 0.001);
  }
  // In a long video an event is a hair's breadth: going to one zooms in on it.
  function goToEvent(index, scroll) {
    const event = data.events[index];
    if (!event) return;
    const around = Math.max(30, 4 * (event.end - event.start));
    if (duration > 20 * around) show(event.start - around, event.end + around);
    goTo(event.at);
    if (scroll) (playable ? stage : find(".timeline")).scrollIntoView({ block: "nearest", behavior: "smooth" });
  }
  function step(direction) {
    const order = data.events.map((event, index) => [event.at, index]).sort((one, other) => one[0] - other[0]);
    const ahead = direction > 0 ? order.find(([at]) => at > position + 0.05) : order.reverse().find(([at]) => at < position - 0.05);
    if (ahead) goToEvent(ahead[1], false);
  }

  // --- the player
  function follow() {
    setPosition(video.currentTime - data.ahead); // the player's clock begins with the sound
    if (!video.paused && !video.ended) requestAnimationFrame(follow);
  }
  if (video) {
    const ready = () => {
      if (!video.videoWidth || playable) return;
      playable = true;
      stage.hidden = false;
      goTo(position);
    };
    const absent = () => { if (!playable) find(".novideo").hidden = false; };
    video.addEventListener("loadedmetadata", () => (video.videoWidth ? ready() : absent()));
    video.addEventListener("play", follow);
    video.addEventListener("seeked", () => { if (video.paused) setPosition(video.currentTime - data.ahead); });
    video.addEventListener("error", absent);
    if (video.error) absent();
    else if (video.readyState >= 1) ready();
  }

  // --- hands
  for (const [index, event] of data.events.entries()) {
    if (!video) break;
    const row = document.createElement("li"), button = document.createElement("button");
    const [when, what, peak] = ["span", "b", "span"].map((tag) => document.createElement(tag));
    when.textContent = clock(event.start);
    what.textContent = what.title = event.category;
    peak.textContent = event.peak.toFixed(2);
    button.type = "button";
    button.append(when, what, peak);
    button.addEventListener("click", () => goToEvent(index, false));
    row.append(button);
    find(".jump").append(row);
  }
  for (const card of cards)
    card.querySelector(".frame").addEventListener("click", () => goToEvent(Number(card.dataset.event), true));
  find(".previous").addEventListener("click", () => step(-1));
  find(".next").addEventListener("click", () => step(1));
  find(".previous").disabled = find(".next").disabled = !data.events.length;
  whole.addEventListener("click", () => show(0, duration));
  plot.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const stride = event.shiftKey ? 10 : 1;
    const keys = {
      ArrowLeft: () => goTo(position - stride), ArrowRight: () => goTo(position + stride),
      ArrowDown: () => goTo(position - stride), ArrowUp: () => goTo(position + stride),
      PageDown: () => goTo(position - 60), PageUp: () => goTo(position + 60),
      Home: () => goTo(0), End: () => goTo(duration), n: () => step(1), p: () => step(-1), Escape: () => show(0, duration),
      " ": () => { if (playable) { if (video.paused) video.play(); else video.pause(); } },
    };
    const action = keys[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (action) { event.preventDefault(); action(); }
  });

  // --- size, colours, paper
  const PAPER = 620; // fits A4 and Letter upright; the page's own width is not known before it is laid out
  let paper = false;
  const fit = () => { if (!paper && plot.clientWidth && plot.clientWidth !== plotWidth) build(plot.clientWidth); };
  new ResizeObserver(fit).observe(plot);
  addEventListener("beforeprint", () => { paper = true; build(PAPER); });
  addEventListener("afterprint", () => { paper = false; fit(); });
  const redraw = () => { if (chart) { readColours(); chart.redraw(); drawStrip(); } };
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  matchMedia("print").addEventListener("change", redraw);
  if (data.events.length) position = data.events.reduce((one, other) => (other.peak > one.peak ? other : one)).at;
})();
