// The budgets that are feasible: in words, and along a slider.

import * as format from "./format.js";

/** Whether a suggestion may take the place of `text`: of nothing that a user typed, or may be about to type. */
export const mayReplace = (text, suggested, isFocused) => (text.trim() ? text === suggested : !isFocused);

/** What a search within its budget would be: "47M: networks of lite at 80, 96 or 112 pixels, starting from …". */
export function planInWords({ flops_budget: macs, search_space: space, resolutions, init }) {
  const start = init === "none" ? "random weights" : init;
  const [largest, ...others] = resolutions.toSorted((a, b) => b - a);
  const pixels = others.length ? `${others.reverse().join(", ")} or ${largest}` : largest;
  return `${format.macs(macs, 6)}: networks of ${space} at ${pixels} pixels, starting from ${start}.`;
}

/** Both ends are feasible as they are shown. */
export const rangeInWords = (within) => `${format.macs(fromSlider(0, within))} to ${format.macs(fromSlider(1000, within))}`;

/** The budget at a slider position, on a scale of ratios, rounded to what the field can show, within the range. */
export function fromSlider(place, { min_macs: min, max_macs: max }) {
  const exact = min * (max / min) ** (place / 1000);
  const step = 10 ** (Math.floor(Math.log10(exact)) - 2);
  const low = Math.ceil(min / step) * step;
  const high = Math.floor(max / step) * step;
  return Math.min(Math.max(Math.round(exact / step) * step, low), high);
}

/** The position of a budget, from 0 to 1000. */
export const toSlider = (macs, { min_macs: min, max_macs: max }) => (1000 * Math.log(macs / min)) / Math.log(max / min);
