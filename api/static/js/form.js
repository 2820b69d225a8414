// The form that starts a search. Limits come from the service; none are hard-coded here.

import { createSearch } from "./api.js";
import { byId, h, replace } from "./dom.js";
import { checkBudget, chooseDataset, loadStarts, showRange, startChoices } from "./form_choices.js";
import { clearProblems, forgetMended, showProblems } from "./form_problems.js";
import { fillForm, mergeConfigs, readConfig } from "./form_values.js";

let basis = null; // the configuration of a search whose settings are used wherever the form has no field for them

export async function startForm(onStarted) {
  const form = byId("new-search");
  form.addEventListener("submit", (event) => submit(event, onStarted));
  form.addEventListener("input", forgetMended);
  form.addEventListener("change", forgetMended);
  for (const kind of ["input", "change"]) form.addEventListener(kind, checkBudget);
  await startChoices();
}

/** Fill the form for a search on a dataset that is ready. */
export async function searchOn(dataset) {
  clearProblems(byId("new-search")); // they were of another request
  await chooseDataset(dataset);
  byId("budget").focus();
}

/** Fill the form for a search that goes on from a finished one; the budget is left to the user. */
export async function goOnFrom(search) {
  clearProblems(byId("new-search"));
  await chooseDataset(search.dataset);
  byId("init").value = `search:${search.id}`;
  byId("init").closest("details").open = true;
  await showRange();
  byId("budget").focus();
}

/** Fill the form with the settings of a search, to be changed before another one starts. */
export async function cloneSearch({ id, config }) {
  await chooseDataset(config.dataset);
  if (byId("dataset").value !== config.dataset) throw new Error(`dataset ${config.dataset} no longer exists`);
  const one = config.repeat_of === null ? config : { ...config, repeat: 1 };
  const first = one.flops_budgets[0] === one.flops_budget ? one : { ...one, flops_budgets: [] };
  const start = first.parent === null ? first : { ...first, parent: null, init: `search:${first.parent}` };
  const { repeat_of: _, ...settings } = start;
  await loadStarts();
  clearProblems(byId("new-search"));
  fillForm(byId("new-search"), settings);
  showBasis(settings, id);
  await showRange();
  byId("new-search").querySelector("details").open = true;
  byId("budget").focus();
}

function showBasis(settings, id) {
  basis = settings;
  const forget = () => {
    const { dataset } = byId("new-search").elements;
    const chosen = dataset.value;
    byId("new-search").reset();
    clearProblems(byId("new-search"));
    basis = null;
    replace(byId("basis"));
    chooseDataset(chosen);
    dataset.focus();
  };
  replace(byId("basis"), h("p", { class: "notice" }, `With the settings of search ${id}. `,
    h("button", { type: "button", class: "quiet-button", onclick: forget }, "Back to the defaults")));
}

async function submit(event, onStarted) {
  event.preventDefault();
  const form = event.currentTarget;
  const button = form.querySelector("button[type=submit]");
  clearProblems(form);
  button.disabled = true;
  try {
    const asked = readConfig(form);
    onStarted(await createSearch(basis ? mergeConfigs(form, basis, asked) : asked, newKey()));
  } catch (problem) {
    showProblems(form, problem);
  } finally {
    button.disabled = false;
  }
}

function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
