// What accuracy costs: every measured network as a point, MACs across, accuracy up, the front drawn through the best.

import { labels, padded, ticks } from "./charts.js";
import { h, svg } from "./dom.js";
import * as format from "./format.js";

const WIDTH = matchMedia("(max-width: 40rem)").matches ? 360 : 720; // of the picture, which is scaled to the page
const HEIGHT = 260;
const MARGIN = { top: 14, right: 14, bottom: 34, left: 52 };

/** A picture of `networks`, as GET /searches/{id}/trade-off lists them; null if there are too few to compare. */
export function tradeOff(networks) {
  if (networks.length < 2) return null;
  const x = scale(networks.map(({ macs }) => macs), MARGIN.left, WIDTH - MARGIN.right);
  const y = scale(networks.map(({ val_top1_pct: top1 }) => top1), HEIGHT - MARGIN.bottom, MARGIN.top);
  const front = networks.filter((network) => network.on_front);
  const summary = `${format.counted(networks.length, "network")} measured; on the front are ${front.map((one) => `${format.macs(one.macs)} MACs with ${format.percent(one.val_top1_pct)}`).join(", ")}`;
  return h("figure", { class: "chart" },
    h("figcaption", {}, h("span", {}, "Top-1 on validation images with shared weights, by MACs"), h("span", { class: "hint" }, "circle: delivered · line: the front")),
    svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": summary },
      y.ticks.map((tick) => [
        svg("line", { class: "grid", x1: MARGIN.left, x2: WIDTH - MARGIN.right, y1: y.at(tick), y2: y.at(tick) }),
        svg("text", { class: "tick", x: MARGIN.left - 6, y: y.at(tick) + 3.5, "text-anchor": "end" }, `${y.label(tick)}%`),
      ]),
      x.ticks.map((tick) => svg("text", { class: "tick", x: x.at(tick), y: HEIGHT - 12, "text-anchor": "middle" }, x.label(tick))),
      svg("path", { class: "curve", d: steps(front, x, y) }),
      networks.map((network) => point(network, x, y))));
}

function scale(values, from, to) {
  const [low, high] = padded(Math.min(...values), Math.max(...values));
  const marks = ticks(low, high);
  return { at: (value) => from + ((value - low) / (high - low)) * (to - from), ticks: marks, label: labels(marks) };
}

/** The front as a staircase: with more MACs than one network, but fewer than the next, there is nothing better. */
function steps(front, x, y) {
  return front.map(({ macs, val_top1_pct: top1 }, index) =>
    index ? `H${x.at(macs).toFixed(1)}V${y.at(top1).toFixed(1)}` : `M${x.at(macs).toFixed(1)},${y.at(top1).toFixed(1)}`).join("");
}

function point(network, x, y) {
  const known = [
    `${format.count(network.macs)} MACs`,
    `${format.percent(network.val_top1_pct)} with shared weights`,
    network.test_top1_pct === null ? null : `${format.percent(network.test_top1_pct)} on the test split`,
    network.origin.replaceAll("_", " "),
  ].filter(Boolean);
  const kind = network.chosen ? "dot chosen" : network.on_front ? "dot front" : "dot";
  return svg("circle", { class: kind, r: network.chosen ? 6 : 3.5, cx: x.at(network.macs), cy: y.at(network.val_top1_pct) },
    svg("title", {}, known.join(" · ")));
}
