// Scaling as Pillow does it, with the integers that it computes: `Image.reduce`, then `ImageOps.fit` with BILINEAR.

const WEIGHT_BITS = 22;

/** The centre square of {width, height, rgb}, scaled to `resolution`: (R, R, 3) bytes. */
export function square(picture, resolution) {
  const factor = Math.floor(Math.min(picture.width, picture.height) / (2 * resolution));
  const small = factor >= 2 ? reduced(picture, factor) : picture;
  if (small.width === resolution && small.height === resolution) return small.rgb;
  const side = Math.min(small.width, small.height);
  const [left, top] = [(small.width - side) / 2, (small.height - side) / 2];
  const passes = [
    (picture) => (picture.width === resolution ? picture : resampledRows(picture, weights(small.width, left, side, resolution))),
    (picture) => (picture.height === resolution ? picture : resampledColumns(picture, weights(small.height, top, side, resolution))),
  ];
  const [fewerRows, fewerColumns] = [small.height - resolution, small.width - resolution];
  if (fewerRows > Math.max(0, 2 * fewerColumns)) passes.reverse(); // as Pillow 13 does with tall pictures: rounding differs
  return passes.reduce((picture, pass) => pass(picture), small).rgb;
}

/** Every block of `factor` x `factor` pixels by its mean; those at the right and lower edge have fewer pixels. */
function reduced({ width, height, rgb }, factor) {
  const [toWidth, toHeight] = [Math.ceil(width / factor), Math.ceil(height / factor)];
  const small = new Uint8Array(3 * toWidth * toHeight);
  const sums = new Float64Array(3 * toWidth);
  for (let y = 0; y < toHeight; y += 1) {
    const rows = Math.min(factor, height - y * factor);
    sums.fill(0);
    for (let row = y * factor; row < y * factor + rows; row += 1) {
      for (let x = 0, at = 3 * row * width; x < toWidth; x += 1) {
        const columns = Math.min(factor, width - x * factor);
        for (let column = 0; column < columns; column += 1, at += 3) {
          sums[3 * x] += rgb[at];
          sums[3 * x + 1] += rgb[at + 1];
          sums[3 * x + 2] += rgb[at + 2];
        }
      }
    }
    for (let x = 0; x < toWidth; x += 1) {
      const pixels = rows * Math.min(factor, width - x * factor);
      const inverse = Math.floor(Math.fround(2 ** 24 / pixels));
      for (let colour = 0; colour < 3; colour += 1) {
        small[3 * (y * toWidth + x) + colour] = Math.floor(((sums[3 * x + colour] + Math.floor(pixels / 2)) * inverse) / 2 ** 24);
      }
    }
  }
  return { width: toWidth, height: toHeight, rgb: small };
}

/** For every output pixel where its source pixels begin, and how much each weighs: a triangle that grows with the scale. */
function weights(length, start, side, count) {
  const scale = side / count;
  const support = Math.max(scale, 1);
  return Array.from({ length: count }, (_, place) => {
    const centre = start + (place + 0.5) * scale;
    const first = Math.max(0, Math.trunc(centre - support + 0.5));
    const end = Math.min(length, Math.trunc(centre + support + 0.5));
    const shares = Array.from({ length: end - first }, (__, index) => Math.max(0, 1 - Math.abs((index + first - centre + 0.5) * (1 / support))));
    const total = shares.reduce((sum, share) => sum + share, 0);
    return { first, fixed: Int32Array.from(shares, (share) => Math.trunc(0.5 + (share / total) * 2 ** WEIGHT_BITS)) };
  });
}

function resampledRows({ width, height, rgb }, across) {
  const count = across.length;
  const narrow = new Uint8Array(3 * count * height);
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < count; x += 1) blend(rgb, 3 * (y * width + across[x].first), 3, across[x].fixed, narrow, 3 * (y * count + x));
  }
  return { width: count, height, rgb: narrow };
}

function resampledColumns({ width, rgb }, down) {
  const low = new Uint8Array(3 * width * down.length);
  for (let y = 0; y < down.length; y += 1) {
    for (let x = 0; x < width; x += 1) blend(rgb, 3 * (down[y].first * width + x), 3 * width, down[y].fixed, low, 3 * (y * width + x));
  }
  return { width, height: down.length, rgb: low };
}

function blend(from, start, step, fixed, to, at) {
  const half = 1 << (WEIGHT_BITS - 1);
  let [red, green, blue] = [half, half, half];
  for (let index = 0, pixel = start; index < fixed.length; index += 1, pixel += step) {
    const weight = fixed[index];
    red += from[pixel] * weight;
    green += from[pixel + 1] * weight;
    blue += from[pixel + 2] * weight;
  }
  to[at] = Math.min(255, red >> WEIGHT_BITS);
  to[at + 1] = Math.min(255, green >> WEIGHT_BITS);
  to[at + 2] = Math.min(255, blue >> WEIGHT_BITS);
}
