// Between the fields of the form and the configuration of a search. A field is named by its place: "train.epochs".

import * as format from "./format.js";

const BUDGETS = /[\s,;]+/;
const AUTHORS = "card.authors"; // a list, as one text

/** What the form asks for; an empty field asks for nothing. */
export function readConfig(form) {
  const config = {};
  for (const name of fieldNames(form)) {
    const value = valueOf(form, name);
    if (value !== null) place(config, name, value);
  }
  if (config.flops_budgets) {
    config.flops_budgets = [config.flops_budget, ...config.flops_budgets.split(BUDGETS).filter(Boolean)];
    delete config.flops_budget;
  }
  return config;
}

/** `basis`, the configuration of another search, with what the form says in place of all that it has a field for. */
export function mergeConfigs(form, basis, asked) {
  const merged = structuredClone(basis);
  for (const name of fieldNames(form)) place(merged, name, undefined);
  for (const [name, value] of Object.entries(asked)) {
    const isGroup = typeof value === "object" && !Array.isArray(value);
    merged[name] = isGroup ? { ...merged[name], ...value } : value;
  }
  return merged;
}

/** Set every field to what `config` says. */
export function fillForm(form, config) {
  const [, ...further] = config.flops_budgets;
  const shown = { ...config, flops_budget: exact(config.flops_budget), flops_budgets: further.map(exact).join(", ") };
  for (const name of fieldNames(form)) {
    const [group, field] = split(name);
    const value = (group ? shown[group]?.[field] : shown[field]) ?? "";
    if (name === "baselines") for (const box of boxes(form)) box.checked = value.includes(box.value);
    else if (form.elements[name].type === "checkbox") form.elements[name].checked = value === true;
    else form.elements[name].value = name === AUTHORS && value ? value.join(", ") : String(value);
  }
}

const short = (macs) => format.macs(macs, 6);
const exact = (macs) => (format.parseMacs(short(macs)) === macs ? short(macs) : String(macs));
const fieldNames = (form) => new Set([...form.elements].map(({ name }) => name).filter(Boolean));
const split = (name) => (name.includes(".") ? name.split(".") : [null, name]);
const boxes = (form) => form.querySelectorAll("input[name=baselines]");

function valueOf(form, name) {
  if (name === "baselines") {
    const chosen = [...boxes(form)].filter(({ checked }) => checked).map(({ value }) => value);
    return chosen.length ? chosen : null;
  }
  const field = form.elements[name];
  if (field.type === "checkbox") return field.checked || null;
  const text = field.value.trim();
  if (!text) return null;
  if (field.type === "number") return Number(text);
  if (name === AUTHORS) return text.split(",").map((author) => author.trim()).filter(Boolean);
  return { true: true, false: false }[text] ?? text;
}

function place(config, name, value) {
  const [group, field] = split(name);
  const target = group ? (config[group] ??= {}) : config;
  if (value === undefined) delete target[field];
  else target[field] = value;
}
