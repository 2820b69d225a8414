// What the form offers: datasets, weights to start from, what to compare with, and the budgets that are feasible.

import { getBaselines, getDatasets, getFinished, getWeights, planSearch } from "./api.js";
import { byId, h, replace } from "./dom.js";
import * as format from "./format.js";

const RIVALS = ["off-the-shelf", "uniform"]; // what pretrained weights give without a search

let datasets = [];
let weights = []; // names of those that are ready
let range = null; // feasible MACs for the chosen dataset, resolution and start

/** Fill the choices, and keep the budget within what is feasible for them. */
export async function startChoices() {
  byId("dataset").addEventListener("change", showStarts);
  byId("resolution").addEventListener("change", showRange);
  byId("init").addEventListener("change", showRange);
  byId("init").addEventListener("focus", loadStarts); // a search may have ended in the meantime
  byId("budget").addEventListener("input", () => placeSlider(format.parseMacs(byId("budget").value)));
  byId("budget-slider").addEventListener("input", () => {
    if (!range) return;
    byId("budget").value = format.macs(fromSlider(Number(byId("budget-slider").value)));
    byId("budget").dispatchEvent(new Event("change", { bubbles: true })); // whatever was wrong with it is mended
  });
  byId("dataset").addEventListener("focus", loadDatasets); // one may have been added in the meantime
  await Promise.all([loadBaselines(), loadWeights()]);
  await loadDatasets();
}

/** Choose a dataset that is ready; resolves once its budgets are known. */
export async function chooseDataset(name) {
  await loadDatasets();
  byId("dataset").value = name;
  await showStarts();
}

async function loadBaselines() {
  try {
    const published = (await getBaselines()).baselines.map(({ name }) => name);
    const box = (name) => h("label", { class: "check" }, h("input", { type: "checkbox", name: "baselines", value: name }), name);
    replace(byId("baselines"), [...RIVALS, ...published].map(box));
  } catch (problem) {
    replace(byId("baselines"), h("p", { class: "hint" }, problem.message));
  }
}

async function loadWeights() {
  try {
    weights = (await getWeights()).weights.filter(({ state }) => state === "ready").map(({ name }) => name);
  } catch (problem) {
    byId("init").title = problem.message; // without the list, searches can still start from what the service chooses
  }
}

/** What a search can start from: weight sets, and finished searches on the chosen dataset. */
export async function loadStarts() {
  const dataset = byId("dataset").value;
  const starts = [["", "automatic"], ["none", "random weights"], ...weights.map((name) => [name, name])];
  const select = byId("init");
  try {
    const finished = dataset ? (await getFinished(dataset)).searches : [];
    starts.push(...finished.map(({ id, flops_budget: budget }) => [`search:${id}`, `search ${id} (${format.macs(budget)})`]));
  } catch (problem) {
    select.title = problem.message; // as without the list of weights
  }
  if (starts.map(([value]) => value).join() === [...select.options].map(({ value }) => value).join()) return;
  const chosen = select.value;
  replace(select, starts.map(([value, text]) => h("option", { value, selected: value === chosen }, text)));
}

async function showStarts() {
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
  const chosen = byId("dataset").value;
  replace(byId("dataset"), datasets.map(({ name }) => h("option", { value: name, selected: name === chosen }, name)));
  await showStarts();
}

export async function showRange() {
  const dataset = datasets.find(({ name }) => name === byId("dataset").value);
  if (!dataset) return;
  byId("dataset-hint").textContent =
    `${format.counted(dataset.train_images, "training image")} and ${format.counted(dataset.test_images, "test image")}, ` +
    `${format.counted(dataset.classes.length, "class")}, usual size ${dataset.image_size} pixels`;
  const hint = byId("budget-hint");
  const slider = byId("budget-slider");
  [range, hint.textContent] = await feasible(dataset);
  slider.disabled = range === null;
  const wanted = format.parseMacs(byId("budget").value);
  if (range && (wanted === null || isOutside(wanted))) byId("budget").value = format.macs(fromSlider(400), 2);
  placeSlider(format.parseMacs(byId("budget").value));
  byId("budget").dispatchEvent(new Event("change", { bubbles: true })); // what was wrong with it is mended, or another range
}

/** Mark a budget that is not feasible while it is typed, and say what is. */
export function checkBudget() {
  const wanted = format.parseMacs(byId("budget").value);
  const isWrong = range !== null && wanted !== null && isOutside(wanted);
  byId("budget-problem").hidden = !isWrong;
  byId("budget-problem").textContent = isWrong ? `Not feasible here: choose ${rangeInWords(range)}.` : "";
  if (isWrong) byId("budget").setAttribute("aria-invalid", "true");
}

const isOutside = (wanted) => wanted < range.min_macs || wanted > range.max_macs;

/** Both ends are feasible as they are shown. */
const rangeInWords = (within) => `${format.macs(fromSlider(0, within))} to ${format.macs(fromSlider(1000, within))}`;

/** The feasible range for what is chosen in the form, and a sentence about it: whatever the budget, it is the same. */
async function feasible(dataset) {
  const asked = { dataset: dataset.name, flops_budget: format.parseMacs(byId("budget").value) ?? 1 };
  if (byId("resolution").value) asked.resolution = Number(byId("resolution").value);
  if (byId("init").value) asked.init = byId("init").value;
  try {
    const plan = await planSearch(asked).catch((problem) => planWithin(problem, asked));
    const start = plan.init === "none" ? "random weights" : plan.init;
    const feasible = `${rangeInWords(plan.feasible_range)} MACs are feasible`;
    return [plan.feasible_range, `${feasible} (${plan.search_space}, ${plan.resolutions.join(" or ")} pixels, from ${start})`];
  } catch (problem) {
    return [null, problem.message];
  }
}

/** The same with a budget in the middle of the range that the refusal of another one named. */
function planWithin(problem, asked) {
  const found = problem.document?.feasible_range;
  if (!found) throw problem;
  return planSearch({ ...asked, flops_budget: Math.round(Math.sqrt(found.min_macs * found.max_macs)) });
}

function placeSlider(wanted) {
  if (!range || wanted === null) return;
  byId("budget-slider").value = (1000 * Math.log(wanted / range.min_macs)) / Math.log(range.max_macs / range.min_macs);
}

/** The budget at a slider position, on a scale of ratios, rounded to what the field can show, within the range. */
function fromSlider(place, { min_macs: min, max_macs: max } = range) {
  const exact = min * (max / min) ** (place / 1000);
  const step = 10 ** (Math.floor(Math.log10(exact)) - 2);
  const low = Math.ceil(min / step) * step;
  const high = Math.floor(max / step) * step;
  return Math.min(Math.max(Math.round(exact / step) * step, low), high);
}
