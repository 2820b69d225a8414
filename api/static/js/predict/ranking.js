// From the logits of a network to the classes that are shown.

const SHOWN = 5;

/** The most probable classes, the most probable first: of equal ones the first. */
export function ranked(logits, classes) {
  const largest = logits.reduce((most, logit) => Math.max(most, logit), -Infinity);
  const shares = Array.from(logits, (logit) => Math.exp(logit - largest));
  const total = shares.reduce((sum, share) => sum + share, 0);
  const found = shares.map((share, place) => ({ name: classes[place], probability: share / total }));
  return found.sort((one, other) => other.probability - one.probability).slice(0, SHOWN);
}
