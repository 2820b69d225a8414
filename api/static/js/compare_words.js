// What is said of searches side by side. Each has a letter.

import * as format from "./format.js";

export const letter = (place) => "ABCDE"[place];

/** Which of two results is ahead, and whether that may be chance. */
export function ahead(difference, ids) {
  let [one, other] = [difference.search_id, difference.other_id].map((id) => letter(ids.indexOf(id)));
  const points = Math.abs(difference.points);
  if (difference.points < 0) [one, other] = [other, one];
  const said = points ? `${one} is ${points.toFixed(2)} points ahead of ${other}` : `${one} and ${other} are equal`;
  return `${said} (standard error ${difference.error_points.toFixed(2)}, ${probability(difference.chance)}): ${difference.may_be_chance ? "this may be chance" : "more than chance"}.`;
}

const probability = (p) => (p < 0.001 ? "p < 0.001" : `p = ${Number(p.toPrecision(2))}`);

/** A setting as people write it: text without quotes, everything else as JSON. */
export const setting = (value) => (typeof value === "string" ? value : value === null ? "–" : JSON.stringify(value));

/** "ir_r1_k5_s1_e3_c24_nl0.25-2" -> "k5 s1 e3 c24 nl0.25-2": what differs between blocks. */
export const short = (notation) => notation.replace(/^(?:(?:ir|ds)_r1|cn)_/, "").replaceAll(" | ", " ").replaceAll("_", " ");

/** Classes by how many images the results differ, most first. */
export function byDifference(classes) {
  const spread = ({ results }) => {
    const correct = results.filter(Boolean).map((result) => result.correct);
    return Math.max(...correct) - Math.min(...correct);
  };
  return classes.filter((one) => spread(one) > 0).toSorted((a, b) => spread(b) - spread(a));
}

/** The rows of the table of figures: a name, and a text for each search. */
export function figures({ searches, latencies_comparable: sameMachine }) {
  const known = (value, write) => (value === null || value === undefined ? "–" : write(value));
  const row = (name, of) => [name, searches.map(of)];
  const formsOf = (field) => [...new Set(searches.flatMap((search) => Object.keys(search[field])))];
  const timed = searches.filter((search) => Object.keys(search.latency_ms).length).length;
  const machines = timed > 1 && !sameMachine ? ", on different machines" : "";
  return [
    row("State", (search) => search.state),
    row("Dataset", (search) => search.dataset),
    row("Labels", ({ labels }) => Object.entries(labels).map((pair) => pair.join(":")).join(", ")),
    row("Test top-1", (search) => known(search.test_top1_pct, format.percent)),
    row("95% interval", (search) => known(search.test_top1_low_pct, (low) => `${low.toFixed(1)} to ${search.test_top1_high_pct.toFixed(1)}%`)),
    row("Test images", (search) => known(search.test_images, format.count)),
    row("Budget, MACs", (search) => format.macs(search.flops_budget)),
    row("MACs", (search) => known(search.macs, (macs) => format.macs(macs, 4))),
    row("Parameters", (search) => known(search.params, (params) => format.macs(params, 4))),
    row("Resolution, pixels", (search) => known(search.resolution, format.count)),
    row("Activations at their peak", (search) => known(search.peak_activation_bytes, format.bytes)),
    ...formsOf("file_bytes").map((form) => row(`File: ${form}`, (search) => known(search.file_bytes[form], format.bytes))),
    ...formsOf("latency_ms").map((form) => row(`Latency: ${form}, 1 image${machines}`, (search) => known(search.latency_ms[form]?.["1"], (ms) => `${ms.toFixed(2)} ms`))),
    row("Search time", (search) => known(search.search_s, format.duration)),
    row("CPU time", (search) => format.duration(search.compute_s)),
  ].filter(([name, texts]) => name !== "Labels" || texts.some(Boolean));
}
