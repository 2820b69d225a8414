// Datasets: list them, and show one with its classes and the findings of its check.

import * as api from "./api.js";
import { h, refresh, replace } from "./dom.js";
import { findingCount, findingTitle } from "./finding_words.js";
import { searchOn, suggestDataset } from "./form.js";
import { chooseDataset, loadDatasets } from "./form_choices.js";
import * as format from "./format.js";
import { badge, notice, regularly, showMissing, table } from "./parts.js";
import { readings } from "./readings.js";
import { uploadPart, wasAwaited } from "./upload.js";

const SHOWN_CLASSES = 24;
const PAIRED = ["duplicates_across_splits", "duplicates_kept"]; // findings that are about pairs

/** Show all datasets in `main`; returns a function that stops the updates. */
export function showDatasets(main) {
  document.title = "Datasets · AutoNL";
  const list = h("section", { class: "part" });
  replace(main, h("section", { class: "part" }, h("h1", {}, "Datasets")), uploadPart(), list);
  const update = async () => {
    const { datasets } = await api.getDatasets();
    refresh(list, table("Datasets", ["name", "state", "classes", "training images", "test images", "pixels"], datasets.map(row)));
    return datasets.some(({ state }) => state === "checking");
  };
  return regularly(update, (problem) => replace(list, notice(problem)));
}

/** Show the dataset `name` in `main`; returns a function that stops the updates. */
export function showDataset(main, name) {
  document.title = `Dataset ${name} · AutoNL`;
  const parts = Object.fromEntries(["head", "readings", "problems", "classes"].map((part) => [part, h("section", { class: "part" })]));
  replace(parts.head, h("h1", {}, name)); // until the first answer
  replace(main, Object.values(parts));
  let shown = null; // what is shown is kept while it is the same, with what a user opened in it
  const update = async () => {
    const dataset = await api.getDataset(name);
    const now = JSON.stringify(dataset);
    if (now !== shown) {
      replace(parts.head, head(dataset));
      replace(parts.readings, readings(dataset));
      replace(parts.problems, problems(dataset));
      replace(parts.classes, classes(dataset));
    }
    shown = now;
    if (dataset.state === "ready" && wasAwaited(name)) chooseDataset(name);
    else if (dataset.state === "ready") suggestDataset(name);
    return dataset.state === "checking";
  };
  return regularly(update, (problem) => {
    if (problem.document?.status === 404) showMissing(main, "dataset", name);
    else replace(parts.head, notice(problem));
  });
}

function row(dataset) {
  const link = h("a", { href: `#/datasets/${dataset.name}` }, dataset.name);
  return [link, badge(dataset.state), dataset.classes?.length, dataset.train_images, dataset.test_images, dataset.image_size];
}

function head(dataset) {
  const message = h("span", { class: "hint", role: "status" });
  const remove = async () => {
    if (!confirm(`Delete dataset ${dataset.name} and its images?`)) return;
    try {
      await api.deleteDataset(dataset.name);
      await loadDatasets(); // the form offers it no longer
      location.hash = "#/datasets";
    } catch (problem) {
      message.textContent = problem.message;
    }
  };
  return h("div", { class: "detail-head" },
    h("div", {}, h("h1", {}, dataset.name), h("p", { class: "hint" }, summary(dataset)),
      dataset.progress === null ? null : h("div", { class: "bar", share: dataset.progress, role: "progressbar", "aria-label": "Progress of the check", "aria-valuemin": 0, "aria-valuemax": 100, "aria-valuenow": Math.round(100 * dataset.progress) })),
    h("div", { class: "actions" }, badge(dataset.state),
      dataset.state === "ready" ? h("button", { type: "button", class: "primary", onclick: () => searchOn(dataset.name) }, "Search on this") : null,
      dataset.kind === "builtin" ? null : h("button", { type: "button", class: "quiet-button", onclick: remove }, "Delete"), message));
}

function summary(dataset) {
  if (dataset.state === "invalid" && dataset.report?.readings?.length) return "Not ready: choose below what the classes are.";
  if (dataset.state === "invalid") return "It cannot be searched on. Mend what is listed as an error, and add it again.";
  if (dataset.state === "checking") {
    return dataset.progress === null ? "Waiting for a checker, which opens every image and compares it with the others."
      : `Being checked, ${format.percent(100 * dataset.progress, 0)} done: every image is opened and compared with the others.`;
  }
  return `${format.counted(dataset.train_images, "training image")} and ${format.counted(dataset.test_images, "test image")} in ` +
    `${format.counted(dataset.classes.length, "class")}, usual size ${dataset.image_size} pixels`;
}

function problems(dataset) {
  if (!dataset.report) return null;
  const found = dataset.report.problems; // most severe first
  if (found.length === 0) return h("div", {}, h("h2", {}, "Check"), h("p", {}, "No problems found."));
  return h("div", {}, h("h2", {}, `Check (${found.length})`), h("ul", { class: "findings" }, found.map((one) => finding(one, dataset.report))));
}

/** One finding; readings to choose from are listed above, and not once more as the layouts to ask for. */
function finding({ severity, code, detail, files, count }, report) {
  const said = report.readings?.length && code === "layout_ambiguous" ? `${detail.split(": ")[0]}.` : detail;
  const more = count > files.length ? ` and ${format.count(count - files.length)} more` : "";
  return h("li", {},
    h("span", { class: `badge ${severity}` }, severity), " ", h("b", {}, findingTitle(code)),
    h("p", {}, format.sentence(said)),
    files.length ? h("details", {}, h("summary", { class: "hint" }, findingCount(code, count)), h("p", { class: "hint" }, files.map((file) => [h("code", {}, file), " "]), more)) : null,
    PAIRED.includes(code) && report.pairs?.length ? pairs(report) : null);
}

/** Which training image shows which test image. */
function pairs({ pairs: shown, duplicates }) {
  const left = (duplicates.across_splits ?? shown.length) - shown.length;
  return h("details", {}, h("summary", { class: "hint" }, format.counted(shown.length, "pair")),
    h("ul", { class: "hint" }, shown.map(({ file, shows }) => h("li", {}, h("code", {}, file), " shows the same as ", h("code", {}, shows)))),
    left > 0 ? h("p", { class: "hint" }, `and ${format.count(left)} more`) : null);
}

function classes(dataset) {
  const report = dataset.report;
  if (!report || report.classes.length === 0) return null;
  const shown = report.classes.slice(0, SHOWN_CLASSES);
  const figure = ({ name, train, test }, label) => h("figure", { class: "sheet" },
    label < report.sheets ? h("img", { src: api.address(`/datasets/${dataset.name}/sheets/${label}`), alt: `Images of class ${name}`, loading: "lazy" }) : null,
    h("figcaption", {}, name, h("span", { class: "at" }, ` ${format.count(train)} + ${format.count(test)}`)));
  const left = report.classes.length - shown.length;
  return h("div", {},
    h("h2", {}, `Classes (${format.count(report.classes.length)})`),
    h("p", { class: "hint" }, "Numbers of training + test images in use, with a sample of each class."),
    h("div", { class: "sheets" }, shown.map(figure)),
    left ? h("p", { class: "hint" }, `and ${format.count(left)} more`) : null);
}
