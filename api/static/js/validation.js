// How many training images a search holds out to judge candidates, and a score on them in images.

import { count, counted, percent } from "./format.js";

/** About `fraction` of each class, at least one image and never all; images of the same picture stay together, which may change it. */
export function validationImages(trainCounts, fraction) {
  return trainCounts.map((images) => Math.min(Math.max(1, halfEven(fraction * images)), images - 1)).reduce((a, b) => a + b, 0);
}

/** How many validation images there are, as the newest event that counted them says; undefined: none has yet. */
export const countedImages = (events) => events.findLast(({ detail }) => detail?.val_images)?.detail.val_images;

/** 92.307 of 13 images -> "12 of 13 images"; "on about 13 images" where no count of 13 is that share. */
export function onImages(top1, images) {
  const correct = Math.round((top1 * images) / 100);
  return Math.abs((100 * correct) / images - top1) < 0.01 ? `${count(correct)} of ${counted(images, "image")}` : `on about ${counted(images, "image")}`;
}

/** A score with no more digits than so many images give it. */
export const scoreOf = (top1, images) => percent(top1, images && images < 1000 ? 1 : 2);

function halfEven(value) {
  const below = Math.floor(value);
  if (value - below !== 0.5) return Math.round(value);
  return below % 2 ? below + 1 : below;
}
