// Keeps the view of a search up to date: at once when an event of it arrives, and at times for what is no event.

import { openEvents } from "./api.js";
import { FINAL } from "./waiting.js";

const MOVING_EVERY_MS = 2000; // share done, time left and metrics are no events
const STILL_EVERY_MS = 10000; // the place in the queue; what others do with a search that has ended
const STILL = ["queued", "paused", ...FINAL];

/**
 * Run `update` now, and whenever the search may have changed, until it returns false; never twice at a time. `known`
 * returns the `state` that is shown, null before the first answer, and `seq`, the number of the last event. Returns
 * `wake`, for what was done here, and `stop`.
 */
export function keepLive(id, update, known) {
  let stream = null;
  let timer = null;
  let isBusy = false;
  let isMissed = false; // something happened during an update
  let isStopped = false;
  let seqBefore = 0; // of the last event before the update: what came during it may not be shown yet

  async function wake() {
    if (isStopped) return;
    isMissed = isBusy;
    if (isBusy) return;
    isBusy = true;
    clearTimeout(timer);
    do {
      isMissed = false;
      seqBefore = known().seq;
      if ((await update()) === false) isStopped = true;
    } while (isMissed && !isStopped);
    isBusy = false;
    listen();
    if (!isStopped && !document.hidden) timer = setTimeout(wake, STILL.includes(known().state) ? STILL_EVERY_MS : MOVING_EVERY_MS);
  }

  /** A browser opens few connections to a host, for all its tabs together: only what is looked at listens. */
  function listen() {
    const { state } = known();
    const isWanted = !isStopped && !document.hidden && state !== null && !FINAL.includes(state);
    if (isWanted && stream !== null && stream.readyState !== EventSource.CLOSED) return;
    stream?.close();
    stream = isWanted ? openEvents(id, seqBefore) : null;
    if (stream) stream.onmessage = wake;
  }

  const looked = () => (document.hidden ? listen() : wake());
  document.addEventListener("visibilitychange", looked);
  wake();
  return {
    wake,
    stop() {
      isStopped = true;
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", looked);
      listen();
    },
  };
}
