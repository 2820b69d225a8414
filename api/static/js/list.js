// The list of searches, newest first.

import { listSearches } from "./api.js";
import { choice, showChoice, startChoice } from "./compare_choice.js";
import { byId, h, refresh } from "./dom.js";
import * as format from "./format.js";

const SHOWN_OF_ID = 6; // two searches of the same dataset and budget differ in it
let pages = 1; // how many pages are shown; "Show older" adds one

export function startList() {
  startChoice();
  byId("state-filter").addEventListener("change", () => {
    pages = 1;
    refreshList();
  });
  byId("more-searches").addEventListener("click", () => {
    pages += 1;
    refreshList();
  });
}

export async function refreshList() {
  const list = byId("searches");
  const searches = [];
  let token = null;
  try {
    for (let page = 0; page < pages; page += 1) {
      const answer = await listSearches(byId("state-filter").value, token);
      searches.push(...answer.searches);
      token = answer.next_page_token;
      if (!token) break;
    }
  } catch (problem) {
    refresh(list, h("li", { class: "empty" }, problem.message));
    return;
  }
  byId("more-searches").hidden = !token;
  const focused = list.contains(document.activeElement) ? document.activeElement.id : "";
  refresh(list, searches.length ? searches.map(row) : h("li", { class: "empty" }, "None yet. Start one above."));
  if (focused && !list.contains(document.activeElement)) document.getElementById(focused)?.focus(); // its row was built again
  showChoice(searches, !token && !byId("state-filter").value);
}

function row(search) {
  const path = `#/searches/${search.id}`;
  const current = location.hash === path;
  const fraction = search.progress?.fraction ?? 0;
  const live = ["running", "pausing", "paused", "cancelling"].includes(search.state);
  return h(
    "li",
    { class: "search-item" },
    choice(search),
    h(
      "a",
      { href: path, id: `open-${search.id}`, class: "search-row", "aria-current": current ? "page" : null },
      h("span", { class: "search-name" }, search.dataset, h("span", { class: "at" }, ` ≤ ${format.macs(search.flops_budget)} · `, h("code", {}, search.id.slice(0, SHOWN_OF_ID)))),
      h("span", { class: `badge ${search.state}` }, search.state),
      h("span", { class: "search-note" }, note(search)),
      h("span", { class: "search-time" }, format.ago(search.created_at)),
      live ? h("span", { class: "bar thin", share: fraction, role: "presentation" }) : null,
    ),
  );
}

function note(search) {
  if (search.test_top1_pct != null) return `${format.percent(search.test_top1_pct)} top-1 · ${format.macs(search.macs)} MACs`;
  if (search.state === "running") return `${search.phase ?? "starting"} · ${Math.floor(100 * (search.progress?.fraction ?? 0))}%`;
  if (search.queue) return `number ${search.queue.position} in the queue`;
  return "no result";
}
