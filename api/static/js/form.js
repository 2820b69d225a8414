// The form that starts a search. Limits come from the service; none are hard-coded here.

import { createSearch } from "./api.js";
import { keepBudget, showRange } from "./budget_field.js";
import { byId, h, replace } from "./dom.js";
import { chooseDataset, loadDevices, loadStarts, showDefaults, startChoices } from "./form_choices.js";
import { clearProblems, forgetMended, showProblems } from "./form_problems.js";
import { fillForm, mergeConfigs, readConfig } from "./form_values.js";
import { whenReleased } from "./pointer.js";

let isTouched = false; // whether the user has begun to fill the form
let basis = null; // the configuration of a search whose settings are used wherever the form has no field for them

export async function startForm(onStarted) {
  const form = byId("new-search");
  form.addEventListener("submit", (event) => submit(event, onStarted));
  for (const kind of ["input", "change"]) {
    form.addEventListener(kind, ({ target }) => {
      isTouched = true;
      whenReleased(() => forgetMended(form, target));
    });
  }
  await startChoices(() => basis);
}

/** Fill the form for a search on a dataset that is ready. */
export async function searchOn(dataset) {
  clearProblems(byId("new-search")); // they were of another request
  await chooseDataset(dataset);
  byId("budget").focus();
}

/** Choose the dataset that is shown, unless the user has begun to fill the form. */
export async function suggestDataset(name) {
  if (!isTouched && basis === null) await chooseDataset(name);
}

/** Fill the form for a search that goes on from the shared weights of a finished one, with its settings. */
export async function goOnFrom({ id, config }) {
  const { teacher: _, keep_supernet: __, ...settings } = settingsOf(config); // the teacher is the same
  await fillFrom({ ...settings, flops_budgets: [], parent: null, init: `search:${id}` }, id);
  byId("budget").select();
}

/** Fill the form with the settings of a search, to be changed before another one starts. */
export async function cloneSearch({ id, config }) {
  await fillFrom(settingsOf(config), id);
}

/** The configuration with which such a search would be asked for. */
function settingsOf(config) {
  const one = config.repeat_of === null ? config : { ...config, repeat: 1 };
  const first = one.flops_budgets[0] === one.flops_budget ? one : { ...one, flops_budgets: [] };
  const start = first.parent === null ? first : { ...first, parent: null, init: `search:${first.parent}` };
  const { repeat_of: _, ...settings } = start;
  if (!settings.constraints?.device) return settings;
  const { device_table_sha256: __, ...limits } = settings.constraints; // the device may have been measured again
  return { ...settings, constraints: limits };
}

async function fillFrom(settings, id) {
  await chooseDataset(settings.dataset);
  if (byId("dataset").value !== settings.dataset) throw new Error(`dataset ${settings.dataset} no longer exists`);
  await Promise.all([loadStarts(), loadDevices()]);
  clearProblems(byId("new-search"));
  fillForm(byId("new-search"), settings);
  keepBudget();
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
    isTouched = false;
    replace(byId("basis"));
    showDefaults(chosen);
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
