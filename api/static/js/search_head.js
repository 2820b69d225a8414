// The head of the page of a search: what it is, and what can be done with it.

import * as api from "./api.js";
import { h } from "./dom.js";
import { cloneSearch, goOnFrom } from "./form.js";
import * as format from "./format.js";
import { FINAL } from "./waiting.js";

export const RANDOM = "random weights";

export function head(search, { onChange }) {
  const message = h("span", { class: "hint", role: "status" });
  const act = async (work, done) => {
    try {
      await work();
      done();
    } catch (problem) {
      message.textContent = problem.message;
    }
  };
  const ask = (request, title, style, done) => !search.links[request] ? null
    : h("button", { type: "button", class: style, onclick: () => act(() => api.ask(search, request), () => { message.textContent = done; onChange(); }) }, title);
  const parent = search.supernet ? search.id : search.budgets[0]?.search_id; // of several budgets, the first kept the shared weights
  const another = () => act(async () => goOnFrom({ ...search, id: parent }), () => {});
  const remove = h("button", { type: "button", class: "quiet-button", onclick: () => {
    if (confirm(`Delete search ${search.id} and its files?`)) act(() => api.deleteSearch(search.id), () => { location.hash = "#/"; });
  } }, "Delete");
  return h(
    "div",
    { class: "detail-head" },
    h("div", {}, h("h1", {}, search.dataset, h("span", { class: "at" }, ` within ${format.macs(search.flops_budget)} MACs`)),
      h("p", { class: "hint" }, h("code", {}, search.id), " · created ",
        h("time", { datetime: search.created_at, "aria-live": "off" }, format.ago(search.created_at)),
        ` · seed ${search.config.seed} · algorithm ${search.config.algorithm} · started from ${startOf(search)}`)),
    h("div", { class: "actions" },
      h("span", { class: `badge large ${search.state}` }, search.state),
      search.links.report ? h("a", { class: "primary button", href: api.address(search.links.report) }, "Report") : null,
      search.links.checkpoint ? mainDownload(search) : null,
      search.result && parent
        ? h("button", { type: "button", class: "quiet-button", title: "Fill the form for a search that starts from the shared weights of this one", onclick: another }, "Another budget") : null,
      h("button", { type: "button", class: "quiet-button", title: "Fill the form with the settings of this search", onclick: () => act(() => cloneSearch(search), () => {}) }, "Clone"),
      ask("resume", "Resume", "quiet-button", "resuming from the last run state"),
      ask("pause", "Pause", "quiet-button", "pausing: the best network so far is kept"),
      ask("cancel", "Cancel", "danger", "cancelling: the best network so far is kept"),
      FINAL.includes(search.state) ? remove : null,
      message),
  );
}

/** Bring up to date what `head` said about time, without replacing a button that has the focus. */
export function refreshAge(part, search) {
  const time = part.querySelector("time");
  if (time) time.textContent = format.ago(search.created_at);
}

/** The file to take first: the bundle has everything; searches of earlier versions may have the weights only. */
function mainDownload({ links, result }) {
  const [format, title] = result?.files?.bundle ? ["&format=bundle", "Download bundle"] : ["", "Download model"];
  return h("a", { class: "primary button", href: api.address(`${links.checkpoint}${format}`), download: true }, title);
}

/** The weights that a search starts from; searches of earlier versions do not say. */
export const startOf = ({ config }) =>
  config.parent ? `search ${config.parent}` : (config.init ?? "none") === "none" ? RANDOM : config.init;
