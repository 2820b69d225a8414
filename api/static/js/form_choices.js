// What the form offers: datasets, weights to start from, devices, and what to compare with.

import { getBaselines, getDatasets, getDevices, getFinished, getSearch, getWeights } from "./api.js";
import { forgetBudget, markLate, showRange, showRangeSoon, startBudget } from "./budget_field.js";
import { byId, h, replace } from "./dom.js";
import * as format from "./format.js";
import { preferred } from "./preferred.js";
import { RIVALS } from "./rivals.js";

const DATASET_VIEW = /^#\/datasets\/([A-Za-z0-9._-]+)$/;

let datasets = [];
let weights = []; // names of those that are ready

/** Fill the choices; `basis` returns the settings that the form has no field for, or null. */
export async function startChoices(basis) {
  startBudget(() => chosen(basis()));
  byId("dataset").addEventListener("change", showStarts);
  byId("resolution").addEventListener("input", showRangeSoon);
  byId("init").addEventListener("change", showRangeSoon);
  byId("init").addEventListener("focus", loadStarts); // a search may have ended in the meantime
  byId("dataset").addEventListener("focus", loadDatasets); // one may have been added in the meantime
  byId("device").addEventListener("focus", loadDevices); // likewise
  byId("device").addEventListener("change", showRangeSoon);
  byId("most-ms").addEventListener("input", showRangeSoon);
  await Promise.all([loadBaselines(), loadWeights(), loadDevices()]);
  await loadDatasets();
}

/** The dataset, and all that decides which budgets are feasible; null until the datasets are known. */
function chosen(basis) {
  const dataset = datasets.find(({ name }) => name === byId("dataset").value);
  if (!dataset) return null;
  const asked = { dataset: dataset.name };
  if (basis?.search_space) asked.search_space = basis.search_space;
  if (basis?.algorithm) asked.algorithm = basis.algorithm;
  if (byId("resolution").value) asked.resolution = Number(byId("resolution").value);
  if (byId("init").value) asked.init = byId("init").value;
  const [latency, device] = [Number(byId("most-ms").value), byId("device").value];
  if (latency > 0 && device) asked.constraints = { latency_ms: latency, device }; // the device decides about the space
  return { dataset, asked };
}

/** Choose a dataset that is ready; resolves once its budgets are known. */
export async function chooseDataset(name) {
  await loadDatasets();
  if (byId("dataset").value === name) return;
  byId("dataset").value = name;
  await showStarts();
}

/** Begin with a suggestion for the chosen dataset, as when the page was opened. */
export async function showDefaults(dataset) {
  forgetBudget();
  byId("dataset").value = dataset;
  await showStarts();
}

async function loadBaselines() {
  try {
    const published = (await getBaselines()).baselines.map(({ name, title, published_macs: macs, published_top1_pct: top1 }) =>
      [name, title, `${format.macs(macs)}, ${format.percent(top1, 1)}`]);
    const rivals = Object.entries(RIVALS).map(([name, { title, note }]) => [name, title, note]);
    replace(byId("rivals"), rivals.map(box));
    replace(byId("published"), published.map(box));
  } catch (problem) {
    replace(byId("published"), h("p", { class: "hint" }, problem.message));
  }
}

const box = ([name, title, note]) =>
  h("label", { class: "check" }, h("input", { type: "checkbox", name: "baselines", value: name }), h("span", {}, title, h("span", { class: "unit" }, ` ${note}`)));

async function loadWeights() {
  try {
    weights = (await getWeights()).weights.filter(({ state }) => state === "ready").map(({ name }) => name);
  } catch (problem) {
    byId("init").title = problem.message; // without the list, searches can still start from what the service chooses
  }
}

/** What a search can start from: weight sets, and finished searches on the chosen dataset that kept their supernet. */
export async function loadStarts() {
  const dataset = byId("dataset").value;
  const starts = [["", "automatic"], ["none", "random weights"], ...weights.map((name) => [name, name])];
  const select = byId("init");
  try {
    const finished = dataset ? (await getFinished(dataset)).searches : [];
    const kept = (await Promise.all(finished.map(({ id }) => getSearch(id)))).filter(({ supernet }) => supernet !== null);
    starts.push(...kept.map(({ id, flops_budget: budget }) => [`search:${id}`, `search ${id} (${format.macs(budget)})`]));
  } catch (problem) {
    select.title = problem.message; // as without the list of weights
  }
  offer(select, starts);
}

/** The devices that there are, each with what was measured on it. */
export async function loadDevices() {
  try {
    const devices = (await getDevices()).devices.map(({ name, space, resolution }) => [name, `${name} (${space}, ${resolution} pixels)`]);
    offer(byId("device"), [["", devices.length ? "none" : "none was added yet"], ...devices]);
  } catch (problem) {
    byId("device").title = problem.message; // as without the list of weights
  }
}

/** Offer these choices, of values and texts; the one that was made stays, if it is among them. */
function offer(select, choices) {
  if (choices.map(([value]) => value).join() === [...select.options].map(({ value }) => value).join()) return;
  const before = select.value;
  replace(select, choices.map(([value, text]) => h("option", { value, selected: value === before }, text)));
}

async function showStarts() {
  const dataset = datasets.find(({ name }) => name === byId("dataset").value);
  if (!dataset) return;
  byId("dataset-hint").textContent =
    `${format.counted(dataset.train_images, "training image")} and ${format.counted(dataset.test_images, "test image")}, ` +
    `${format.counted(dataset.classes.length, "class")}, usual size ${dataset.image_size} pixels`;
  markLate();
  await loadStarts();
  await showRange();
}

export async function loadDatasets() {
  try {
    const ready = (await getDatasets()).datasets.filter(({ state }) => state === "ready");
    const names = (list) => list.map((dataset) => dataset.name).join();
    if (names(ready) === names(datasets)) return;
    datasets = ready;
  } catch (problem) {
    byId("dataset-hint").textContent = problem.message;
    return;
  }
  const before = byId("dataset").value;
  const next = datasets.some(({ name }) => name === before) ? before : preferred(datasets, DATASET_VIEW.exec(location.hash)?.[1]);
  replace(byId("dataset"), datasets.map(({ name }) => h("option", { value: name, selected: name === next }, name)));
  await showStarts();
}
