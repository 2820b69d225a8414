// The metrics of several searches in one picture each: a curve for every search, by epoch of a phase.

import { labels, padded, ticks, title } from "./charts.js";
import { letter } from "./compare_words.js";
import { h, svg } from "./dom.js";
import * as format from "./format.js";

const WIDTH = 360;
const HEIGHT = 190;
const MARGIN = { top: 12, right: 22, bottom: 34, left: 52 };
const LETTER = 12; // size of a letter, in units of the picture
const MOST_CHARTS = 6;
const ORDER = ["top1", "loss"]; // of metrics; others are details

/** The curves by phase and metric: [{phase, name, curves: [points of each search]}], most important first. */
export function curvesOf(pointsOfSearches) {
  const found = new Map();
  pointsOfSearches.forEach((points, place) => {
    for (const { phase, epoch, values } of points) {
      for (const [name, value] of Object.entries(values)) {
        if (value === null || name.startsWith("finalist") || !ORDER.some((part) => name.includes(part)) || name.includes("/")) continue;
        const key = `${phase} ${name}`;
        if (!found.has(key)) found.set(key, { phase, name, curves: pointsOfSearches.map(() => []) });
        found.get(key).curves[place].push({ x: epoch, y: value });
      }
    }
  });
  const rank = ({ phase, name }) => (phase === "training" ? 0 : 10) + (name.startsWith("val") ? 0 : 4) + ORDER.findIndex((part) => name.includes(part));
  return [...found.values()].filter(({ curves }) => curves.some((curve) => curve.length > 1)).sort((a, b) => rank(a) - rank(b)).slice(0, MOST_CHARTS);
}

/** A picture of one of them. */
export function curvesChart({ phase, name, curves }) {
  const all = curves.flat();
  const isPercent = name.endsWith("_pct");
  const y = scale(all.map((point) => point.y), HEIGHT - MARGIN.bottom, MARGIN.top);
  const x = scale(all.map((point) => point.x), MARGIN.left, WIDTH - MARGIN.right, false);
  const write = (value) => (isPercent ? format.percent(value) : String(Number(value.toPrecision(4))));
  const ends = curves.map((curve, place) => (curve.length ? `${letter(place)} is at ${write(curve.at(-1).y)} after ${format.counted(curve.at(-1).x, "epoch")}` : null)).filter(Boolean);
  const what = `${phase}: ${title(name)}`;
  return h("figure", { class: "chart" },
    h("figcaption", {}, h("span", {}, what)),
    svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": `${what}. ${ends.join("; ")}.` },
      y.ticks.map((tick) => [
        svg("line", { class: "grid", x1: MARGIN.left, x2: WIDTH - MARGIN.right, y1: y.at(tick), y2: y.at(tick) }),
        svg("text", { class: "tick", x: MARGIN.left - 6, y: y.at(tick) + 3.5, "text-anchor": "end" }, isPercent ? `${y.label(tick)}%` : y.label(tick)),
      ]),
      x.ticks.filter(Number.isInteger).map((tick) => svg("text", { class: "tick", x: x.at(tick), y: HEIGHT - 18, "text-anchor": "middle" }, String(tick))),
      svg("text", { class: "tick", x: (MARGIN.left + WIDTH - MARGIN.right) / 2, y: HEIGHT - 4, "text-anchor": "middle" }, "epoch"),
      curves.map((curve, place) => (curve.length ? line(curve, place, x, y) : null)),
      names(curves, x, y)));
}

/** The letter of each curve at its end; where curves end together, one below the other. */
function names(curves, x, y) {
  const ends = curves.map((curve, place) => ({ place, end: curve.at(-1) })).filter(({ end }) => end)
    .map(({ place, end }) => ({ place, x: x.at(end.x) + 4, y: y.at(end.y) + 4 }));
  return apart(ends, HEIGHT - MARGIN.bottom).map((name) => svg("text", { class: `series-name series-${name.place + 1}`, x: name.x, y: name.y }, letter(name.place)));
}

/** Places of letters, moved down, and up again at the bottom, until those side by side do not overlap. */
export function apart(names, bottom) {
  const placed = names.map((name) => ({ ...name })).sort((a, b) => a.y - b.y);
  const near = (name, others) => others.filter((other) => Math.abs(other.x - name.x) < LETTER).map((other) => other.y);
  placed.forEach((name, index) => {
    name.y = Math.max(name.y, ...near(name, placed.slice(0, index)).map((y) => y + LETTER));
  });
  placed.reverse().forEach((name, index) => {
    name.y = Math.min(name.y, bottom, ...near(name, placed.slice(0, index)).map((y) => y - LETTER));
  });
  return placed;
}

function line(curve, place, x, y) {
  const end = curve.at(-1);
  const path = curve.map((point, index) => `${index ? "L" : "M"}${x.at(point.x).toFixed(1)},${y.at(point.y).toFixed(1)}`).join("");
  return [
    svg("path", { class: `curve series-${place + 1}`, d: path }),
    curve.length === 1 ? svg("circle", { class: `series-${place + 1}`, r: 2, cx: x.at(end.x), cy: y.at(end.y) }) : null,
  ];
}

function scale(values, from, to, withRoom = true) {
  const ends = [Math.min(...values), Math.max(...values)];
  const [low, high] = withRoom || ends[0] === ends[1] ? padded(...ends) : ends;
  const marks = ticks(low, high);
  return { at: (value) => from + ((value - low) / (high - low)) * (to - from), ticks: marks, label: labels(marks) };
}
