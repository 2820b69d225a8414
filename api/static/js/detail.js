// One search: progress, result and history, as its events say and while it goes on.

import * as api from "./api.js";
import { architectureDrawing } from "./architecture.js";
import { baselines } from "./baselines.js";
import { metricCharts } from "./charts.js";
import { h, refresh, replace } from "./dom.js";
import { doubtfulLabels } from "./doubtful_labels.js";
import * as format from "./format.js";
import { attempts, eventSection, logSection } from "./history.js";
import { keepLive } from "./live.js";
import { promotion } from "./models.js";
import { movesPart } from "./moves.js";
import { showMissing } from "./parts.js";
import { repeats } from "./repeats.js";
import { budget, budgets, classes, downloads, numbers } from "./result.js";
import { head, RANDOM, refreshAge, startOf } from "./search_head.js";
import { tradeOff } from "./tradeoff.js";
import { tryIt } from "./try_it.js";
import { countedImages, validationImages } from "./validation.js";
import { FINAL, whereabouts } from "./waiting.js";

const PHASES = ["preparing", "adapting", "searching", "deriving", "training", "evaluating", "exporting"];

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
    ["head", "problem", "phases", "numbers", "baselines", "classes", "budget", "budgets", "repeats", "error", "try-it", "downloads", "promotion", "architecture", "moves", "tradeoff", "charts", "doubtful", "attempts"].map((name) => [
      name,
      h("section", { class: `part ${name}` }),
    ]),
  );
  const logs = logSection(id);
  const eventLog = eventSection();
  const moves = movesPart(parts.moves);
  parts.head.setAttribute("aria-live", "polite");
  replace(parts.head, h("h1", {}, `Search ${id}`)); // until the first answer
  replace(main, Object.values(parts), eventLog.section, logs);
  const shown = { points: [], metricSeq: 0, events: [], eventSeq: 0, archKey: null, valImages: undefined, state: null, stopped: false };
  document.title = `Search ${id} · AutoNL`;

  async function update() {
    try {
      const search = await api.getSearch(id);
      await follow(id, shown);
      const architecture = await newArchitecture(search, shown);
      if (shown.valImages === undefined) shown.valImages = await judges(search);
      shown.valImages = countedImages(shown.events) ?? shown.valImages;
      const ended = `${search.state} ${search.budgets.map(({ state }) => state)}`; // of all budgets: each has networks
      const measured = search.result && shown.ended !== ended ? await api.getTradeOff(search) : null;
      const moved = await newMoves(search, shown);
      const repeated = search.config.repeat > 1 ? await api.getRepeats(search) : null;
      if (shown.stopped) return false;
      shown.ended = ended;
      refresh(parts.repeats, repeated && repeats(repeated, search.id));
      if (moved) moves.show(moved, search);
      if (measured) showTradeOff(parts.tradeoff, measured.networks);
      render(parts, search, shown, architecture, { onChange: () => { onChange(); live.wake(); } });
      if (shown.newEvents) eventLog.show(shown.events);
      if (shown.state !== search.state) onChange();
      shown.state = search.state;
      replace(parts.problem);
    } catch (problem) {
      if (shown.stopped) return false;
      if (problem.document?.status === 404) {
        shown.stopped = true;
        showMissing(main, "search", id);
      } else replace(parts.problem, h("p", { class: "notice" }, problem.message));
    }
    return !shown.stopped;
  }

  const live = keepLive(id, update, () => ({ state: shown.state, seq: shown.eventSeq }));
  return () => {
    shown.stopped = true;
    shown.trial?.stop();
    live.stop();
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

/** How many images judge candidates, possibly; null: not known, since the dataset was deleted or has no report. */
async function judges({ dataset, config }) {
  try {
    const { report } = await api.getDataset(dataset);
    return report && validationImages(report.classes.map(({ train }) => train), config.val_fraction);
  } catch (problem) {
    if (problem.document?.status === 404) return null;
    throw problem;
  }
}

async function newArchitecture(search, shown) {
  const key = search.best && `${search.best.arch_id} ${Boolean(search.result)}`; // a result has times of its layers
  if (!key || key === shown.archKey) return null;
  const architecture = await api.getArchitecture(search.best.arch_id);
  shown.archKey = key;
  return architecture;
}

/** How the architecture moved, if an event says that there is more of it, or the search has ended without. */
async function newMoves(search, shown) {
  const reports = shown.events.filter(({ kind, detail }) => kind === "architecture" && detail.skipped).length;
  const key = `${reports} ${FINAL.includes(search.state)}`;
  if (search.attempts.length === 0 || key === shown.movesKey) return null;
  const history = await api.getArchitectureHistory(search);
  shown.movesKey = key;
  return history;
}

function showTradeOff(part, networks) {
  const picture = tradeOff(networks);
  replace(part, picture && [h("h2", {}, "Measured networks"), picture, h("p", { class: "hint" },
    "Single scores with shared weights are noisy, the more so on few images: the choice rests on all of them together, and on a short training of the finalists.")]);
}

function render(parts, search, shown, architecture, actions) {
  if (shown.state !== search.state) replace(parts.head, head(search, actions));
  refreshAge(parts.head, search);
  refresh(parts.phases, phases(search));
  refresh(parts.budget, budget(search));
  refresh(parts.budgets, budgets(search));
  refresh(parts.numbers, numbers(search, shown.valImages));
  refresh(parts.baselines, baselines(search));
  refresh(parts.classes, classes(search));
  refresh(parts.error, search.error ? errorBox(search) : null, (search.result?.notes ?? []).map((note) => h("p", { class: "notice" }, note)));
  refresh(parts.downloads, downloads(search));
  if (architecture) replace(parts.architecture, h("h2", {}), architectureDrawing(architecture, search.result));
  const title = parts.architecture.querySelector("h2"); // the drawing stays until there is another
  if (title) title.textContent = FINAL.includes(search.state) ? "Architecture" : "Best architecture so far";
  if (shown.newPoints) {
    const charts = metricCharts(shown.points, search.flops_budget);
    replace(parts.charts, charts.length ? [h("h2", {}, "Metrics"), h("div", { class: "chart-grid" }, charts)] : null);
  }
  if (shown.state !== search.state) {
    replace(parts.doubtful, doubtfulLabels(search));
    replace(parts.promotion, promotion(search));
    shown.trial?.stop();
    shown.trial = tryIt(search);
    replace(parts["try-it"], shown.trial?.parts);
  }
  refresh(parts.attempts, attempts(search));
}

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

function errorBox(search) {
  return h("div", { class: "errors", role: "alert" }, h("p", {}, search.error.type), h("p", {}, search.error.detail));
}
