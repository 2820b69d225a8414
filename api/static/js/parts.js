// What the views of datasets and weights have in common.

import { h, replace } from "./dom.js";
import * as format from "./format.js";

const EVERY_MS = 1000;

/** Run `update` now, and again as long as it returns true. */
export function regularly(update, onProblem) {
  let stopped = false;
  const poll = async () => {
    let again = true;
    try {
      again = await update();
    } catch (problem) {
      if (!stopped) onProblem(problem);
      again = problem.document?.status !== 404;
    }
    if (again && !stopped) setTimeout(() => stopped || poll(), EVERY_MS);
  };
  poll();
  return () => {
    stopped = true;
  };
}

export const badge = (state) => h("span", { class: `badge ${state}` }, state);

/** What the service refused: each value by the name of its field, as people write it. */
export function refusalWords(problem) {
  const listed = problem.document?.errors ?? [];
  const field = (pointer) => pointer.split("/").at(-1).replaceAll("_", " ").replace(/^./, (first) => first.toUpperCase());
  return listed.length ? listed.map(({ pointer, detail }) => `${field(pointer)}: ${detail}.`).join(" ") : problem.message;
}

export const notice = (problem) => h("p", { class: "notice" }, problem.message);

const WHERE = { search: "It may have been deleted. The list has the others.", dataset: "It may have been deleted.", model: "Its last alias may have been removed." };

/** Say that there is no such search or dataset, in place of all that `main` shows. */
export function showMissing(main, kind, name) {
  document.title = `No ${kind} ${name} · AutoNL`;
  replace(main, h("section", { class: "part" }, h("h1", {}, `There is no ${kind} ${name}`),
    h("p", { class: "hint" }, WHERE[kind] ?? "", " ", h("a", { href: "#/" }, "Back to the start"))));
}

/** What may be wider than the page; it can be scrolled with the keyboard too. */
export const scrolled = (label, ...children) => h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": label }, ...children);

export function table(label, titles, rows) {
  const cell = (value) => h("td", {}, typeof value === "number" ? format.count(value) : (value ?? "–"));
  return scrolled(label, h("table", {},
    h("thead", {}, h("tr", {}, titles.map((title) => h("th", { scope: "col" }, title)))),
    h("tbody", {}, rows.map((cells) => h("tr", {}, cells.map(cell))))));
}
