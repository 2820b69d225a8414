// The detail of an event as a line of text: figures with their units, and no brackets of a programming language.

import * as format from "./format.js";

const UNITS = { pct: "%", s: " s", bytes: " bytes", macs: " MACs" }; // by the last part of a name

/** {step: 3, val_top1_pct: 71.234} -> "step 3 · val top1 71.23%"; what is nested stands in parentheses. */
export const detailText = (detail, between = " · ") => Object.entries(detail).map(pair).join(between);

function pair([name, value]) {
  const end = name.lastIndexOf("_");
  const unit = UNITS[name.slice(end + 1)];
  const measured = end > 0 && unit && typeof value === "number";
  return `${(measured ? name.slice(0, end) : name).replaceAll("_", " ")} ${text(value)}${measured ? unit : ""}`;
}

function text(value) {
  if (value === null) return "none";
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (Array.isArray(value)) return value.map(text).join(", ") || "none";
  if (typeof value === "object") return `(${detailText(value, ", ")})`;
  if (typeof value !== "number") return value;
  return Number.isInteger(value) ? format.count(value) : String(Number(value.toPrecision(4)));
}
