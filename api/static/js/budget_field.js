// The budget field: what is feasible for the choices made, and what a search for the budget would be. The service says
// both, for every budget again. What a user typed is never changed; an empty field gets a suggestion.

import { planSearch } from "./api.js";
import { byId } from "./dom.js";
import { fromSlider, mayReplace, planInWords, rangeInWords, toSlider } from "./feasible_range.js";
import { problemWords } from "./form_problems.js";
import * as format from "./format.js";
import { whenReleased } from "./pointer.js";

const PAUSE_MS = 300; // after the last key
const FIRST_MACS_PER_PIXEL = 5000; // a first guess for the service to plan; it need not be feasible

let range = null; // feasible MACs for what is chosen
let suggested = null; // what this form put into the field
let newest = 0; // the number of the last request: answers to earlier ones are late
let pause = null;
let choices = () => null; // what else the search would be asked for; null: not known yet

/** `chosen` returns the dataset with its `default_resolution`, and what else a search would be `asked` for. */
export function startBudget(chosen) {
  choices = chosen;
  byId("budget").addEventListener("input", () => {
    keepBudget();
    placeSlider(format.parseMacs(byId("budget").value));
    showRangeSoon();
  });
  byId("budget-slider").addEventListener("input", () => {
    if (!range) return;
    byId("budget").value = format.macs(fromSlider(Number(byId("budget-slider").value), range));
    byId("budget").dispatchEvent(new Event("input", { bubbles: true })); // whatever was wrong with it is mended
  });
}

/** What is shown is of earlier choices: it stays, faded, until the service has answered. */
export const markLate = () => byId("budget-hint").classList.add("late");

/** The same as `showRange`, once nothing was typed for a moment. */
export function showRangeSoon() {
  newest += 1;
  markLate();
  whenReleased(() => showProblem("")); // of other choices
  clearTimeout(pause);
  pause = setTimeout(showRange, PAUSE_MS);
}

/** Forget what was suggested or typed: the next range comes with a suggestion. */
export function forgetBudget() {
  byId("budget").value = "";
}

/** Treat what is in the field as typed. */
export function keepBudget() {
  suggested = null;
}

/** Show what is feasible, and whether the budget is. */
export async function showRange() {
  clearTimeout(pause);
  const chosen = choices();
  if (!chosen) return;
  const number = (newest += 1);
  markLate();
  const field = byId("budget");
  const isFree = () => mayReplace(field.value, suggested, document.activeElement === field);
  let answer = await plan(chosen, isFree() ? guess(chosen) : format.parseMacs(field.value));
  if (number === newest && answer.range && isFree()) {
    suggest(format.macs(fromSlider(400, answer.range), 2));
    answer = await plan(chosen, format.parseMacs(suggested));
  }
  if (number === newest) whenReleased(() => number === newest && show(answer, chosen.asked));
}

/** What was selected as a whole, as by Tab, stays so: the next key replaces the new text as it would have the old one. */
function suggest(text) {
  const field = byId("budget");
  const isSelected = document.activeElement === field && field.selectionStart === 0 && field.selectionEnd === field.value.length;
  field.value = suggested = text;
  if (isSelected) field.select();
}

const guess = ({ dataset, asked }) => FIRST_MACS_PER_PIXEL * (asked.resolution ?? dataset.default_resolution ?? dataset.image_size) ** 2;

const NO_NUMBER = "That is no number of MACs: write one such as 450k, 12M or 1.5G.";

/** {range, hint, problem} for a search within `macs`; null: there is no such number yet, so only the range is asked for. */
async function plan(chosen, macs) {
  const request = { ...chosen.asked, flops_budget: macs ?? guess(chosen) };
  try {
    const planned = await planSearch(request);
    return { range: planned.feasible_range, hint: macs === null ? "" : planInWords(planned), problem: "" };
  } catch (problem) {
    const found = problem.document?.feasible_range ?? null;
    if (!found) return { range: null, hint: problemWords(problem), problem: "" };
    return { range: found, hint: "", problem: macs === null ? "" : problemWords(problem) };
  }
}

function show(answer, asked) {
  const field = byId("budget");
  range = answer.range;
  byId("budget-slider").disabled = range === null;
  placeSlider(format.parseMacs(field.value));
  const within = range && `${rangeInWords(range)} MACs are feasible${asked.resolution ? ` at ${asked.resolution} pixels` : ""}`;
  byId("budget-hint").textContent = within ? `${within}. ${answer.hint}` : answer.hint;
  byId("budget-hint").classList.remove("late");
  showProblem(answer.problem);
}

/** Mark the field with what is wrong, unless it is no number at all; "": nothing is known to be wrong. */
function showProblem(problem) {
  const field = byId("budget");
  const isWord = field.value.trim() !== "" && format.parseMacs(field.value) === null;
  const said = isWord ? NO_NUMBER : problem;
  byId("budget-problem").hidden = !said;
  byId("budget-problem").textContent = said;
  if (said) field.setAttribute("aria-invalid", "true");
  else field.removeAttribute("aria-invalid");
}

function placeSlider(wanted) {
  if (!range || wanted === null) return;
  byId("budget-slider").value = toSlider(wanted, range);
}
