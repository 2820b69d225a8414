// One search: progress, result and history. Polled every second until the search is final.

import * as api from "./api.js";
import { architectureDrawing } from "./architecture.js";
import { metricCharts } from "./charts.js";
import { h, replace } from "./dom.js";
import { detailText } from "./event_details.js";
import { cloneSearch, goOnFrom } from "./form.js";
import * as format from "./format.js";
import { scrolled, showMissing } from "./parts.js";
import { repeats } from "./repeats.js";
import { tradeOff } from "./tradeoff.js";
import { queuePlace, timeLeft } from "./waiting.js";

const EVERY_MS = 1000;
const PHASES = ["preparing", "adapting", "searching", "deriving", "training", "evaluating", "exporting"];
const RANDOM = "random weights";
const FINAL = ["succeeded", "failed", "cancelled"];

export function showWelcome(main) {
  document.title = "AutoNL";
  replace(
    main,
    h(
      "section",
      { class: "welcome" },
      h("h1", {}, "A classifier for your images, within your budget"),
      h("p", {}, "Choose a dataset and how many multiply-adds (MACs) the network may use per image. The search learns where to spend them: ",
        "kernel sizes, expansion, depth, and which blocks get a lightweight non-local layer. It then trains the network it found, ",
        "evaluates it on held-out test images, and gives you a file to download."),
      h("p", { class: "hint" }, "Start a search, or select one to follow."),
    ),
  );
  return () => {};
}

/** Show the search `id` in `main`; returns a function that stops the updates. */
export function showDetail(main, id, onChange) {
  const parts = Object.fromEntries(
    ["head", "problem", "phases", "numbers", "budget", "budgets", "repeats", "error", "downloads", "architecture", "tradeoff", "charts", "attempts"].map((name) => [
      name,
      h("section", { class: `part ${name}` }),
    ]),
  );
  const logs = logSection(id);
  const eventLog = eventSection();
  parts.head.setAttribute("aria-live", "polite");
  replace(parts.head, h("h1", {}, `Search ${id}`)); // until the first answer
  replace(main, Object.values(parts), eventLog.section, logs);
  const shown = { points: [], metricSeq: 0, events: [], eventSeq: 0, archKey: null, state: null, stopped: false };
  document.title = `Search ${id} · AutoNL`;

  async function poll() {
    if (shown.stopped) return;
    if (!document.hidden || shown.state === null) await update();
    // A final search may be resumed, from here or by another client.
    if (!shown.stopped) setTimeout(poll, FINAL.includes(shown.state) ? 5 * EVERY_MS : EVERY_MS);
  }

  async function update() {
    try {
      const search = await api.getSearch(id);
      await follow(id, shown);
      const architecture = await newArchitecture(search, shown);
      const ended = `${search.state} ${search.budgets.map(({ state }) => state)}`; // of all budgets: each has networks
      const measured = search.result && shown.ended !== ended ? await api.getTradeOff(search) : null;
      const repeated = search.config.repeat > 1 ? await api.getRepeats(search) : null;
      if (shown.stopped) return;
      shown.ended = ended;
      replace(parts.repeats, repeated && repeats(repeated, search.id));
      if (measured) showTradeOff(parts.tradeoff, measured.networks);
      render(parts, search, shown, architecture, { onChange });
      if (shown.newEvents) eventLog.show(shown.events);
      if (shown.state !== search.state) onChange();
      shown.state = search.state;
      replace(parts.problem);
    } catch (problem) {
      if (shown.stopped) return;
      if (problem.document?.status === 404) {
        shown.stopped = true;
        showMissing(main, "search", id);
      } else replace(parts.problem, h("p", { class: "notice" }, problem.message));
    }
  }

  poll();
  return () => {
    shown.stopped = true;
  };
}

/** Fetch new metrics and events. */
async function follow(id, shown) {
  const [metrics, events] = await Promise.all([api.getMetrics(id, shown.metricSeq), api.getEvents(id, shown.eventSeq)]);
  shown.points.push(...metrics.points);
  shown.newPoints = metrics.points.length > 0;
  shown.metricSeq = metrics.last_seq;
  shown.events.push(...events.events);
  shown.newEvents = events.events.length > 0;
  shown.eventSeq = events.last_seq;
}

async function newArchitecture(search, shown) {
  const key = search.best && `${search.best.arch_id}`;
  if (!key || key === shown.archKey) return null;
  const architecture = await api.getArchitecture(key);
  shown.archKey = key;
  return architecture;
}

function showTradeOff(part, networks) {
  const picture = tradeOff(networks);
  replace(part, picture && h("h2", {}, "Measured networks"), picture);
}

function render(parts, search, shown, architecture, actions) {
  if (shown.state !== search.state) replace(parts.head, head(search, actions));
  replace(parts.phases, phases(search));
  replace(parts.budget, budget(search));
  replace(parts.budgets, budgets(search));
  replace(parts.numbers, numbers(search));
  replace(parts.error, search.error ? errorBox(search) : null, (search.result?.notes ?? []).map((note) => h("p", { class: "notice" }, note)));
  replace(parts.downloads, downloads(search));
  if (architecture) replace(parts.architecture, h("h2", {}), architectureDrawing(architecture));
  const title = parts.architecture.querySelector("h2"); // the drawing stays when the search ends with the same network
  if (title) title.textContent = FINAL.includes(search.state) ? "Architecture" : "Best architecture so far";
  if (shown.newPoints) {
    const charts = metricCharts(shown.points, search.flops_budget);
    replace(parts.charts, charts.length ? [h("h2", {}, "Metrics"), h("div", { class: "chart-grid" }, charts)] : null);
  }
  replace(parts.attempts, attempts(search));
}

function head(search, { onChange }) {
  const message = h("span", { class: "hint", role: "status" });
  const act = async (work, done) => {
    try {
      await work();
      done();
    } catch (problem) {
      message.textContent = problem.message;
    }
  };
  const ask = (request, title, style, done) => !search.links[request] ? null
    : h("button", { type: "button", class: style, onclick: () => act(() => api.ask(search, request), () => { message.textContent = done; onChange(); }) }, title);
  const remove = h("button", { type: "button", class: "quiet-button", onclick: () => {
    if (confirm(`Delete search ${search.id} and its files?`)) act(() => api.deleteSearch(search.id), () => { location.hash = "#/"; });
  } }, "Delete");
  return h(
    "div",
    { class: "detail-head" },
    h("div", {}, h("h1", {}, search.dataset, h("span", { class: "at" }, ` within ${format.macs(search.flops_budget)} MACs`)),
      h("p", { class: "hint" }, h("code", {}, search.id), ` · created ${format.ago(search.created_at)} · seed ${search.config.seed} · ${search.config.algorithm} from ${startOf(search)}`)),
    h("div", { class: "actions" },
      h("span", { class: `badge large ${search.state}` }, search.state),
      search.links.report ? h("a", { class: "primary button", href: api.address(search.links.report) }, "Report") : null,
      search.links.checkpoint ? mainDownload(search) : null,
      search.result && search.supernet
        ? h("button", { type: "button", class: "quiet-button", onclick: () => act(() => goOnFrom(search), () => {}) }, "Another budget") : null,
      h("button", { type: "button", class: "quiet-button", title: "Fill the form with the settings of this search", onclick: () => act(() => cloneSearch(search), () => {}) }, "Clone"),
      ask("resume", "Resume", "quiet-button", "resuming from the last run state"),
      ask("pause", "Pause", "quiet-button", "pausing: the best network so far is kept"),
      ask("cancel", "Cancel", "danger", "cancelling: the best network so far is kept"),
      FINAL.includes(search.state) ? remove : null,
      message),
  );
}

/** The file to take first: the bundle has everything; searches of earlier versions may have the weights only. */
function mainDownload({ links, result }) {
  const [format, title] = result?.files?.bundle ? ["&format=bundle", "Download bundle"] : ["", "Download model"];
  return h("a", { class: "primary button", href: api.address(`${links.checkpoint}${format}`), download: true }, title);
}

/** The weights that a search starts from; searches of earlier versions do not say. */
const startOf = ({ config }) =>
  config.parent ? `search ${config.parent}` : (config.init ?? "none") === "none" ? RANDOM : config.init;

function phases(search) {
  const progress = search.progress;
  const passed = PHASES.filter((phase) => phase !== "adapting" || startOf(search) !== RANDOM);
  const at = search.state === "succeeded" ? passed.length : passed.indexOf(search.phase);
  const fraction = search.state === "succeeded" ? 1 : (progress?.fraction ?? 0);
  const steps = passed.map((phase, index) =>
    h("li", { class: index < at ? "done" : index === at ? "now" : "", "aria-current": index === at ? "step" : null }, phase));
  return h("div", {},
    h("ol", { class: "steps" }, steps),
    h("div", { class: "bar", share: fraction, role: "progressbar", "aria-valuemin": 0, "aria-valuemax": 100, "aria-valuenow": Math.round(100 * fraction), "aria-label": "Progress of the search" }),
    h("p", { class: "hint" }, whereabouts(search, progress)));
}

function whereabouts(search, progress) {
  if (search.state === "queued") return `${search.attempts.length ? "Waiting for a worker to continue." : "Waiting for a worker."} ${search.queue ? queuePlace(search.queue) : ""}`;
  if (search.state === "paused" && search.saved_step === 0) return "Paused before anything was saved. Resume to begin from the start.";
  if (search.state === "paused") return `Paused at ${Math.floor(100 * (progress?.fraction ?? 0))}%. Resume to continue.`;
  if (search.finished_at) return `Finished ${format.ago(search.finished_at)} after ${format.duration((Date.parse(search.finished_at) - Date.parse(search.created_at)) / 1000)}.`;
  if (!progress) return "Starting.";
  const parts = [`${Math.floor(100 * progress.fraction)}%`, progress.phase];
  if (progress.epochs) parts.push(`epoch ${progress.epoch} of ${progress.epochs}`);
  if (progress.steps) parts.push(`step ${format.count(progress.step)} of ${format.count(progress.steps)}`);
  if (search.state === "running") parts.push(timeLeft(progress));
  return parts.join(" · ");
}

function budget(search) {
  const best = search.best;
  if (!best) return null;
  const used = best.macs / search.flops_budget;
  const over = used > 1;
  return h("div", {},
    h("h2", {}, "Budget"),
    h("div", { class: `gauge${over ? " over" : ""}`, share: Math.min(used, 1), role: "meter", "aria-valuemin": 0, "aria-valuemax": search.flops_budget, "aria-valuenow": best.macs, "aria-label": "Share of the MACs budget used" }),
    h("p", { class: "hint" }, `${format.count(best.macs)} of ${format.count(search.flops_budget)} MACs`, over ? " · above the budget" : ` · ${format.percent(100 * (1 - used))} unused`));
}

/** All budgets of a search that has several, each with a link to the search for it. */
function budgets(search) {
  if (!search.budgets.length) return null;
  const rows = search.budgets.map(({ flops_budget: macs, search_id: id, state, test_top1_pct: top1 }) =>
    h("tr", {},
      h("td", {}, format.macs(macs)),
      h("td", {}, id === null ? "after the shared weights have learned" : id === search.id ? "this search" : h("a", { href: `#/searches/${id}` }, id)),
      h("td", {}, state ?? ""),
      h("td", {}, top1 === null ? "" : format.percent(top1))));
  const titles = ["Budget", "Search", "State", "Test top-1"].map((title) => h("th", { scope: "col" }, title));
  return h("div", {}, h("h2", {}, "All budgets"), h("table", {}, h("thead", {}, h("tr", {}, titles)), h("tbody", {}, rows)));
}

function numbers(search) {
  const best = search.best;
  if (!best) return null;
  const result = search.result;
  const tiles = [
    result ? ["Test top-1", format.percent(best.test_top1_pct), `${format.count(result.test_correct)} of ${format.counted(result.test_images, "image")}, 95% interval ${format.interval(result.test_correct, result.test_images)}`] : null,
    ["Validation top-1", format.percent(best.val_top1_pct), result ? "when selected" : "with supernet weights"],
    ["MACs", format.macs(best.macs, 4), "per image"],
    ["Parameters", format.macs(best.params, 4), `${format.macs(4 * best.params)}B as float32`],
    result ? ["Time", format.duration(Object.values(result.seconds_by_phase).reduce((a, b) => a + b, 0)), longest(result.seconds_by_phase)] : null,
  ].filter(Boolean);
  return h("dl", { class: "tiles" }, tiles.map(([name, value, note]) => h("div", {}, h("dt", {}, name), h("dd", {}, value), h("dd", { class: "hint" }, note))));
}

function longest(seconds) {
  const [phase, time] = Object.entries(seconds).reduce((a, b) => (b[1] > a[1] ? b : a));
  return `${format.duration(time)} of it in ${phase}`;
}

/** The files of a succeeded search, each with its size and its own test accuracy. */
function downloads(search) {
  const files = Object.entries(search.result?.files ?? {});
  const link = (kind) => kind === "report-html" ? search.links.report : kind === "report-md" ? `${search.links.report}?format=markdown`
    : `${search.links.checkpoint}&format=${kind}`;
  const kept = files.map(([kind, file]) => h("tr", {},
    h("td", {}, h("a", { href: api.address(link(kind)), download: file.name }, file.name)), h("td", {}, `${format.macs(file.size_bytes)}B`),
    h("td", {}, scored(search.result.parity[kind])), h("td", {}, h("code", {}, file.sha256.slice(0, 16)))));
  const withheld = Object.entries(search.result?.parity ?? {}).filter(([, parity]) => parity.withheld).map(([kind, parity]) =>
    h("tr", {}, h("td", {}, kind), h("td", {}, "withheld"), h("td", { colspan: 2 }, parity.withheld)));
  if (files.length === 0) return null;
  const head = ["file", "size", "test top-1", "SHA-256"].map((title) => h("th", { scope: "col" }, title));
  return [h("h2", {}, "Downloads"), scrolled("Downloads", h("table", {}, h("thead", {}, h("tr", {}, head)), h("tbody", {}, kept, withheld)))];
}

const scored = (parity) => parity && parity.top1_pct != null ? format.percent(parity.top1_pct) : "–";

function errorBox(search) {
  return h("div", { class: "errors", role: "alert" }, h("p", {}, search.error.type), h("p", {}, search.error.detail));
}

function attempts(search) {
  if (search.attempts.length === 0) return null;
  const rows = search.attempts.map((attempt) => h("tr", {},
    h("td", {}, attempt.attempt), h("td", {}, attempt.exit_class ?? "running"), h("td", {}, format.clock(attempt.started_at)),
    h("td", {}, attempt.ended_at ? format.duration((Date.parse(attempt.ended_at) - Date.parse(attempt.started_at)) / 1000) : "–"),
    h("td", {}, attempt.owner), h("td", {}, attempt.detail ?? "")));
  const head = ["#", "outcome", "started", "duration", "worker", "reason"].map((title) => h("th", { scope: "col" }, title));
  return h("div", {}, h("h2", {}, "Attempts"), scrolled("Attempts", h("table", {}, h("thead", {}, h("tr", {}, head)), h("tbody", {}, rows))));
}

/** The event log, collapsed at first; `show` updates it without opening or closing it. */
function eventSection() {
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

function logSection(id) {
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
