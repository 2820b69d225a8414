// Searches that differ only in the seed: each with its result, and how far these spread.

import { h } from "./dom.js";
import * as format from "./format.js";

/** All of them, as GET /searches/{id}/repeats lists them; `current` is the id of the one that is shown. */
export function repeats({ searches, test_top1_pct: spread }, current) {
  const rows = searches.map(({ search_id: id, seed, state, macs, test_top1_pct: top1 }) =>
    h("tr", {},
      h("td", {}, id === current ? String(seed) : h("a", { href: `#/searches/${id}` }, String(seed))),
      h("td", {}, state),
      h("td", {}, macs === null ? "–" : format.macs(macs)),
      h("td", {}, top1 === null ? "–" : format.percent(top1))));
  const titles = ["Seed", "State", "MACs", "Test top-1"].map((title) => h("th", { scope: "col" }, title));
  return h("div", {},
    h("h2", {}, "Repeats"),
    h("table", {}, h("thead", {}, h("tr", {}, titles)), h("tbody", {}, rows)),
    spread && h("p", { class: "hint" }, summary(spread)));
}

function summary({ count, mean, lowest, highest, interval }) {
  if (!interval) return `${format.percent(mean)}, of a single result`;
  const [low, high] = interval.map((bound) => format.percent(bound));
  return `${format.percent(mean)} in the mean of ${count} (95% interval ${low} to ${high}), from ${format.percent(lowest)} to ${format.percent(highest)}`;
}
