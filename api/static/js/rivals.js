// Whether a search was worth its compute: its result beside the rivals, what pretrained weights give without a search.

import * as format from "./format.js";

const ALPHA = 0.05;
const SAME_COMPUTE = 0.05; // share by which whole epochs may miss the compute of the search

export const RIVALS = {
  "off-the-shelf": {
    title: "The whole pretrained network",
    note: "fine-tuned, at the resolution at which it fits the budget",
    deed: "fine-tuning the whole pretrained network",
  },
  uniform: {
    title: "Every block cut alike",
    note: "the pretrained network, made smaller without a search",
    deed: "cutting every block of the pretrained network alike",
  },
};

/** A baseline in a few words; published networks keep the name of the API. */
export const titleOf = ({ name }) => RIVALS[name]?.title ?? name.replaceAll("_", " ");

const PLAIN = { uniform: "every block alike", widest: "the most parameters that the budget allows" }; // by origin

/** What is said where the chosen network is one that takes no search; null: it is not. */
export function besidePlain({ comparison }) {
  const plain = PLAIN[comparison?.chosen];
  return plain ? `The search found nothing better than a plain network: this one has ${plain}.` : null;
}

/** The sentence with which the result is to be read; null if no rival has a score. */
export function verdict({ test_correct: found, test_images: images, baselines }) {
  const scored = baselines.filter(({ name, test_correct: correct }) => name in RIVALS && correct !== null);
  if (!scored.length) return null;
  const best = scored.reduce((a, b) => (b.test_correct > a.test_correct || (b.test_correct === a.test_correct && b.macs < a.macs) ? b : a));
  const reference = best.test_correct;
  const share = best.work_share ?? 1;
  const compute = Math.abs(share - 1) <= SAME_COMPUTE ? "the same compute" : `${Math.round(100 * share)}% of the compute`;
  const points = (100 * Math.abs(found - reference)) / images;
  const margin = found === reference ? "as much as the result" : `${points.toFixed(1)} points ${found > reference ? "less" : "more"} than the result`;
  const reached = `with ${compute}, ${RIVALS[best.name].deed} reaches ${format.percent((100 * reference) / images)}, ${margin}`;
  if (differ(found, reference, images)) return `The search was ${found > reference ? "" : "not "}worth its compute: ${reached}.`;
  const least = leastDifference(reference, images, found > reference || (found === reference && found < images));
  const few = `with ${format.counted(images, "test image")},`;
  const doubt = least === null ? `${few} that may be chance` : `${few} a difference below ${((100 * least) / images).toFixed(1)} points may be chance`;
  return `Whether the search was worth its compute is not known: ${reached}; ${doubt}.`;
}

/** Whether two counts of correct images, of `images` each, differ by more than chance (Fisher's exact test). */
export function differ(first, second, images) {
  const total = first + second;
  const ways = (count) => logChoose(images, count) + logChoose(images, total - count);
  const lowest = Math.max(0, total - images);
  const every = Array.from({ length: Math.min(images, total) - lowest + 1 }, (_, place) => ways(lowest + place));
  const most = Math.max(...every);
  const likely = (some) => some.reduce((sum, log) => sum + Math.exp(log - most), 0);
  return likely(every.filter((log) => log <= ways(first) + 1e-7)) / likely(every) < ALPHA;
}

/** How many images more (or fewer) than `reference` have to be correct to `differ`; null: no number suffices. */
export function leastDifference(reference, images, above) {
  let high = above ? images - reference : reference;
  const isEnough = (difference) => differ(reference + (above ? difference : -difference), reference, images);
  if (!isEnough(high)) return null;
  let low = 0; // is chance; `high` is not
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (isEnough(middle)) high = middle;
    else low = middle;
  }
  return high;
}

const logs = [0]; // of factorials

function logFactorial(number) {
  for (let next = logs.length; next <= number; next += 1) logs.push(logs[next - 1] + Math.log(next));
  return logs[number];
}

const logChoose = (count, chosen) => logFactorial(count) - logFactorial(chosen) - logFactorial(count - chosen);
