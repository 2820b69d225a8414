// The page: which view is shown, and when it is refreshed.

import { getReady } from "./api.js";
import { showComparison } from "./compare.js";
import { showDataset, showDatasets } from "./datasets.js";
import { showDetail, showWelcome } from "./detail.js";
import { showDevices } from "./devices.js";
import { byId, h, replace } from "./dom.js";
import { startForm } from "./form.js";
import { refreshList, startList } from "./list.js";
import { showModel, showModels } from "./models.js";
import { showMissing } from "./parts.js";
import { signedIn } from "./session.js";
import { showWeights } from "./weights.js";

const LIST_EVERY_MS = 3000;
const READY_EVERY_MS = 15000;

let leave = () => {}; // stops the background updates of the current view

const VIEWS = [
  [/^#\/searches\/([0-9a-f]+)$/, (main, id) => showDetail(main, id, refreshList)],
  [/^#\/searches\/(.+)$/, missing("search")],
  [/^#\/compare\/([0-9a-f]+(?:,[0-9a-f]+){1,4})$/, showComparison],
  [/^#\/datasets\/([A-Za-z0-9._-]+)$/, showDataset],
  [/^#\/datasets\/(.+)$/, missing("dataset")],
  [/^#\/datasets$/, showDatasets],
  [/^#\/weights$/, showWeights],
  [/^#\/devices$/, showDevices],
  [/^#\/models$/, showModels],
  [/^#\/models\/([A-Za-z0-9._-]+)$/, showModel],
  [/^#\/models\/(.+)$/, missing("model")],
  [/^(?:#\/?)?$/, showWelcome],
  [/^#\/?(.*)$/, missing("page")],
];

/** A view of what cannot exist, because nothing can have such a name. */
function missing(kind) {
  return (main, name) => {
    showMissing(main, kind, name);
    return () => {};
  };
}

function route() {
  leave();
  const [pattern, show] = VIEWS.find(([candidate]) => candidate.test(location.hash));
  leave = show(byId("main"), pattern.exec(location.hash)[1]);
  refreshList();
}

async function showReadiness() {
  const light = byId("service");
  try {
    await getReady();
    replace(light, h("span", { class: "light ok" }), "ready");
  } catch (problem) {
    replace(light, h("span", { class: "light bad" }), problem.message);
  }
}

/** Run `work` every `everyMs`, except while the page is hidden or the previous run has not finished. */
function regularly(work, everyMs) {
  let busy = false;
  setInterval(async () => {
    if (busy || document.hidden) return;
    busy = true;
    await work();
    busy = false;
  }, everyMs);
}

// Its address would be taken for a view.
document.querySelector(".skip-link").addEventListener("click", (event) => {
  event.preventDefault();
  byId("main").focus();
});
// A file that misses the place for it would replace the page.
for (const kind of ["dragover", "drop"]) addEventListener(kind, (event) => event.preventDefault());
await signedIn();
startForm((search) => {
  location.hash = `#/searches/${search.id}`;
  byId("main").focus();
});
startList();
addEventListener("hashchange", route);
route();
showReadiness();
regularly(refreshList, LIST_EVERY_MS);
regularly(showReadiness, READY_EVERY_MS);
