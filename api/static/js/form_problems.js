// What is wrong with the form: listed above its button, marked at the fields, and gone once a field was changed.

import { byId, h, replace } from "./dom.js";

/** Show what the service refused. */
export function showProblems(form, problem) {
  const listed = problem.document?.errors ?? [];
  const lines = listed.map(({ pointer, detail }) => {
    const name = fieldOf(pointer);
    for (const field of fieldsOf(form, name)) field.setAttribute("aria-invalid", "true");
    return h("li", { "data-field": name }, h("b", {}, titleOf(form, name)), ` ${inWords(detail)}`);
  });
  replace(
    byId("form-errors"),
    h("p", {}, problem.document?.title ?? "The search could not be started"),
    lines.length ? h("ul", {}, lines) : h("p", {}, problem.message),
  );
  byId("form-errors").hidden = false;
  const first = listed.flatMap(({ pointer }) => fieldsOf(form, fieldOf(pointer)))[0];
  first?.closest("details")?.setAttribute("open", "");
  first?.focus();
}

/** What the service refused, in one line: each field by the words beside it; what is wrong with the budget, without. */
export function problemWords(problem) {
  const listed = problem.document?.errors ?? [];
  if (!listed.length) return problem.message;
  const title = (name) => (name === "flops_budget" ? "" : `${titleOf(byId("new-search"), name)} `);
  return listed.map(({ pointer, detail }) => `${title(fieldOf(pointer))}${inWords(detail)}.`).join(" ");
}

export function clearProblems(form) {
  byId("form-errors").hidden = true;
  replace(byId("form-errors"));
  for (const field of form.elements) field.removeAttribute("aria-invalid");
}

/** A field was changed: what was wrong with it is no longer known. The others keep their messages. */
export function forgetMended(form, target) {
  for (const field of fieldsOf(form, target.name)) field.removeAttribute("aria-invalid");
  for (const line of byId("form-errors").querySelectorAll("li")) {
    if (line.dataset.field === target.name) line.remove();
  }
  const lines = byId("form-errors").querySelectorAll("li");
  if (!lines.length) clearProblems(form); // also a message that names no field: the request is another one now
}

/** The field that a problem is in: of several budgets, the first has one of its own. */
function fieldOf(pointer) {
  const [, name = "", index] = pointer.split("/");
  if (name === "card") return `${name}.${index}`; // each of several authors is in the same field
  if (name === "flops_budgets") return index === "0" ? "flops_budget" : name;
  return name === "baselines" ? name : pointer.slice(1).replace("/", ".");
}

/** What is wrong with a field, said beside its name: without that name, and as a sentence about it. */
export function inWords(detail) {
  const plain = detail.replace(/^(flops_budget|constraints\.\w+) (?=\d)/, "").replace(/^Value error, /, "").replace(/^Input should /, "must ");
  return plain.replace("greater than or equal to", "at least").replace("less than or equal to", "at most");
}

function fieldsOf(form, name) {
  return name ? [...form.elements].filter((field) => field.name === name) : [];
}

/** The words beside the field; the name of a setting that the form has no field for. */
function titleOf(form, name) {
  const [field] = fieldsOf(form, name);
  const title = name === "baselines" ? field?.closest("fieldset").querySelector("legend") : field?.labels[0];
  return title?.firstChild.textContent.trim() ?? (name || "request");
}
