// Coefficients of a JPEG to RGB pixels, at 1/1, 1/2, 1/4 or 1/8 of its size, with the integers that libjpeg-turbo
// computes: every pixel equals Pillow's.

const BITS = 13; // of fractions
const KEPT_BITS = 2; // of fractions between columns and rows
const fixed = (number) => Math.round(number * (1 << BITS));
const F = Object.fromEntries(
  ["0.211164243", "0.298631336", "0.390180644", "0.509795579", "0.541196100", "0.601344887", "0.720959822", "0.765366865", "0.850430095",
    "0.899976223", "1.061594337", "1.175875602", "1.272758580", "1.451774981", "1.501321110", "1.847759065", "1.961570560", "2.053119869",
    "2.172734803", "2.562915447", "3.072711026", "3.624509785"].map((text) => [text, fixed(Number(text))]),
);

/** {width, height, rgb} of what `readJpeg` returned, each side divided by `denominator`, which is 1, 2, 4 or 8. */
export function toRgb(jpeg, denominator) {
  const least = 8 / denominator; // samples of a block of 8, per side
  const [width, height] = [Math.ceil((jpeg.width * least) / 8), Math.ceil((jpeg.height * least) / 8)];
  const rowsOf = jpeg.components.map((component) => upsampled(jpeg, plane(jpeg, component, least), width));
  const rgb = new Uint8Array(3 * width * height);
  for (let y = 0; y < height; y += 1) {
    const rows = rowsOf.map((row) => row(y));
    const target = rgb.subarray(3 * width * y, 3 * width * (y + 1));
    if (rows.length === 1) for (let x = 0; x < width; x += 1) target.fill(rows[0][x], 3 * x, 3 * x + 3);
    else if (jpeg.isYcc) fromYcc(rows, target, width);
    else for (let x = 0; x < width; x += 1) for (let colour = 0; colour < 3; colour += 1) target[3 * x + colour] = rows[colour][x];
  }
  return { width, height, rgb };
}

const clamp = (value) => (value < 0 ? 0 : value > 255 ? 255 : value);

const TABLES = ["red", "greenOfRed", "greenOfBlue", "blue"].map(() => new Int32Array(256));
for (let value = 0; value < 256; value += 1) {
  const [scaled, half] = [value - 128, 1 << 15];
  TABLES[0][value] = (91881 * scaled + half) >> 16; // 1.402, in fractions of 16 bits
  TABLES[1][value] = -46802 * scaled; // 0.71414
  TABLES[2][value] = -22554 * scaled + half; // 0.34414
  TABLES[3][value] = (116130 * scaled + half) >> 16; // 1.772
}

function fromYcc([ys, blues, reds], target, width) {
  const [red, greenOfRed, greenOfBlue, blue] = TABLES;
  for (let x = 0, at = 0; x < width; x += 1, at += 3) {
    const y = ys[x];
    target[at] = clamp(y + red[reds[x]]);
    target[at + 1] = clamp(y + ((greenOfBlue[blues[x]] + greenOfRed[reds[x]]) >> 16));
    target[at + 2] = clamp(y + blue[blues[x]]);
  }
}

/** The samples of a component. One with fewer than others is scaled down less, as far as it goes by halves. */
function plane(jpeg, component, least) {
  const { h, v, blocksWide, blocksHigh, coefficients } = component;
  const { maxH, maxV } = jpeg;
  if (!component.quant) throw new Error("the file ends before its image does");
  let size = least;
  while (size < 8 && (maxH * least) % (h * size * 2) === 0 && (maxV * least) % (v * size * 2) === 0) size *= 2;
  const stride = blocksWide * size;
  const samples = new Uint8Array(stride * blocksHigh * size);
  const transform = { 1: one, 2: two, 4: four, 8: eight }[size];
  const work = new Int32Array(64);
  for (let row = 0, block = 0; row < blocksHigh; row += 1) {
    for (let column = 0; column < blocksWide; column += 1, block += 64) {
      transform(coefficients.subarray(block, block + 64), component.quant, work, samples, (row * stride + column) * size, stride);
    }
  }
  return {
    samples,
    stride,
    width: Math.ceil((jpeg.width * h * size) / (8 * maxH)),
    height: Math.ceil((jpeg.height * v * size) / (8 * maxV)),
    timesWide: (maxH * least) / (h * size),
    timesHigh: (maxV * least) / (v * size),
    smooth: least > 1,
  };
}

/** A function from a row of the picture to its samples: repeated, or between two samples 3/4 of the nearer one. */
function upsampled({ maxH }, { samples, stride, width, height, timesWide, timesHigh, smooth }, wanted) {
  const rowAt = (y) => samples.subarray(Math.max(0, Math.min(y, height - 1)) * stride, (Math.max(0, Math.min(y, height - 1)) + 1) * stride);
  if (timesWide === 1 && timesHigh === 1) return rowAt;
  const row = new Uint8Array(wanted + 8 * maxH);
  if (smooth && timesWide === 2 && timesHigh <= 2 && width > 2) {
    const sums = new Int32Array(width);
    const isBoth = timesHigh === 2;
    return (y) => {
      const [near, far] = isBoth ? [rowAt(y >> 1), rowAt((y >> 1) + (y & 1 ? 1 : -1))] : [rowAt(y), null];
      for (let x = 0; x < width; x += 1) sums[x] = isBoth ? 3 * near[x] + far[x] : near[x];
      return widened(sums, width, row, isBoth ? [4, 8, 7] : [2, 1, 2]);
    };
  }
  if (smooth && timesWide === 1 && timesHigh === 2) {
    return (y) => {
      const [near, far, bias] = [rowAt(y >> 1), rowAt((y >> 1) + (y & 1 ? 1 : -1)), y & 1 ? 2 : 1];
      for (let x = 0; x < width; x += 1) row[x] = (3 * near[x] + far[x] + bias) >> 2;
      return row;
    };
  }
  if (!Number.isInteger(timesWide) || !Number.isInteger(timesHigh)) throw new Error("a JPEG whose colours are stored in such parts cannot be read here; save it again");
  return (y) => {
    const from = rowAt(Math.floor(y / timesHigh));
    for (let x = 0; x < wanted; x += 1) row[x] = from[Math.floor(x / timesWide)];
    return row;
  };
}

/** Twice as many samples, of `sums` that are 2 ** (shift - 2) times as large. */
function widened(sums, width, row, [shift, toLeft, toRight]) {
  const last = width - 1;
  row[0] = shift === 4 ? (4 * sums[0] + 8) >> 4 : sums[0];
  row[1] = (3 * sums[0] + sums[1] + toRight) >> shift;
  for (let x = 1; x < last; x += 1) {
    row[2 * x] = (3 * sums[x] + sums[x - 1] + toLeft) >> shift;
    row[2 * x + 1] = (3 * sums[x] + sums[x + 1] + toRight) >> shift;
  }
  row[2 * last] = (3 * sums[last] + sums[last - 1] + toLeft) >> shift;
  row[2 * last + 1] = shift === 4 ? (4 * sums[last] + 7) >> 4 : sums[last];
  return row;
}

const descaled = (value, bits) => (value + (1 << (bits - 1))) >> bits;
const sample = (value, bits) => clamp(descaled(value, bits) + 128);

function one(block, quant, work, samples, at) {
  samples[at] = sample(block[0] * quant[0], 3);
}

/** Two samples per side: of the odd coefficients only, besides the mean. */
function two(block, quant, work, samples, at, stride) {
  for (const x of [0, 1, 3, 5, 7]) {
    const mean = (block[x] * quant[x]) << (BITS + 2);
    const odd = ofTwo((row) => block[8 * row + x] * quant[8 * row + x]);
    work[x] = descaled(mean + odd, BITS - KEPT_BITS + 2);
    work[8 + x] = descaled(mean - odd, BITS - KEPT_BITS + 2);
  }
  for (let y = 0; y < 2; y += 1) {
    const mean = work[8 * y] << (BITS + 2);
    const odd = ofTwo((column) => work[8 * y + column]);
    samples[at + y * stride] = sample(mean + odd, BITS + KEPT_BITS + 5);
    samples[at + y * stride + 1] = sample(mean - odd, BITS + KEPT_BITS + 5);
  }
}

const ofTwo = (value) =>
  -F["0.720959822"] * value(7) + F["0.850430095"] * value(5) - F["1.272758580"] * value(3) + F["3.624509785"] * value(1);

function four(block, quant, work, samples, at, stride) {
  for (let x = 0; x < 8; x += 1) {
    if (x === 4) continue; // the rows do not use it
    const [first, second, third, fourth] = ofFour((row) => block[8 * row + x] * quant[8 * row + x], BITS - KEPT_BITS + 1);
    work[x] = first;
    work[8 + x] = second;
    work[16 + x] = third;
    work[24 + x] = fourth;
  }
  for (let y = 0; y < 4; y += 1) {
    const row = ofFour((column) => work[8 * y + column], BITS + KEPT_BITS + 4);
    for (let x = 0; x < 4; x += 1) samples[at + y * stride + x] = clamp(row[x] + 128);
  }
}

/** Four values of eight coefficients, of which the fifth is not used. */
function ofFour(value, bits) {
  const mean = value(0) << (BITS + 1);
  const even = F["1.847759065"] * value(2) - F["0.765366865"] * value(6);
  const [v7, v5, v3, v1] = [value(7), value(5), value(3), value(1)];
  const inner = -F["0.211164243"] * v7 + F["1.451774981"] * v5 - F["2.172734803"] * v3 + F["1.061594337"] * v1;
  const outer = -F["0.509795579"] * v7 - F["0.601344887"] * v5 + F["0.899976223"] * v3 + F["2.562915447"] * v1;
  return [descaled(mean + even + outer, bits), descaled(mean - even + inner, bits), descaled(mean - even - inner, bits), descaled(mean + even - outer, bits)];
}

const turned = new Int32Array(8);

function eight(block, quant, work, samples, at, stride) {
  for (let x = 0; x < 8; x += 1) {
    ofEight(block[x] * quant[x], block[8 + x] * quant[8 + x], block[16 + x] * quant[16 + x], block[24 + x] * quant[24 + x],
      block[32 + x] * quant[32 + x], block[40 + x] * quant[40 + x], block[48 + x] * quant[48 + x], block[56 + x] * quant[56 + x], BITS - KEPT_BITS);
    for (let y = 0; y < 8; y += 1) work[8 * y + x] = turned[y];
  }
  for (let y = 0; y < 8; y += 1) {
    const from = 8 * y;
    ofEight(work[from], work[from + 1], work[from + 2], work[from + 3], work[from + 4], work[from + 5], work[from + 6], work[from + 7], BITS + KEPT_BITS + 3);
    for (let x = 0; x < 8; x += 1) samples[at + y * stride + x] = clamp(turned[x] + 128);
  }
}

/** The inverse transform of eight coefficients (Loeffler, Ligtenberg and Moschytz, 1989), into `turned`. */
function ofEight(v0, v1, v2, v3, v4, v5, v6, v7, bits) {
  const both = (v2 + v6) * F["0.541196100"];
  const even2 = both - v6 * F["1.847759065"];
  const even3 = both + v2 * F["0.765366865"];
  const [sum, difference] = [(v0 + v4) << BITS, (v0 - v4) << BITS];
  const [e0, e3, e1, e2] = [sum + even3, sum - even3, difference + even2, difference - even2];
  const z5 = (v7 + v3 + v5 + v1) * F["1.175875602"];
  const z1 = -(v7 + v1) * F["0.899976223"];
  const z2 = -(v5 + v3) * F["2.562915447"];
  const z3 = z5 - (v7 + v3) * F["1.961570560"];
  const z4 = z5 - (v5 + v1) * F["0.390180644"];
  const o0 = v7 * F["0.298631336"] + z1 + z3;
  const o1 = v5 * F["2.053119869"] + z2 + z4;
  const o2 = v3 * F["3.072711026"] + z2 + z3;
  const o3 = v1 * F["1.501321110"] + z1 + z4;
  turned[0] = descaled(e0 + o3, bits);
  turned[7] = descaled(e0 - o3, bits);
  turned[1] = descaled(e1 + o2, bits);
  turned[6] = descaled(e1 - o2, bits);
  turned[2] = descaled(e2 + o1, bits);
  turned[5] = descaled(e2 - o1, bits);
  turned[3] = descaled(e3 + o0, bits);
  turned[4] = descaled(e3 - o0, bits);
}
