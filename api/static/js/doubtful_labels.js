// Images that are perhaps labelled wrong: a list for a person to look through, fetched when it is asked for.

import * as api from "./api.js";
import { h, replace } from "./dom.js";
import * as format from "./format.js";
import { refusalWords } from "./parts.js";

const AT_ONCE = 24; // pictures

/** The section of a search that has a list of doubtful labels; null if it has none. */
export function doubtfulLabels(search) {
  if (!search.links["doubtful-labels"]) return null;
  const list = h("div", {});
  const button = h("button", { type: "button", onclick: show }, "Show the images");
  replace(list, button);

  async function show() {
    button.disabled = true;
    try {
      const { labels } = await api.getDoubtfulLabels(search);
      replace(list, labels.length ? [pictures(labels), correction(search, list)] : h("p", { class: "hint" }, "No label is doubtful to this network."));
      list.querySelector("ol")?.focus();
    } catch (problem) {
      button.disabled = false;
      replace(list, button, h("p", { class: "notice", role: "alert" }, problem.message));
    }
  }

  return [
    h("h2", {}, "Doubtful labels"),
    h("p", { class: "hint" }, "Training and test images that look like another class to this network, the most doubtful first. Some are labelled wrong; others are only hard to distinguish."),
    list,
  ];
}

function pictures(labels) {
  const shown = h("ol", { class: "doubtful-list", tabindex: -1, "aria-label": "Images with doubtful labels" });
  const more = h("button", { type: "button", onclick: add });

  function add() {
    const from = shown.children.length;
    shown.append(...labels.slice(from, from + AT_ONCE).map(picture));
    const left = labels.length - shown.children.length;
    more.textContent = `Show ${Math.min(AT_ONCE, left)} more of ${left}`;
    more.hidden = left === 0;
    if (from > 0) shown.children[from].focus();
  }

  add();
  return [shown, more];
}

function picture({ image, split, label, label_pct, looks_like, looks_like_pct, picture: source }) {
  return h("li", { tabindex: -1 },
    source ? h("img", { src: source, alt: `labelled ${label}`, loading: "lazy" }) : h("p", { class: "hint" }, "no picture"),
    h("p", {}, h("b", {}, label), ` (${format.percent(label_pct)})`),
    h("p", {}, "looks like ", h("b", {}, looks_like), ` (${format.percent(looks_like_pct)})`),
    h("p", { class: "hint file" }, `${split} image ${image}`),
    h("label", {}, h("input", { type: "checkbox", value: image }), " leave out"));
}

/** What makes another dataset without the images that are marked in `list`. */
function correction(search, list) {
  const name = h("input", { value: `${search.dataset}-corrected`, autocomplete: "off", spellcheck: "false" });
  const said = h("p", { class: "hint", role: "status" });

  async function make(event) {
    event.preventDefault();
    const marked = [...list.querySelectorAll("input:checked")].map(({ value }) => value);
    if (marked.length === 0) return replace(said, "Mark the images to leave out first.");
    try {
      const made = await api.correctDataset(search.dataset, name.value, marked);
      replace(said, `Dataset ${made.name} has ${format.count(made.train_images)} training and ${format.count(made.test_images)} test images. Start a search on it beside this one.`);
    } catch (problem) {
      replace(said, refusalWords(problem));
    }
  }

  return h("form", { class: "correction", onsubmit: make }, h("label", {}, "Name of the corrected dataset ", name), h("button", {}, "Make a dataset without the marked images"), said);
}
