// How the network that a search would derive moved over the epochs of its supernet: a slider, a picture, gates, a list.

import { blockPicture, blockWords, shareOf } from "./architecture.js";
import { h, replace, svg } from "./dom.js";
import * as format from "./format.js";
import { table } from "./parts.js";

const MAP = { width: matchMedia("(max-width: 40rem)").matches ? 360 : 720, left: 118, row: 16, top: 6, bottom: 22 };

/** The part of a search that shows it; `show` takes what GET /searches/{id}/architecture-history answers. */
export function movesPart(section) {
  const slider = h("input", { type: "range", id: "moves-epoch", min: 0, step: 1 });
  const gate = h("select", { id: "moves-gate" });
  const [said, picture, gates, map, changes, note] = ["p", "div", "div", "div", "div", "p"].map((tag) => h(tag));
  said.className = "moves-at";
  note.className = "hint";
  let known = null;

  function draw() {
    const stop = known.stops[Number(slider.value)];
    const words = stopWords(stop, known);
    slider.setAttribute("aria-valuetext", words);
    said.textContent = words;
    replace(picture, positions(stop, known.history));
    replace(gates, positionTable(stop, known.history));
  }

  function drawMap() {
    replace(map, gateMap(gate.value, known.history));
  }

  slider.addEventListener("input", draw);
  gate.addEventListener("change", drawMap);
  const moving = h("div", {},
    h("div", { class: "moves-slider" }, h("label", { for: slider.id }, "Epoch"), slider),
    said, picture,
    h("p", { class: "legend" }, h("span", {}, "Positions of the supernet, from input to output, with what the network would have there if the search ended then."), h("span", {}, h("i", { class: "swatch moved-swatch" }), "changed since the stop before"), h("span", {}, h("i", { class: "swatch cap-swatch" }), "LightNL"), h("span", {}, h("i", { class: "swatch cost-swatch" }), "share of MACs")),
    h("details", {}, h("summary", {}, "Positions and gates at this stop"), gates),
    h("details", {}, h("summary", {}, "What changed when"), changes),
    h("div", { class: "moves-map" }, h("label", { for: gate.id }, "How likely this gate is open, epoch by epoch"), gate), map);

  function show(history, { config }) {
    const stops = [...history.epochs, ...(history.derived ? [history.derived] : [])];
    replace(note, history.note, stops.length === 0 && config.parent ? [" ", h("a", { href: `#/searches/${config.parent}` }, `Search ${config.parent}`), " has its epochs."] : null);
    if (stops.length === 0) {
      replace(section, h("h2", {}, "How the architecture moved"), note);
      return;
    }
    const wasAtEnd = known === null || Number(slider.value) === known.stops.length - 1;
    known = { history, stops, epochs: config.supernet.epochs };
    slider.max = stops.length - 1;
    if (wasAtEnd) slider.value = stops.length - 1;
    const names = new Map(history.gates.map(({ name, title }) => [name, title]));
    const chosen = gate.value || (names.has("light_nl") ? "light_nl" : "");
    replace(gate, [...names].map(([name, title]) => h("option", { value: name, selected: name === chosen }, title)));
    draw();
    drawMap();
    replace(changes, changeList(known));
    if (!section.contains(slider)) replace(section, h("h2", {}, "How the architecture moved"), note, moving);
  }

  return { show };
}

const nameOf = (stop) => (stop.epoch === null ? "derived" : `epoch ${stop.epoch}`);
const optionAt = (stop, history, index) => history.positions[index].options[stop.options[index]];

/** "Epoch 2 of 3: 1 position changed, 398k MACs, validation top-1 71.20%". */
function stopWords(stop, { stops, epochs }) {
  const title = stop.epoch === null ? "What was derived, by candidates and finalists" : `Epoch ${stop.epoch} of ${epochs}`;
  const moved = stop === stops[0] ? null : stop.changed.length ? `${format.counted(stop.changed.length, "position")} changed` : "nothing changed";
  const top1 = stop.val_top1_pct === null ? null : `validation top-1 ${format.percent(stop.val_top1_pct)}`;
  return `${title}: ${[moved, `${format.macs(stop.macs)} MACs`, top1].filter(Boolean).join(", ")}`;
}

/** Every position as the picture of an architecture has blocks. */
function positions(stop, history) {
  const blocks = history.positions.flatMap(({ options }) => options.map(({ block }) => block)).filter(Boolean);
  const widest = Math.max(...blocks.map((block) => block.out_channels));
  const costliest = Math.max(...history.positions.flatMap(({ options }) => options.map(({ macs }) => macs)));
  const card = ({ position, place }, index) => {
    const { block, macs } = optionAt(stop, history, index);
    const changed = stop.changed.includes(position);
    const words = [
      `Position ${position}, ${place}: ${block ? blockWords(block)[0] : "skipped"}`,
      ...(block ? [...blockWords(block).slice(1), `${format.count(macs)} MACs (${shareOf(macs, stop.macs)} of all)`] : []),
      ...(changed ? ["changed"] : []),
    ];
    return h("li", { class: `block${changed ? " moved" : ""}`, title: words.join("\n"), tabindex: 0, "aria-label": words.join(", ") },
      h("span", { class: "block-size" }, position),
      block ? blockPicture(block, widest) : skipped(),
      h("span", { class: "cost", share: macs / costliest }));
  };
  return h("ol", { class: "blocks scroll", "aria-label": `Positions of the supernet, ${nameOf(stop)}` }, history.positions.map(card));
}

const skipped = () => [
  h("span", { class: "column" }, h("span", { class: "end-box faint" }, "–")),
  h("span", { class: "facts faint" }, "skipped"), h("span", { class: "facts" }, " "), h("span", { class: "facts" }, " "),
];

/** Options, their cost, and how likely the gates of each position are open. */
function positionTable(stop, history) {
  const likely = (position) => history.gates.map((gate, place) => [gate, stop.gates[place]]).filter(([gate]) => gate.position === position)
    .map(([gate, value]) => `${gate.title} ${value === null || value === undefined ? "–" : format.percent(100 * value, 0)}`).join(" · ");
  const rows = history.positions.map(({ position, place }, index) => {
    const { name, macs } = optionAt(stop, history, index);
    return [position, place, name, macs, shareOf(macs, stop.macs), stop.gates.length ? likely(position) || "no choice" : "chosen"];
  });
  const ends = ["", "stem and head", "", history.fixed_macs, shareOf(history.fixed_macs, stop.macs), ""];
  return table("Positions and gates at this stop", ["position", "place", "option", "MACs", "of all", "gates, how likely open"],
    [...rows, ends, ["", "all", "", stop.macs, "100.0%", ""]]);
}

function changeList({ history, stops }) {
  const line = (stop, place) => {
    const moved = stop.changed.map((position) => `${position} (${history.positions[position - 1].place}) from ${optionAt(stops[place], history, position - 1).name} to ${optionAt(stop, history, position - 1).name}`);
    return moved.length ? h("li", {}, h("b", {}, nameOf(stop)), ` · ${moved.join("; ")}`) : null;
  };
  const lines = stops.slice(1).map(line).filter(Boolean);
  return lines.length ? h("ul", { class: "differences" }, lines) : h("p", { class: "hint" }, "Nothing.");
}

/** A cell for each epoch and position that has the gate, the darker the more likely it is open. */
function gateMap(name, { gates, epochs, positions: places }) {
  const rows = gates.map((gate, place) => ({ ...gate, place })).filter((gate) => gate.name === name);
  if (rows.length === 0) return null;
  const cell = (MAP.width - MAP.left) / epochs.length;
  const height = MAP.top + MAP.row * rows.length + MAP.bottom;
  const at = (index) => MAP.top + MAP.row * index;
  const last = epochs.at(-1);
  const open = rows.filter(({ place }) => Math.round(100 * last.gates[place]) > 50).map(({ position }) => position);
  const summary = `${rows[0].title}: after epoch ${last.epoch} more likely than not at ${open.length ? `${open.length > 1 ? "positions" : "position"} ${open.join(", ")}` : "no position"}`;
  const marked = (epoch, index) => name === "light_nl" && places[index].options[epoch.options[index]].block?.light_nl;
  return h("figure", { class: "chart" },
    h("figcaption", {}, h("span", {}, `${format.sentence(summary)}`), name === "light_nl" ? h("span", { class: "hint" }, "dot: the network has LightNL there") : null),
    svg("svg", { viewBox: `0 0 ${MAP.width} ${height}`, role: "img", "aria-label": summary },
      rows.map(({ position, place }, row) => [
        svg("text", { class: "tick", x: MAP.left - 6, y: at(row) + 12, "text-anchor": "end" }, places[position - 1].place),
        epochs.map((epoch, index) => [
          svg("rect", { class: "likely", x: MAP.left + cell * index, y: at(row) + 1, width: Math.max(0.5, cell - Math.min(1, cell / 4)), height: MAP.row - 2, "fill-opacity": (epoch.gates[place] ?? 0).toFixed(3) },
            svg("title", {}, `epoch ${epoch.epoch}, position ${position}: ${format.percent(100 * (epoch.gates[place] ?? 0), 0)}`)),
          marked(epoch, position - 1) ? svg("circle", { class: "stands", r: 3, cx: MAP.left + cell * (index + 0.5), cy: at(row) + MAP.row / 2 }) : null,
        ]),
      ]),
      svg("rect", { class: "frame", x: MAP.left, y: MAP.top, width: MAP.width - MAP.left - 0.5, height: MAP.row * rows.length }),
      svg("text", { class: "tick", x: MAP.left, y: height - 6 }, `epoch ${epochs[0].epoch}`),
      epochs.length > 1 ? svg("text", { class: "tick", x: MAP.width - 2, y: height - 6, "text-anchor": "end" }, `epoch ${last.epoch}`) : null));
}
