// Two to five searches side by side: figures, settings, curves, networks and classes, each under a letter.

import * as api from "./api.js";
import { curvesChart, curvesOf } from "./compare_curves.js";
import { ahead, byDifference, figures, letter, setting, short } from "./compare_words.js";
import { h, refresh, replace } from "./dom.js";
import * as format from "./format.js";
import { badge, notice, regularly, scrolled, showMissing } from "./parts.js";
import { FINAL } from "./waiting.js";

const SHOWN_CLASSES = 24;
const PARTS = ["head", "problem", "accuracy", "figures", "settings", "charts", "layers", "classes"];

/** Show the searches `list`, ids with commas between them, in `main`; returns a function that stops the updates. */
export function showComparison(main, list) {
  const ids = list.split(",");
  const parts = Object.fromEntries(PARTS.map((name) => [name, h("section", { class: `part comparison ${name}` })]));
  const points = ids.map(() => []);
  const lastSeq = ids.map(() => 0);
  document.title = `Compare ${ids.length} searches · AutoNL`;
  replace(parts.head, h("h1", {}, "Compare searches")); // until the first answer
  replace(main, Object.values(parts));

  let isShown = false;
  return regularly(async () => {
    if (document.hidden && isShown) return true;
    const comparison = await api.getComparison(ids);
    const metrics = await Promise.all(ids.map((id, place) => api.getMetrics(id, lastSeq[place])));
    metrics.forEach((page, place) => {
      points[place].push(...page.points);
      lastSeq[place] = page.last_seq;
    });
    replace(parts.problem);
    render(parts, comparison);
    const isNew = metrics.some((page) => page.points.length);
    if (isNew) renderCharts(parts.charts, points);
    isShown = true;
    return isNew || comparison.searches.some(({ state }) => !FINAL.includes(state));
  }, (problem) => {
    if (problem.document?.status === 404) showMissing(main, "search", ids.find((id) => problem.message.includes(id)) ?? list);
    else replace(parts.problem, notice(problem));
  });
}

function render(parts, comparison) {
  const { searches, layers, classes } = comparison;
  refresh(parts.head, head(searches));
  refresh(parts.accuracy, h("h2", {}, "Which is more accurate?"), accuracy(comparison));
  refresh(parts.figures, h("h2", {}, "Figures"), sideBySide("Figures", "Figure", searches, figures(comparison).map(([name, texts]) => row(name, texts))),
    searches.some(({ test_images: images, macs }) => images === null && macs !== null) ? h("p", { class: "hint" }, "Without a result yet, cost is that of the best architecture so far.") : null);
  refresh(parts.settings, h("h2", {}, "Settings that differ"), settings(comparison));
  refresh(parts.layers, layers.length ? [h("h2", {}, "Networks, block by block"), networks(searches, layers)] : null);
  refresh(parts.classes, classes.length ? [h("h2", {}, "Recognised by class"), recalls(searches, classes)] : null);
}

function head(searches) {
  const line = (search, place) => h("li", {}, key(place), " ",
    h("a", { href: `#/searches/${search.search_id}` }, `${search.dataset} ≤ ${format.macs(search.flops_budget)} · ${search.search_id}`), " ", badge(search.state));
  return [h("h1", {}, "Compare searches"), h("ol", { class: "keys" }, searches.map(line))];
}

const key = (place) => h("b", { class: `key series-${place + 1}` }, letter(place));

function accuracy({ searches, accuracy_differences: differences, not_comparable: reasons }) {
  const ids = searches.map((search) => search.search_id);
  if (!differences.length && !reasons.length) return h("p", { class: "hint" }, "Fewer than two of them have a result yet.");
  return [
    differences.length ? h("ul", { class: "differences" }, differences.map((one) => h("li", {}, ahead(one, ids)))) : null,
    reasons.map((reason) => h("p", { class: "notice" }, format.sentence(reason))),
    differences.some(({ paired }) => !paired) ? h("p", { class: "hint" }, "Errors are upper limits: it is not stored of all results which images they get right.") : null,
    differences.length ? h("p", { class: "hint" }, "On test images. p: how often equally good networks would differ so much. Where it may be chance, choose by cost. Luck with the seed is not part of it: repeat a search to see that.") : null,
  ];
}

/** A table with a column for each search. */
function sideBySide(label, first, searches, rows) {
  const titles = searches.map((search, place) => h("th", { scope: "col" }, key(place)));
  return scrolled(label, h("table", {}, h("thead", {}, h("tr", {}, h("th", { scope: "col" }, first), titles)), h("tbody", {}, rows)));
}

const row = (name, cells, attributes = {}) => h("tr", attributes, h("th", { scope: "row" }, name), cells.map((cell) => h("td", {}, cell)));

function settings({ searches, settings_that_differ: differing }) {
  if (!differing.length) return h("p", { class: "hint" }, "None: all settings are the same.");
  return sideBySide("Settings that differ", "Setting", searches, differing.map(({ path, values }) => row(h("code", {}, path), values.map(setting))));
}

function networks(searches, layers) {
  const rows = layers.map(({ place, layers: cells, equal }) => row(
    equal ? place : [h("span", { class: "mark", "aria-hidden": "true" }, "≠ "), place, h("span", { class: "visually-hidden" }, ", not the same")],
    cells.map(layer), { class: equal ? null : "unequal" }));
  return [
    sideBySide("Networks, block by block", "Place", searches, rows),
    h("p", { class: "legend" }, "≠: not the same; k: kernel, s: stride, e: expansion, c: channels, se: squeeze-excite, nl: LightNL; below: MACs"),
  ];
}

/** A block in short, for screen readers in words. */
function layer(one) {
  if (one === null) return "–";
  return [
    h("code", { "aria-hidden": "true" }, short(one.notation)),
    h("span", { class: "visually-hidden" }, `${one.summary}, ${format.counted(one.out_channels, "channel")}`),
    h("span", { class: "layer-macs" }, `${format.macs(one.macs)}`, h("span", { class: "visually-hidden" }, " MACs")),
  ];
}

function recalls(searches, classes) {
  const differing = byDifference(classes);
  if (!differing.length) return h("p", { class: "hint" }, "All results recognise as many images of every class.");
  const rows = differing.slice(0, SHOWN_CLASSES).map(({ name, test_images: images, results }) =>
    row([name, h("span", { class: "unit" }, ` of ${format.count(images)}`)], results.map((result) => (result ? `${format.count(result.correct)} · ${format.percent(result.recall_pct, 1)}` : "–"))));
  const left = differing.length - rows.length;
  const same = classes.length - differing.length;
  return [
    sideBySide("Recognised by class", "Class, of test images", searches, rows),
    h("p", { class: "hint" }, "The most different first.", left ? ` ${format.counted(left, "class")} more differ less.` : "", same ? ` ${format.counted(same, "class")} with as many images recognised by all.` : ""),
  ];
}

function renderCharts(part, points) {
  const charts = curvesOf(points).map(curvesChart);
  replace(part, charts.length ? [h("h2", {}, "Curves"), h("div", { class: "chart-grid" }, charts)] : null);
}
