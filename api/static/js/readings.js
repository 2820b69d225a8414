// A dataset whose folders can be read in several ways: each with its classes, to choose from before it is used.

import { readDataset } from "./api.js";
import { h } from "./dom.js";
import * as format from "./format.js";
import { awaitCheck } from "./upload.js";

const SHOWN_CLASSES = 24;
const NAMED_CLASSES = 3; // on a button
const MAX_TITLE = 60;

/** The readings that its check found possible; null if there is nothing to choose. */
export function readings({ name, report }) {
  const possible = report?.readings ?? [];
  if (!possible.length) return null;
  const titles = buttonTitles(possible);
  return h("div", {},
    h("h2", {}, "Which of these are the classes?"),
    h("p", { class: "hint" }, "The files can be read in several ways. Choose one, and the dataset is checked again; nothing is uploaded again."),
    h("ul", { class: "readings" }, possible.map((reading, place) => row(name, reading, titles[place]))));
}

/** What the button of each reading says: its first classes, or its layout where that would be long or not unique. */
export function buttonTitles(possible) {
  const named = possible.map(({ classes }) => {
    const names = classes.slice(0, NAMED_CLASSES).map((one) => one.name).join(", ");
    return `Use ${names}${classes.length > NAMED_CLASSES ? "…" : ""}`;
  });
  const isClear = (title) => title.length <= MAX_TITLE && named.filter((other) => other === title).length === 1;
  return named.map((title, place) => (isClear(title) ? title : `Use ${possible[place].layout}`));
}

function row(name, { layout, classes }, title) {
  const message = h("p", { class: "hint", role: "status" });
  const choose = async ({ currentTarget: button }) => {
    button.disabled = true;
    try {
      await readDataset(name, { layout });
      awaitCheck(name);
      dispatchEvent(new HashChangeEvent("hashchange")); // shows the dataset as it is now
    } catch (problem) {
      message.textContent = problem.message;
      button.disabled = false;
    }
  };
  const images = classes.reduce((sum, one) => sum + one.images, 0);
  const listed = classes.slice(0, SHOWN_CLASSES).map((one) => `${one.name} (${format.count(one.images)})`).join(", ");
  const left = classes.length - SHOWN_CLASSES;
  return h("li", {},
    h("code", {}, layout), ` ${format.counted(classes.length, "class")}, ${format.counted(images, "image")}`,
    h("p", {}, listed, left > 0 ? `, and ${format.count(left)} more` : ""),
    h("button", { type: "button", onclick: choose }, title),
    message);
}
