// What a search found: its figures, how much of the budget they take, and the files to download.

import * as api from "./api.js";
import { h } from "./dom.js";
import * as format from "./format.js";
import { scrolled, table } from "./parts.js";
import { onImages, scoreOf } from "./validation.js";

const SHOWN_CLASSES = 24;

export function budget(search) {
  const best = search.best;
  if (!best) return null;
  const used = best.macs / search.flops_budget;
  const over = used > 1;
  return h("div", {},
    h("h2", {}, "Budget"),
    h("div", { class: `gauge${over ? " over" : ""}`, share: Math.min(used, 1), role: "meter", "aria-valuemin": 0, "aria-valuemax": search.flops_budget, "aria-valuenow": best.macs, "aria-label": "Share of the MACs budget used" }),
    h("p", { class: "hint" }, `${format.count(best.macs)} of ${format.count(search.flops_budget)} MACs`, over ? " · above the budget" : ` · ${format.percent(100 * (1 - used))} unused`),
    constraints(search));
}

const CONSTRAINED = { params: "parameters", weights_bytes: "bytes of float32 weights", peak_activation_bytes: "bytes of activations" };

/** What else is limited, and how much of it the result has. */
function constraints({ config, result }) {
  const limits = Object.entries(config.constraints ?? {}).filter(([name, most]) => name in CONSTRAINED && most !== null);
  const achieved = Object.fromEntries((result?.certificate?.constraints ?? []).map((check) => [check.name, check.achieved]));
  const line = ([name, most]) => (name in achieved ? `${format.count(achieved[name])} of ${format.count(most)} ${CONSTRAINED[name]}` : `at most ${format.count(most)} ${CONSTRAINED[name]}`);
  return [...limits.map(line), latency(config.constraints ?? {}, result?.latency_check)].filter(Boolean).map((text) => h("p", { class: "hint" }, text));
}

/** The latency on the device that it is limited for; null: it is not. */
function latency({ latency_ms: most, device }, check) {
  if (most == null) return null;
  if (!check) return `at most ${most} ms on ${device}`;
  const measured = check.measured_ms === null ? `not measured: ${check.not_measured}` : `${check.measured_ms.toFixed(3)} ms measured`;
  return `${check.predicted_ms.toFixed(3)} of ${most} ms on ${device} (${check.device}) predicted, ${measured}`;
}

/** All budgets of a search that has several, each with a link to the search for it. */
export function budgets(search) {
  if (!search.budgets.length) return null;
  const rows = search.budgets.map(({ flops_budget: macs, search_id: id, state, test_top1_pct: top1 }) =>
    h("tr", {},
      h("td", {}, format.macs(macs)),
      h("td", {}, id === null ? "after the shared weights have learned" : id === search.id ? "this search" : h("a", { href: `#/searches/${id}` }, id)),
      h("td", {}, state ?? ""),
      h("td", {}, top1 === null ? "" : format.percent(top1))));
  const titles = ["Budget", "Search", "State", "Test top-1"].map((title) => h("th", { scope: "col" }, title));
  return h("div", {}, h("h2", {}, "All budgets"), scrolled("All budgets", h("table", {}, h("thead", {}, h("tr", {}, titles)), h("tbody", {}, rows))));
}

/** The main figures. `valImages` is how many images judge candidates, possibly; null: not known. */
export function numbers(search, valImages) {
  const best = search.best;
  if (!best) return null;
  const result = search.result;
  const tiles = [
    result ? ["Test top-1", format.percent(best.test_top1_pct), `${format.count(result.test_correct)} of ${format.counted(result.test_images, "image")}, 95% interval ${format.interval(result.test_correct, result.test_images)}`] : null,
    ["Validation top-1", scoreOf(best.val_top1_pct, valImages), `${result ? "when selected" : "with supernet weights"}${valImages && best.val_top1_pct !== null ? `, ${onImages(best.val_top1_pct, valImages)}` : ""}`],
    ["MACs", format.macs(best.macs, 4), "per image"],
    ["Parameters", format.macs(best.params, 4), `${format.bytes(4 * best.params)} as float32`],
    result?.calibration ? ["Probabilities off by", format.percent(100 * result.calibration.error_after, 1), believed(result.calibration)] : null,
    result ? ["Computing time", format.duration(Object.values(result.seconds_by_phase).reduce((a, b) => a + b, 0)), longest(result.seconds_by_phase)] : null,
  ].filter(Boolean);
  return h("dl", { class: "tiles" }, tiles.map(([name, value, note]) => h("div", {}, h("dt", {}, name), h("dd", {}, value), h("dd", { class: "hint" }, note))));
}

/** What became of the probabilities of the network. */
function believed({ temperature, error_before: before }) {
  return `in the mean${temperature === 1 ? "" : `; ${format.percent(100 * before, 1)} before a temperature of ${temperature.toFixed(2)}`}`;
}

function longest(seconds) {
  const [phase, time] = Object.entries(seconds).reduce((a, b) => (b[1] > a[1] ? b : a));
  return `${format.duration(time)} of it in ${phase}`;
}

/** How many test images of each class are recognised, the worst first; null: an earlier version did not store it. */
export function classes({ result }) {
  const all = result?.classes ?? [];
  if (!all.length) return null;
  const share = ({ correct, test_images: images }) => (images ? correct / images : 1);
  const shown = all.toSorted((a, b) => share(a) - share(b)).slice(0, SHOWN_CLASSES);
  const rows = shown.map(({ name, train_images: train, test_images: test, correct, predicted }) => [name, train, `${format.count(correct)} of ${format.count(test)}`, predicted - correct]);
  const left = all.length - shown.length;
  return h("div", {}, h("h2", {}, "By class"),
    table("By class", ["class", "training images", "test images recognised", "others taken for it"], rows),
    left ? h("p", { class: "hint" }, `The ${format.counted(shown.length, "class")} recognised least; the report has all ${format.count(all.length)}.`) : null);
}

/** The files of a succeeded search, each with its size and its own test accuracy. */
export function downloads(search) {
  const files = Object.entries(search.result?.files ?? {});
  const link = (kind) => kind === "report-html" ? search.links.report : kind === "report-md" ? `${search.links.report}?format=markdown`
    : `${search.links.checkpoint}&format=${kind}`;
  const kept = files.map(([kind, file]) => h("tr", {},
    h("td", {}, h("a", { href: api.address(link(kind)), download: file.name }, file.name)), h("td", {}, format.bytes(file.size_bytes)),
    h("td", {}, scored(search.result.parity[kind])), h("td", {}, h("code", {}, file.sha256.slice(0, 16)))));
  const withheld = Object.entries(search.result?.parity ?? {}).filter(([, parity]) => parity.withheld).map(([kind, parity]) =>
    h("tr", {}, h("td", {}, kind), h("td", {}, "withheld"), h("td", { colspan: 2, class: "long" }, parity.withheld)));
  if (files.length === 0) return null;
  const head = ["file", "size", "test top-1", "SHA-256"].map((title) => h("th", { scope: "col" }, title));
  const command = `autonl predict -s ${search.id} photo.jpg`;
  const usage = search.result.files.bundle || search.result.files.onnx
    ? h("p", { class: "hint" }, "Name the class of a photo: ", h("code", {}, command), search.result.files.bundle ? [", or ", h("code", {}, "python predict.py photo.jpg"), " in the unpacked bundle."] : ".") : null;
  return [h("h2", {}, "Downloads"), usage, scrolled("Downloads", h("table", {}, h("thead", {}, h("tr", {}, head)), h("tbody", {}, kept, withheld)))];
}

const scored = (parity) => parity && parity.top1_pct != null ? format.percent(parity.top1_pct) : "–";
