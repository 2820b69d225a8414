// Datasets: list them, upload one from this computer, and show the findings of its check.

import * as api from "./api.js";
import { h, replace } from "./dom.js";
import * as format from "./format.js";
import { badge, notice, regularly, table } from "./parts.js";

const SHOWN_CLASSES = 24;

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/; // as in autonl_core/spec/names.py
const NAME_RULE = "A name has 1 to 64 characters: letters from A to Z, digits, dots, hyphens and underscores, the first one a letter or a digit; no spaces, and no accents.";

/** Show all datasets in `main`; returns a function that stops the updates. */
export function showDatasets(main) {
  document.title = "Datasets · AutoNL";
  const list = h("section", { class: "part" });
  replace(main, h("section", { class: "part" }, h("h1", {}, "Datasets")), uploadPart(), list);
  const update = async () => {
    const { datasets } = await api.getDatasets();
    replace(list, table(["name", "state", "classes", "training images", "test images", "pixels"], datasets.map(row)));
    return datasets.some(({ state }) => state === "checking");
  };
  return regularly(update, (problem) => replace(list, notice(problem)));
}

/** Show the dataset `name` in `main`; returns a function that stops the updates. */
export function showDataset(main, name) {
  document.title = `Dataset ${name} · AutoNL`;
  const parts = Object.fromEntries(["head", "problems", "classes"].map((part) => [part, h("section", { class: "part" })]));
  replace(main, Object.values(parts));
  const update = async () => {
    const dataset = await api.getDataset(name);
    replace(parts.head, head(dataset));
    replace(parts.problems, problems(dataset));
    replace(parts.classes, classes(dataset));
    return dataset.state === "checking";
  };
  return regularly(update, (problem) => replace(parts.head, notice(problem)));
}

function uploadPart() {
  const message = h("p", { class: "hint", role: "status" });
  const bar = h("div", { class: "bar", share: 0, role: "progressbar", "aria-label": "Upload", hidden: true });
  const name = h("input", { id: "new-dataset", required: true, autocomplete: "off", spellcheck: "false", placeholder: "flowers" });
  const file = h("input", { id: "new-archive", type: "file", required: true, accept: ".zip,application/zip" });
  const button = h("button", { class: "primary", type: "submit" }, "Upload");
  const submit = async (event) => {
    event.preventDefault();
    const [archive] = file.files;
    if (!name.value.trim() || !archive) {
      message.textContent = "Enter a name and choose a zip archive.";
      return;
    }
    if (!NAME.test(name.value.trim())) {
      message.textContent = NAME_RULE;
      return;
    }
    button.disabled = true;
    bar.hidden = false;
    try {
      const dataset = await api.uploadDataset(name.value.trim(), archive, (share) => {
        bar.style.setProperty("--share", share);
        message.textContent = share < 1 ? `${format.percent(100 * share, 0)} of ${format.bytes(archive.size)}` : "Storing…";
      });
      location.hash = `#/datasets/${dataset.name}`;
    } catch (problem) {
      replace(message, (problem.document?.errors ?? []).map(({ detail }) => `${detail} `), problem.document?.errors ? null : problem.message);
    } finally {
      button.disabled = false;
      bar.hidden = true;
    }
  };
  return h("section", { class: "part" },
    h("h2", {}, "Add your images"),
    h("p", { class: "hint" }, "A zip archive of class folders: ", h("code", {}, "train/CLASS/…"), " and ", h("code", {}, "test/CLASS/…"),
      ", or ", h("code", {}, "CLASS/…"), " without splits, in which case a fifth is set aside for testing."),
    h("form", { class: "upload", novalidate: true, onsubmit: submit },
      h("div", {}, h("label", { for: "new-dataset" }, "Name"), name),
      h("div", {}, h("label", { for: "new-archive" }, "Archive"), file),
      button),
    bar, message);
}

function row(dataset) {
  const link = h("a", { href: `#/datasets/${dataset.name}` }, dataset.name);
  return [link, badge(dataset.state), dataset.classes?.length, dataset.train_images, dataset.test_images, dataset.image_size];
}

function head(dataset) {
  const message = h("span", { class: "hint", role: "status" });
  const remove = async () => {
    if (!confirm("Delete this dataset and its images?")) return;
    try {
      await api.deleteDataset(dataset.name);
      location.hash = "#/datasets";
    } catch (problem) {
      message.textContent = problem.message;
    }
  };
  const counts = dataset.train_images === null ? "Checking: every image is opened and compared with the others." :
    `${format.count(dataset.train_images)} training and ${format.counted(dataset.test_images, "test image")} in ` +
    `${format.counted(dataset.classes.length, "class")}, ${dataset.image_size} pixels`;
  return h("div", { class: "detail-head" },
    h("div", {}, h("h1", {}, dataset.name), h("p", { class: "hint" }, counts)),
    h("div", { class: "actions" }, badge(dataset.state),
      dataset.kind === "builtin" ? null : h("button", { type: "button", class: "quiet-button", onclick: remove }, "Delete"), message));
}

function problems(dataset) {
  if (!dataset.report) return null;
  const found = dataset.report.problems; // most severe first
  if (found.length === 0) return h("div", {}, h("h2", {}, "Check"), h("p", {}, "No problems found."));
  return h("div", {}, h("h2", {}, `Check (${found.length})`), h("ul", { class: "findings" }, found.map(finding)));
}

function finding({ severity, code, detail, files, count }) {
  const more = count > files.length ? ` and ${format.count(count - files.length)} more` : "";
  return h("li", {},
    h("span", { class: `badge ${severity}` }, severity), " ", h("b", {}, code.replaceAll("_", " ")),
    h("p", {}, detail),
    files.length ? h("details", {}, h("summary", { class: "hint" }, format.counted(count, "file")), h("p", { class: "hint" }, files.map((file) => [h("code", {}, file), " "]), more)) : null);
}

function classes(dataset) {
  const report = dataset.report;
  if (!report || report.classes.length === 0) return null;
  const shown = report.classes.slice(0, SHOWN_CLASSES);
  const figure = ({ name, train, test }, label) => h("figure", { class: "sheet" },
    label < report.sheets ? h("img", { src: `/datasets/${dataset.name}/sheets/${label}`, alt: `Images of class ${name}`, loading: "lazy" }) : null,
    h("figcaption", {}, name, h("span", { class: "at" }, ` ${format.count(train)} + ${format.count(test)}`)));
  const left = report.classes.length - shown.length;
  return h("div", {},
    h("h2", {}, `Classes (${format.count(report.classes.length)})`),
    h("p", { class: "hint" }, "Numbers of training + test images in use, with a sample of each class."),
    h("div", { class: "sheets" }, shown.map(figure)),
    left ? h("p", { class: "hint" }, `and ${format.count(left)} more`) : null);
}
