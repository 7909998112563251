// Drawing scores: the small strip under each camera, and uPlot with the page's colours.

export function colours() {
  const style = getComputedStyle(document.documentElement);
  return new Proxy({}, { get: (_, name) => style.getPropertyValue("--" + name).trim() });
}

// the curves of other models: apart by colour and by dash
const OTHERS = ["direct", "prompts", "video"],
  DASHES = [[5, 3], [2, 3], [8, 3, 2, 3]];
const TICK_PX = 56; // what a label of the time axis needs, with some air

/** A canvas that shows [start, end) of scores: values are [start s, length s, score]. */
export function drawStrip(canvas, values, start, end, threshold) {
  const ratio = devicePixelRatio || 1,
    width = canvas.clientWidth,
    height = canvas.clientHeight;
  if (!width || !height) return;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  const pen = canvas.getContext("2d"),
    colour = colours(),
    x = (second) => ((second - start) / (end - start)) * width,
    y = (score) => height - 1 - score * (height - 3);
  pen.scale(ratio, ratio);
  pen.fillStyle = colour.grid;
  pen.fillRect(0, 0, width, height);
  for (const [from, length, score] of values) {
    if (from + length < start || from > end) continue;
    const hot = threshold !== null && score > threshold;
    pen.fillStyle = hot ? colour.event : colour.curve;
    pen.globalAlpha = hot ? 1 : 0.75;
    pen.fillRect(x(from), y(score), Math.max(1, x(from + length) - x(from) + 0.3), height - y(score));
  }
  pen.globalAlpha = 1;
  if (threshold !== null) {
    pen.strokeStyle = colour.event;
    pen.setLineDash([4, 3]);
    pen.beginPath();
    pen.moveTo(0, y(threshold));
    pen.lineTo(width, y(threshold));
    pen.stroke();
  }
}

/** A score chart over time. `xs` in seconds; `others`: curves of other models over the same; `thresholds()` gives [[value, dashes]…] drawn as lines. Returns the uPlot. */
export function scoreChart(host, { height, xs, ys, others = [], time, step, incrs, thresholds, onclick, format }) {
  const colour = colours(),
    font = '12px system-ui, "Segoe UI", Roboto, Arial, sans-serif';
  const axis = {
    stroke: colour.muted,
    grid: { stroke: colour.grid, width: 1 },
    ticks: { stroke: colour.grid, width: 1 },
    font,
  };
  const lines = (chart) => {
    const pen = chart.ctx,
      ratio = devicePixelRatio || 1,
      { left, width } = chart.bbox;
    for (const [value, dashes] of thresholds()) {
      const y = Math.round(chart.valToPos(value, "y", true));
      pen.save();
      pen.strokeStyle = colours().event;
      pen.lineWidth = 1.5 * ratio;
      pen.setLineDash(dashes.map((dash) => dash * ratio));
      pen.beginPath();
      pen.moveTo(left, y);
      pen.lineTo(left + width, y);
      pen.stroke();
      pen.restore();
    }
  };
  const chart = new uPlot(
    {
      width: host.clientWidth,
      height,
      legend: { show: false },
      padding: [8, 20, 0, 0],
      cursor: { y: false, points: { size: 7 }, drag: { x: false, y: false } },
      scales: { x: { time: Boolean(time), range: (_, low, high) => [low, high] }, y: { range: [0, 1] } },
      axes: [
        {
          ...axis,
          values: format ? (_, ticks) => ticks.map(format) : undefined,
          space: TICK_PX,
          incrs: step || incrs,
          splits: step ? wholeHours(step) : undefined,
          size: 30,
        },
        {
          ...axis,
          size: 46,
          splits: () => [0, 0.25, 0.5, 0.75, 1],
          values: (_, ticks) => ticks.map((tick) => tick.toFixed(2)),
        },
      ],
      series: [
        {},
        {
          stroke: colour.curve,
          fill: colour["curve-fill"],
          width: 1.5,
          points: { show: false },
          spanGaps: false,
          paths: uPlot.paths.stepped({ align: 1 }),
        },
        ...others.map((_, index) => ({
          stroke: colour[OTHERS[index % OTHERS.length]],
          width: 1.5,
          dash: DASHES[index % DASHES.length],
          points: { show: false },
          spanGaps: false,
          paths: uPlot.paths.stepped({ align: 1 }),
        })),
      ],
      hooks: { draw: [lines] },
    },
    [xs, ys, ...others],
    host,
  );
  if (onclick)
    chart.over.addEventListener(
      "click",
      () => chart.cursor.left >= 0 && onclick(chart.posToVal(chart.cursor.left, "x")),
    );
  return chart;
}

/** Ticks at whole local hours, as far apart as the width asks. */
const wholeHours = (steps) => (chart, _axis, low, high) => {
  const room = chart.bbox.width / (devicePixelRatio || 1) / TICK_PX,
    step = steps.find((one) => (high - low) / one <= room) || steps.at(-1),
    ticks = [];
  const midnight = new Date(low * 1000);
  midnight.setHours(0, 0, 0, 0);
  for (let tick = midnight / 1000; tick <= high; tick += step) if (tick >= low) ticks.push(tick);
  return ticks;
};

/** Call `draw` now, when the element's width changes, and when light turns to dark; returns what ends it. */
export function redrawn(node, draw) {
  let width = -1;
  const watch = new ResizeObserver(() => {
    if (node.clientWidth && node.clientWidth !== width) {
      width = node.clientWidth;
      draw();
    }
  });
  const dark = matchMedia("(prefers-color-scheme: dark)");
  watch.observe(node);
  dark.addEventListener("change", draw);
  return () => {
    watch.disconnect();
    dark.removeEventListener("change", draw);
  };
}
