// Models: what their aliases stand for, and stood for before; promote a result, and roll back.

import * as api from "./api.js";
import { h, replace } from "./dom.js";
import * as format from "./format.js";
import { notice, refusalWords, showMissing, table } from "./parts.js";

const ALIAS_TITLES = ["alias", "search", "dataset", "top-1", "MACs", "promoted", "note", "actions"];
const HISTORY_TITLES = ["in use", "number", ...ALIAS_TITLES.slice(0, -1)];

/** Show all models in `main`. */
export function showModels(main) {
  document.title = "Models · AutoNL";
  const list = h("section", { class: "part" });
  const hint = h("p", { class: "hint" }, "Names under which results are used: what uses ", h("code", {}, "products@prod"),
    " gets the network that was promoted last. Promote a result on the page of its search.");
  replace(main, h("section", { class: "part" }, h("h1", {}, "Models"), hint), list);
  api.getModels().then(
    ({ models }) => replace(list, models.length
      ? table("Models", ALIAS_TITLES.slice(0, -1), models.flatMap(({ aliases }) => aliases.map((one) => [named(one), ...facts(one)])))
      : h("p", { class: "hint" }, "No models yet.")),
    (problem) => replace(list, notice(problem)));
  return () => {};
}

/** Show one model in `main`: what its aliases stand for, with what undoes that, and its history. */
export function showModel(main, name) {
  document.title = `Model ${name} · AutoNL`;
  const said = h("p", { class: "hint", role: "status" });
  const content = h("section", { class: "part" });
  replace(main, h("section", { class: "part" }, h("h1", {}, `Model ${name}`), said), content);

  async function show() {
    try {
      const { aliases, history } = await api.getModel(name);
      const changed = (message) => {
        said.textContent = message;
        return show();
      };
      replace(content, table("Aliases", ALIAS_TITLES, aliases.map((one) => [one.alias, ...facts(one), actions(one, changed)])),
        h("h2", {}, "History"),
        table("History", HISTORY_TITLES, history.map((one) => [one.is_current ? "now" : "", one.number, one.alias, ...facts(one)])));
    } catch (problem) {
      if (problem.document?.status === 404) showMissing(main, "model", name);
      else replace(content, notice(problem));
    }
  }

  show();
  return () => {};
}

const named = ({ model, alias }) => h("a", { href: `#/models/${model}` }, `${model}@${alias}`);

function facts({ search_id: id, links, dataset, test_top1_pct: top1, macs, promoted_at: at, restores, note }) {
  const back = restores ? `back to number ${restores}` : null;
  const search = links.search ? h("a", { href: `#/searches/${id}` }, h("code", {}, id)) : `${id} (deleted)`;
  return [search, dataset, top1 === null ? null : format.percent(top1), macs === null ? null : format.macs(macs),
    h("time", { datetime: at }, format.ago(at)), [back, note].filter(Boolean).join("; ")];
}

function actions(one, changed) {
  const download = h("a", { class: "button quiet-button", href: `${api.address(one.links.checkpoint)}?format=bundle`, download: true }, "Download bundle");
  const undo = h("button", { type: "button", class: "quiet-button", onclick: () => act(() => api.rollBack(one), `${one.alias} was rolled back`) }, "Roll back");

  async function act(work, done) {
    undo.disabled = true;
    try {
      await work();
      await changed(done);
    } catch (problem) {
      await changed(problem.message);
    }
  }

  return h("div", { class: "actions" }, download, one.links.rollback ? undo : null);
}

/** The section of a search that can be promoted; null of one that cannot. */
export function promotion(search) {
  if (search.state !== "succeeded" || !search.links.checkpoint) return null;
  const model = h("input", { required: true, value: search.dataset, autocomplete: "off", spellcheck: false });
  const alias = h("input", { required: true, value: "prod", autocomplete: "off", spellcheck: false });
  const note = h("input", { placeholder: "why, for people", maxlength: 1000, autocomplete: "off" });
  const said = h("p", { class: "hint", role: "status" });

  async function promote(event) {
    event.preventDefault();
    try {
      const made = await api.promote(model.value.trim(), alias.value.trim(), search.id, note.value);
      replace(said, named(made), " stands for this search from now on.");
    } catch (problem) {
      replace(said, refusalWords(problem));
    }
  }

  return [
    h("h2", {}, "Use it"),
    h("p", { class: "hint" }, "Promote this result: what downloads the alias gets this network from then on. It can be rolled back."),
    h("form", { class: "promotion", onsubmit: promote },
      h("label", {}, "Model ", model), h("label", {}, "Alias ", alias), h("label", {}, "Note ", note),
      h("button", { class: "primary" }, "Promote"), said),
  ];
}
