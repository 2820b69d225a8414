// What a result was compared with: the sentence of it first, then every baseline beside the result.

import { h } from "./dom.js";
import * as format from "./format.js";
import { table } from "./parts.js";
import { besidePlain, titleOf, verdict } from "./rivals.js";

const TITLE = "Was it worth a search?";
const TITLES = ["network", "test top-1", "test images right", "MACs", "parameters", "pixels", "passes"];

/** The result beside its baselines; null if there is nothing to say. */
export function baselines({ result, config }) {
  const plain = result && besidePlain(result);
  if (!result?.baselines.length) return plain && h("div", {}, h("h2", {}, TITLE), h("p", {}, plain));
  const images = result.test_images;
  const row = (name, top1, correct, { macs, params }, pixels, epochs) =>
    [name, format.percent(top1), `${format.count(correct)} of ${format.count(images)}`, format.macs(macs, 4), format.macs(params, 4), pixels, epochs];
  const found = result.architecture;
  const own = row(h("b", {}, "the result"), found.test_top1_pct, result.test_correct, found, pixelsOf(found), config.train.epochs);
  const scored = result.baselines.filter((one) => one.test_correct !== null);
  const rows = scored.map((one) => row(titleOf(one), one.test_top1_pct, one.test_correct, one, one.resolution ?? pixelsOf(one), one.epochs));
  const lost = result.baselines.filter((one) => one.test_correct === null);
  const sentence = verdict(result);
  return h("div", {}, h("h2", {}, TITLE),
    plain && h("p", {}, plain),
    sentence && h("p", {}, sentence),
    table("Baselines", TITLES, [own, ...rows]),
    lost.map((one) => h("p", { class: "hint" }, `${titleOf(one)}: no score, because ${one.problem}.`)));
}

/** The resolution that an architecture string begins with. */
const pixelsOf = ({ arch_string: text }) => Number(/^in(\d+)/.exec(text)[1]);
