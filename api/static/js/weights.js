// Weight sets: what they are of, where they come from, and whether they can be used.

import * as api from "./api.js";
import { h, refresh, replace } from "./dom.js";
import * as format from "./format.js";
import { badge, notice, regularly, table } from "./parts.js";

const TITLES = ["name", "state", "origin", "network", "classes", "pixels", "top-1", "licence"];

/** Show all weight sets in `main`; returns a function that stops the updates. */
export function showWeights(main) {
  document.title = "Weights · AutoNL";
  const list = h("section", { class: "part" });
  const hint = h("p", { class: "hint" }, "Trained weights that a network can start from. Add your own: ", h("code", {}, "autonl weights add NAME FILE"));
  replace(main, h("section", { class: "part" }, h("h1", {}, "Weights"), hint), list);
  const update = async () => {
    const { weights } = await api.getWeights();
    const refused = weights.filter(({ state }) => state === "refused").map(({ name }) => api.getWeightSet(name)); // lists do not say why
    refresh(list, table("Weights", TITLES, weights.map(row)), (await Promise.all(refused)).map(refusal));
    return weights.some(({ state }) => state === "checking");
  };
  return regularly(update, (problem) => replace(list, notice(problem)));
}

/** Why a set cannot be used. */
const refusal = ({ name, problems }) =>
  h("div", {}, h("h2", {}, `Why ${name} is refused`), h("ul", {}, problems.map(({ detail }) => h("li", {}, format.sentence(detail)))));

function row(weights) {
  const { name, state, origin, network, num_classes: classes, resolution, licence } = weights;
  return [name, badge(state), origin, network, classes, resolution, format.percent(weights.top1_pct, 1), licence];
}
