// The page: which search is shown, and when to look again.

import { getReady } from "./api.js";
import { showDetail, showWelcome } from "./detail.js";
import { byId, h, replace } from "./dom.js";
import { startForm } from "./form.js";
import { refreshList, startList } from "./list.js";

const LIST_EVERY_MS = 3000;
const READY_EVERY_MS = 15000;

let leave = () => {}; // stops what the shown view does in the background

function route() {
  leave();
  const match = /^#\/searches\/([0-9a-f]+)$/.exec(location.hash);
  leave = match ? showDetail(byId("main"), match[1], refreshList) : showWelcome(byId("main"));
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

/** Run `work` every `everyMs`, never while the page is hidden or the last run still goes on. */
function regularly(work, everyMs) {
  let busy = false;
  setInterval(async () => {
    if (busy || document.hidden) return;
    busy = true;
    await work();
    busy = false;
  }, everyMs);
}

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
