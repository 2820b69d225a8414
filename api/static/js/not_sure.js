// Whether a network is sure of its best class, by what its test images have shown.

import * as format from "./format.js";

/** Why it is not sure; null: it is, or too few test images show where it errs. `notSure`: of the result; null: unknown. */
export function doubt(probability, notSure) {
  if (!notSure || probability >= notSure.below) return null;
  const { below, test_images: images, test_correct: correct } = notSure;
  return `of the ${format.counted(images, "test image")} whose best class had less than ${format.percent(100 * below, 1)}, only ${format.count(correct)} were right`;
}
