// Uploading a dataset: a zip archive, or a folder that is packed here; chosen, or dropped on the page.

import * as api from "./api.js";
import { fromDrop, fromFiles } from "./chosen_files.js";
import { h, replace } from "./dom.js";
import * as format from "./format.js";
import { zip } from "./zip.js";

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
const NAME_RULE = "A name has 1 to 64 characters: letters from A to Z, digits, dots, hyphens and underscores, the first one a letter or a digit; no spaces, and no accents.";
const SHOWN_NAMES = 5;
const awaited = new Set(); // names of datasets that are still being checked

/** The dataset `name` was added from this page: it is chosen in the form once it is ready. */
export const awaitCheck = (name) => awaited.add(name);

/** Whether `name` was added here and has not been reported ready yet; true only once. */
export const wasAwaited = (name) => awaited.delete(name);

/** The part of the page that uploads. */
export function uploadPart() {
  let chosen = null;
  const message = h("p", { class: "hint", role: "status" });
  const picked = h("p", { class: "hint", role: "status" });
  const bar = h("div", { class: "bar", share: 0, role: "progressbar", "aria-label": "Upload", hidden: true });
  const name = h("input", { id: "new-dataset", required: true, autocomplete: "off", spellcheck: "false", placeholder: "flowers", "aria-describedby": "name-rule" });
  const kept = h("input", { type: "checkbox" });
  const button = h("button", { class: "primary", type: "submit" }, "Upload");
  const say = (text, isProblem = false) => {
    message.className = isProblem ? "problem" : "hint";
    replace(message, text);
  };
  const refuse = (text) => say(text, true);
  const show = (share, text) => {
    bar.style.setProperty("--share", share);
    bar.setAttribute("aria-valuenow", Math.round(100 * share));
    say(text);
  };
  const choose = (found) => {
    chosen = found;
    replace(picked, found ? describe(found) : "There is no file in it that can be uploaded.");
    if (found && !name.value) name.value = suggestName(found);
    say("");
    checkName();
  };
  const checkName = () => {
    const isWrong = name.value.trim() !== "" && !NAME.test(name.value.trim());
    name.setAttribute("aria-invalid", String(isWrong));
    return !isWrong;
  };
  const submit = async (event) => {
    event.preventDefault();
    if (!chosen) return refuse("Choose a zip archive or a folder, or drop one here.");
    if (!name.value.trim()) return refuse("Enter a name.");
    if (!checkName()) return refuse(wrongName(name.value.trim()));
    button.disabled = true;
    bar.hidden = false;
    try {
      const archive = await packed(chosen, show);
      const dataset = await api.uploadDataset(name.value.trim(), archive, kept.checked ? "keep" : "leave-out", (share) => show(share, share < 1 ? `${format.percent(100 * share, 0)} of ${format.bytes(archive.size)}` : "Storing…"));
      awaitCheck(dataset.name);
      location.hash = `#/datasets/${dataset.name}`;
    } catch (problem) {
      const listed = problem.document?.errors?.map(({ detail }) => `${detail} `);
      refuse(listed ?? problem.message);
    } finally {
      button.disabled = false;
      bar.hidden = true;
    }
  };
  name.addEventListener("input", () => { if (checkName()) say(""); });
  const chooser = (id, attributes) => h("input", { id, type: "file", ...attributes, onchange: ({ target }) => target.files.length && choose(fromFiles([...target.files])) });
  return h("section", { class: "part" },
    h("h2", {}, "Add your images"),
    h("p", { class: "hint" }, "One folder per class: ", h("code", {}, "train/CLASS/…"), " and ", h("code", {}, "test/CLASS/…"),
      ", or ", h("code", {}, "CLASS/…"), " without splits, in which case a fifth is set aside for testing, or images with a file of labels (CSV, JSON, COCO)."),
    h("form", { novalidate: true, onsubmit: submit },
      dropZone(choose, refuse,
        h("div", { class: "pair" },
          h("div", {}, h("label", { for: "new-archive" }, "Zip archive"), chooser("new-archive", { accept: ".zip,application/zip,application/x-zip-compressed" })),
          h("div", {}, h("label", { for: "new-folder" }, "or folder"), chooser("new-folder", { webkitdirectory: true }))),
        h("p", { class: "hint" }, "or drop one here"), picked),
      h("label", { class: "check" }, kept, "Also train on images that show the same picture as a test image (duplicates=keep)"),
      h("div", { class: "upload" }, h("div", {}, h("label", { for: "new-dataset" }, "Name"), name), button),
      h("p", { class: "hint", id: "name-rule" }, NAME_RULE)),
    bar, message);
}

function dropZone(choose, refuse, ...children) {
  const zone = h("div", { class: "drop" }, ...children);
  const mark = (isOver) => (event) => {
    event.preventDefault();
    zone.classList.toggle("over", isOver);
  };
  zone.addEventListener("dragover", mark(true));
  zone.addEventListener("dragleave", mark(false));
  zone.addEventListener("drop", async (event) => {
    mark(false)(event);
    try {
      choose(await fromDrop(event.dataTransfer));
    } catch (error) {
      refuse(`What was dropped cannot be read: ${error.message}`);
    }
  });
  return zone;
}

const packed = ({ archive, files }, show) =>
  archive ?? zip(files, (count) => show(count / files.length, `Packing: ${format.count(count)} of ${format.count(files.length)} files`));

function describe({ archive, files, hidden, folder }) {
  if (archive) return `${archive.name}, ${format.bytes(archive.size)}`;
  const bytes = files.reduce((sum, { file }) => sum + file.size, 0);
  const empty = files.filter(({ path }) => path.endsWith("/")).length;
  const parts = [`${format.counted(files.length - empty, "file")}, ${format.bytes(bytes)}`];
  if (empty) parts.push(format.counted(empty, "empty folder"));
  if (hidden.length) parts.push(`left out: ${hidden.slice(0, SHOWN_NAMES).join(", ")}${hidden.length > SHOWN_NAMES ? ` and ${format.count(hidden.length - SHOWN_NAMES)} more` : ""}`);
  return `${folder ? `${folder}: ` : ""}${parts.join("; ")}`;
}

const suggestName = ({ archive, folder }) => validName(archive ? archive.name.replace(/\.[^.]*$/, "") : folder);

/** The nearest name that follows the rule; "" if `text` has nothing that a name can begin with. */
export function validName(text) {
  const plain = text.normalize("NFD").replace(/\p{M}+/gu, "").replace(/[^A-Za-z0-9._-]+/g, "-");
  return plain.replace(/^[^A-Za-z0-9]+/, "").slice(0, 64).replace(/-+$/, "");
}

function wrongName(text) {
  const valid = validName(text);
  return valid ? `Use ${valid}: ${text} does not follow the rule above.` : `${text} does not follow the rule above.`;
}
