// The form that starts a search. Limits come from the service; none are hard-coded here.

import { createSearch, getDatasets, getFinished, getWeights, planSearch } from "./api.js";
import { byId, h, replace } from "./dom.js";
import * as format from "./format.js";

let datasets = [];
let weights = []; // names of those that are ready
let range = null; // feasible MACs for the chosen dataset, resolution and start

export async function startForm(onStarted) {
  byId("new-search").addEventListener("submit", (event) => submit(event, onStarted));
  byId("dataset").addEventListener("change", showStarts);
  byId("resolution").addEventListener("change", showRange);
  byId("init").addEventListener("change", showRange);
  byId("init").addEventListener("focus", loadStarts); // a search may have ended in the meantime
  byId("budget").addEventListener("input", () => placeSlider(format.parseMacs(byId("budget").value)));
  byId("budget-slider").addEventListener("input", () => {
    if (range) byId("budget").value = format.macs(fromSlider(Number(byId("budget-slider").value)));
  });
  byId("dataset").addEventListener("focus", loadDatasets); // one may have been added in the meantime
  await loadWeights();
  await loadDatasets();
}

async function loadWeights() {
  try {
    weights = (await getWeights()).weights.filter(({ state }) => state === "ready").map(({ name }) => name);
  } catch (problem) {
    byId("init").title = problem.message; // without the list, searches can still start from what the service chooses
  }
}

/** What a search can start from: weight sets, and finished searches on the chosen dataset. */
async function loadStarts() {
  const dataset = byId("dataset").value;
  const starts = [["", "chosen by the images"], ["none", "random weights"], ...weights.map((name) => [name, name])];
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

/** Fill the form for a search that goes on from a finished one; the budget is left to the user. */
export async function goOnFrom(search) {
  await loadDatasets();
  byId("dataset").value = search.dataset;
  await loadStarts();
  byId("init").value = `search:${search.id}`;
  byId("init").closest("details").open = true;
  await showRange();
  byId("budget").focus();
}

async function showStarts() {
  await loadStarts();
  await showRange();
}

async function loadDatasets() {
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

async function showRange() {
  const dataset = datasets.find(({ name }) => name === byId("dataset").value);
  if (!dataset) return;
  byId("dataset-hint").textContent =
    `${format.count(dataset.train_images)} training and ${format.counted(dataset.test_images, "test image")}, ` +
    `${dataset.classes.length} classes, ${dataset.image_size} pixels`;
  const hint = byId("budget-hint");
  const slider = byId("budget-slider");
  [range, hint.textContent] = await feasible(dataset);
  slider.disabled = range === null;
  const wanted = format.parseMacs(byId("budget").value);
  if (range && (wanted === null || wanted < range.min_macs || wanted > range.max_macs)) {
    byId("budget").value = format.macs(fromSlider(400), 2);
  }
  placeSlider(format.parseMacs(byId("budget").value));
}

/** The feasible range for what is chosen in the form, and a sentence about it: whatever the budget, it is the same. */
async function feasible(dataset) {
  const asked = { dataset: dataset.name, flops_budget: format.parseMacs(byId("budget").value) ?? 1 };
  if (byId("resolution").value) asked.resolution = Number(byId("resolution").value);
  if (byId("init").value) asked.init = byId("init").value;
  try {
    const plan = await planSearch(asked).catch((problem) => planWithin(problem, asked));
    const { min_macs: min, max_macs: max } = plan.feasible_range;
    const start = plan.init === "none" ? "random weights" : plan.init;
    const feasible = `${format.macs(min)} to ${format.macs(max)} MACs are feasible`;
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
function fromSlider(place) {
  const exact = range.min_macs * (range.max_macs / range.min_macs) ** (place / 1000);
  const step = 10 ** (Math.floor(Math.log10(exact)) - 2);
  const low = Math.ceil(range.min_macs / step) * step;
  const high = Math.floor(range.max_macs / step) * step;
  return Math.min(Math.max(Math.round(exact / step) * step, low), high);
}

function readConfig(form) {
  const config = {};
  for (const [name, text] of new FormData(form)) {
    if (!text.trim()) continue;
    const isNumber = form.elements[name].type === "number";
    const [group, field] = name.includes(".") ? name.split(".") : [null, name];
    const target = group ? (config[group] ??= {}) : config;
    target[field] = isNumber ? Number(text) : text.trim();
  }
  if (config.flops_budgets) {
    config.flops_budgets = [config.flops_budget, ...config.flops_budgets.split(/[\s,;]+/).filter(Boolean)];
    delete config.flops_budget;
  }
  return config;
}

async function submit(event, onStarted) {
  event.preventDefault();
  const form = event.currentTarget;
  const button = form.querySelector("button[type=submit]");
  const errors = byId("form-errors");
  errors.hidden = true;
  for (const field of form.elements) field.removeAttribute("aria-invalid");
  button.disabled = true;
  try {
    const search = await createSearch(readConfig(form), newKey());
    onStarted(search);
  } catch (problem) {
    showProblems(form, errors, problem);
  } finally {
    button.disabled = false;
  }
}

function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** The field that a problem is in: of several budgets, the first has one of its own. */
function fieldOf(pointer) {
  const [, name, index] = pointer.split("/");
  if (name === "flops_budgets") return index === "0" ? "flops_budget" : name;
  return pointer.slice(1).replace("/", ".");
}

function showProblems(form, box, problem) {
  const listed = problem.document?.errors ?? [];
  for (const { pointer } of listed) {
    form.elements[fieldOf(pointer)]?.setAttribute("aria-invalid", "true");
  }
  const lines = listed.map(({ pointer, detail }) => h("li", {}, h("b", {}, pointer.slice(1) || "body"), ` ${detail}`));
  replace(
    box,
    h("p", {}, problem.document?.title ?? "The search could not be started"),
    lines.length ? h("ul", {}, lines) : h("p", {}, problem.message),
  );
  box.hidden = false;
}
