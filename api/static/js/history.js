// What happened to a search: its attempts, its events, and what they printed.

import * as api from "./api.js";
import { h, replace } from "./dom.js";
import { detailText } from "./event_details.js";
import * as format from "./format.js";
import { scrolled } from "./parts.js";

export function attempts(search) {
  if (search.attempts.length === 0) return null;
  const rows = search.attempts.map((attempt) => h("tr", {},
    h("td", {}, attempt.attempt), h("td", {}, attempt.exit_class ?? "running"), h("td", {}, format.clock(attempt.started_at)),
    h("td", {}, attempt.ended_at ? format.duration((Date.parse(attempt.ended_at) - Date.parse(attempt.started_at)) / 1000) : "–"),
    h("td", {}, attempt.owner), h("td", { class: "long" }, attempt.detail ?? "")));
  const head = ["#", "outcome", "started", "duration", "worker", "reason"].map((title) => h("th", { scope: "col" }, title));
  return h("div", {}, h("h2", {}, "Attempts"), scrolled("Attempts", h("table", {}, h("thead", {}, h("tr", {}, head)), h("tbody", {}, rows))));
}

/** The event log, collapsed at first; `show` updates it without opening or closing it. */
export function eventSection() {
  const title = h("h2", {}, "Events");
  const list = h("ol", { class: "events-list", tabindex: 0, "aria-label": "Events, newest first" });
  const section = h("section", { class: "part" }, h("details", {}, h("summary", {}, title), list));
  const line = (event) => h("li", {}, h("time", {}, format.clock(event.at)), h("b", {}, event.kind.replaceAll("_", " ")), h("span", {}, detailText(event.detail)));
  const show = (events) => {
    title.textContent = `Events (${events.length})`;
    replace(list, events.slice(-200).reverse().map(line));
  };
  return { section, show };
}

export function logSection(id) {
  const box = h("div", {});
  const load = async (event) => {
    if (!event.currentTarget.open) return;
    try {
      const { logs } = await api.getLogs(id);
      replace(box, logs.length ? logs.map((log) => [h("h3", {}, `Attempt ${log.attempt}`), log.lines.length ? h("pre", { tabindex: 0 }, log.lines.join("\n")) : h("p", { class: "hint" }, "It printed nothing; the events above are its history.")]) : h("p", { class: "hint" }, "No log yet."));
    } catch (problem) {
      replace(box, h("p", { class: "hint" }, problem.message));
    }
  };
  return h("section", { class: "part" }, h("details", { ontoggle: load }, h("summary", {}, h("h2", {}, "Logs")), box));
}
