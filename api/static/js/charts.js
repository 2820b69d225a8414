// A search's metrics as small SVG charts, one per quantity, with a readout at the pointer.

import { h, svg } from "./dom.js";
import * as format from "./format.js";

const WIDTH = 360;
const HEIGHT = 150;
const MARGIN = { top: 12, right: 10, bottom: 20 };
const PER_CHARACTER = 7; // width of a digit of a tick label, in units of the picture
const ROOM_FOR_PHASE = 52; // for its name; the readout at the pointer says it in any case
const MOST_CHARTS = 8;
const MOST_POINTS = 400; // a chart has no more pixels across

/** A chart for each metric of `points`, most important first. The `budget` is drawn into charts of MACs. */
export function metricCharts(points, budget) {
  const series = new Map();
  for (const point of points) {
    for (const [name, value] of Object.entries(point.values)) {
      if (name.includes("/") || value === null) continue; // there are hundreds of "gate/..." metrics
      if (!series.has(name)) series.set(name, []);
      series.get(name).push({ x: point.seq, y: value, phase: point.phase, epoch: point.epoch });
    }
  }
  const names = [...series.keys()].filter((name) => series.get(name).length > 1).sort((a, b) => rank(a) - rank(b));
  return names.slice(0, MOST_CHARTS).map((name) => chart(name, thin(series.get(name)), name.includes("macs") ? budget : null));
}

function rank(name) {
  if (name.startsWith("finalist")) return 9; // of briefly trained candidates: details
  const order = ["top1", "loss", "macs"];
  const found = order.findIndex((part) => name.includes(part));
  return found < 0 ? order.length : found;
}

function thin(points) {
  const step = Math.ceil(points.length / MOST_POINTS);
  return points.filter((_, index) => index % step === 0 || index === points.length - 1);
}

function chart(name, points, limit) {
  const values = points.map((point) => point.y);
  if (limit !== null) values.push(limit);
  const [low, high] = padded(Math.min(...values), Math.max(...values));
  const [first, last] = [points[0].x, points.at(-1).x];
  const y = (value) => HEIGHT - MARGIN.bottom - ((value - low) / (high - low)) * (HEIGHT - MARGIN.top - MARGIN.bottom);
  const marks = ticks(low, high);
  const label = labels(marks);
  const left = Math.max(46, 10 + PER_CHARACTER * Math.max(...marks.map((tick) => label(tick).length)));
  const x = (value) => left + ((value - first) / Math.max(1, last - first)) * (WIDTH - left - MARGIN.right);
  const bounds = phaseBounds(points);
  const readout = h("span", { class: "readout" }, shown(name, points.at(-1).y));
  const cursor = svg("circle", { class: "cursor", r: 3.5, cx: x(last), cy: y(points.at(-1).y) });
  const summary = `${title(name)}: ${points.length} points, from ${shown(name, points[0].y)} to ${shown(name, points.at(-1).y)}${limit === null ? "" : `; the budget is ${shown(name, limit)}`}`;
  const picture = svg(
    "svg",
    { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": summary },
    marks.map((tick) => [
      svg("line", { class: "grid", x1: left, x2: WIDTH - MARGIN.right, y1: y(tick), y2: y(tick) }),
      svg("text", { class: "tick", x: left - 6, y: y(tick) + 3.5, "text-anchor": "end" }, label(tick)),
    ]),
    bounds.map((point, index) => [point, index + 1 < bounds.length ? x(bounds[index + 1].x) : WIDTH]).map(([point, next]) => [
      svg("line", { class: "bound", x1: x(point.x), x2: x(point.x), y1: MARGIN.top, y2: HEIGHT - MARGIN.bottom }),
      next - x(point.x) < ROOM_FOR_PHASE ? null : svg("text", { class: "tick", x: x(point.x) + 4, y: HEIGHT - 6 }, point.phase),
    ]),
    limit === null ? null : [
      svg("line", { class: "limit", x1: left, x2: WIDTH - MARGIN.right, y1: y(limit), y2: y(limit) }),
      svg("text", { class: "tick limit-name", x: WIDTH - MARGIN.right, y: y(limit) + (y(limit) < HEIGHT / 2 ? 11 : -4), "text-anchor": "end" }, "budget"),
    ],
    svg("path", { class: "curve", d: points.map((p, i) => `${sameCurve(points, i) ? "L" : "M"}${x(p.x).toFixed(1)},${y(p.y).toFixed(1)}`).join("") }),
    // A curve of a single point has no line.
    points.filter((_, index) => !sameCurve(points, index) && !sameCurve(points, index + 1))
      .map((point) => svg("circle", { class: "single", r: 2, cx: x(point.x), cy: y(point.y) })),
    cursor,
  );
  picture.addEventListener("pointermove", (event) => {
    const box = picture.getBoundingClientRect();
    const wanted = first + (((event.clientX - box.left) / box.width) * WIDTH - left) * ((last - first) / (WIDTH - left - MARGIN.right));
    const near = points.reduce((a, b) => (Math.abs(b.x - wanted) < Math.abs(a.x - wanted) ? b : a));
    cursor.setAttribute("cx", x(near.x));
    cursor.setAttribute("cy", y(near.y));
    readout.textContent = `${near.phase} epoch ${near.epoch}: ${shown(name, near.y)}`;
  });
  return h("figure", { class: "chart" }, h("figcaption", {}, h("span", {}, title(name)), readout), picture);
}

export function padded(low, high) {
  if (high > low) return [low - 0.05 * (high - low), high + 0.05 * (high - low)];
  const room = Math.abs(high) * 0.1 || 1;
  return [low - room, high + room];
}

export function ticks(low, high) {
  const rough = (high - low) / 3;
  const scale = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * scale).find((candidate) => candidate >= rough);
  const found = [];
  for (let tick = Math.ceil(low / step) * step; tick <= high; tick += step) found.push(Number(tick.toPrecision(12)));
  return found;
}

/** How ticks are written: with as many digits as they need to differ. */
export function labels(marks) {
  for (let digits = 3; digits < 7; digits += 1) {
    const write = (value) => (Math.abs(value) >= 1000 ? format.macs(value, digits) : String(Number(value.toPrecision(Math.max(4, digits)))));
    if (new Set(marks.map(write)).size === marks.length) return write;
  }
  return String;
}

// Each phase has its own curve: nothing was measured between two of them.
const sameCurve = (points, index) => index > 0 && points[index - 1].phase === points[index]?.phase;
const phaseBounds = (points) => points.filter((_, index) => !sameCurve(points, index));
const WORDS = { lr: "learning rate", top1: "top-1", macs: "MACs", train: "training", val: "validation" };

/** What a metric is called: val_top1_pct -> "validation top-1". */
export const title = (name) => name.replace(/_pct$/, "").split("_").map((word) => WORDS[word] ?? word).join(" ");

function shown(name, value) {
  if (name.endsWith("_pct")) return format.percent(value);
  if (name.includes("macs")) return format.macs(value, 4);
  return String(Number(value.toPrecision(4)));
}
