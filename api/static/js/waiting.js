// How long a search still takes, what it waits for, and how long it took, in words.

import { ago, count, duration } from "./format.js";

export const FINAL = ["succeeded", "failed", "cancelled"]; // states

const UNITS = [[3600, "h"], [60, "min"], [1, "s"]];
const STEP_S = 5; // seconds are given in steps of this many: no estimate is better

/** A range of durations in seconds, in the unit that suits its end: (700, 880) -> "about 11 to 15 min". */
export function timeRange(low, high) {
  const [size, unit] = UNITS.find(([size, unit]) => high >= 2 * size || unit === "s");
  const perStep = { h: high < 10 * size ? 10 : 1, min: 1, s: 1 / STEP_S }[unit];
  const least = Math.floor((low / size) * perStep) / perStep;
  const most = Math.ceil((high / size) * perStep) / perStep;
  if (least === most) return `about ${most} ${unit}`;
  return least ? `about ${least} to ${most} ${unit}` : `at most ${most} ${unit}`;
}

/** How long a search still takes, or why that is not known yet. */
export function timeLeft(progress) {
  if (progress.eta_low_s !== null && progress.eta_high_s !== null) return `${timeRange(progress.eta_low_s, progress.eta_high_s)} left`;
  return progress.eta_unknown ? `time left not known: ${progress.eta_unknown}` : "time left not known yet";
}

/** The place of a queued search, and when it may start. */
export function queuePlace({ position, ahead, running, may_start_at: start }) {
  const place = `Number ${position} in the queue`;
  const waitsFor = running ? position : ahead; // at position N it gets the worker that is the Nth free
  if (start === null && !waitsFor) return `${place}; starts as soon as a worker is free; if this lasts, check that a worker is running.`;
  if (start === null) return `${place}; waits for ${waitsFor} ${waitsFor === 1 ? "search" : "searches"}; no estimate yet.`;
  const wait = (Date.parse(start) - Date.now()) / 1000;
  return `${place}; may start ${wait >= 1 ? `in ${timeRange(wait, wait)}` : "any moment"}.`;
}

/** When a search ended, and how long it took from its start; waiting in the queue before that is said separately. */
export function ended({ state, created_at: created, started_at: started, finished_at: finished }) {
  const between = (from, to) => (Date.parse(to) - Date.parse(from)) / 1000;
  const how = state === "succeeded" ? "Finished" : `${state[0].toUpperCase()}${state.slice(1)}`;
  if (started === null) return `${how} ${ago(finished)}, before it had started.`;
  const waited = between(created, started);
  const queue = waited >= 1 ? `, which was ${duration(waited)} after it was created` : "";
  return `${how} ${ago(finished)}, ${duration(between(started, finished))} after its start${queue}.`;
}

/** Where a search is: what it waits for, what it is doing and for how long, or how it ended. */
export function whereabouts(search, progress) {
  if (search.state === "queued") return `${search.attempts.length ? "Waiting for a worker to continue." : "Waiting for a worker."} ${search.queue ? queuePlace(search.queue) : ""}`;
  if (search.state === "paused" && search.saved_step === 0) return "Paused before anything was saved. Resume to begin from the start.";
  if (search.state === "paused") return `Paused at ${Math.floor(100 * (progress?.fraction ?? 0))}%. Resume to continue.`;
  if (FINAL.includes(search.state)) return ended(search);
  if (!progress) return "Starting.";
  const parts = [`${Math.floor(100 * progress.fraction)}%`, progress.baseline ? `${progress.phase} baseline ${progress.baseline}` : progress.phase];
  if (progress.epochs) parts.push(`epoch ${progress.epoch} of ${progress.epochs}`);
  if (progress.steps) parts.push(`step ${count(progress.step)} of ${count(progress.steps)}`);
  if (search.state === "running") parts.push(timeLeft(progress));
  return parts.join(" · ");
}
