// Which searches of the list are chosen to be compared, and the button that compares them.

import { byId, h } from "./dom.js";
import * as format from "./format.js";

const LEAST = 2;
const MOST = 5;
const chosen = new Set(); // ids, in the order in which they were chosen

export function startChoice() {
  byId("compare").addEventListener("click", () => {
    location.hash = `#/compare/${[...chosen].join(",")}`;
    byId("main").focus();
  });
  byId("compare-none").addEventListener("click", () => {
    chosen.clear();
    show();
    byId("compare-hint").focus(); // the button is gone
  });
}

/** The checkbox of a search in the list. */
export function choice(search) {
  const change = ({ currentTarget: box }) => {
    if (box.checked) chosen.add(search.id);
    else chosen.delete(search.id);
    show();
  };
  const name = `Compare ${search.dataset}, at most ${format.macs(search.flops_budget)} MACs, ${search.id.slice(0, 6)}`;
  return h("input", { type: "checkbox", id: `choose-${search.id}`, class: "choose", "aria-label": name, checked: chosen.has(search.id), disabled: isFull(search.id), onchange: change });
}

/** Show what is chosen; `listed` are the searches of the list, which `isWhole` if there are no others. */
export function showChoice(listed, isWhole) {
  const ids = new Set(listed.map(({ id }) => id));
  if (isWhole) for (const id of [...chosen]) if (!ids.has(id)) chosen.delete(id); // deleted in the meantime
  byId("choice").hidden = listed.length < LEAST && chosen.size === 0;
  show();
}

const isFull = (id) => chosen.size >= MOST && !chosen.has(id);

/** What is said of so many chosen searches. */
export function hint(count) {
  if (count === 0) return "Tick two to five searches to see them side by side.";
  if (count < LEAST) return "1 chosen: tick at least one more.";
  return `${count} chosen${count >= MOST ? ", which is the most" : ""}.`;
}

function show() {
  const words = hint(chosen.size);
  if (byId("compare-hint").textContent !== words) byId("compare-hint").textContent = words; // it is read out
  byId("compare").disabled = chosen.size < LEAST;
  byId("compare-none").hidden = chosen.size === 0;
  for (const box of document.querySelectorAll("#searches .choose")) {
    const id = box.id.slice("choose-".length);
    box.checked = chosen.has(id);
    // As the list builds it next time, which then has nothing to change.
    box.toggleAttribute("checked", box.checked);
    box.disabled = isFull(id);
  }
}
