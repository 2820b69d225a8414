// PNG files to RGB pixels, as Pillow and the recipe of a network convert them. Browsers blend and scale colours of their
// own: transparency loses bits, and 16 bits of grey become 8.

import { readPng } from "./png_file.js";

/** {width, height, rgb, metadata} of the bytes of a file; `greyRange`: which values of 16 bits are black and white, or null. */
export async function pngToRgb(bytes, { maxPixels, greyRange }) {
  const png = await readPng(bytes, maxPixels);
  const { width, height, pass, depth, colour } = png;
  const rgb = new Uint8Array(3 * width * height);
  const convert = converter(png, greyRange);
  for (const { rows, stride, wide, high, x0, y0, dx, dy } of pass) {
    for (let y = 0; y < high; y += 1) {
      for (let x = 0; x < wide; x += 1) convert(rows, y * stride, x, rgb, 3 * ((y0 + y * dy) * width + x0 + x * dx));
    }
  }
  return { width, height, rgb, metadata: png.metadata, isDeep: depth === 16 && colour === 0 };
}

const GREY = 0;
const PALETTE = 3;

function converter({ depth, colour, palette, transparency }, greyRange) {
  const channels = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 }[colour];
  const bytes = depth === 16 ? 2 : 1;
  if (colour === GREY && depth === 16) {
    const levels = greyLevels(greyRange);
    return (rows, start, x, rgb, at) => rgb.fill(levels((rows[start + 2 * x] << 8) | rows[start + 2 * x + 1]), at, at + 3);
  }
  if (depth < 8 || channels === 1) {
    const colours = lookup(depth, colour, palette, transparency);
    const mask = (1 << depth) - 1;
    return (rows, start, x, rgb, at) => {
      const bit = x * depth;
      const value = (rows[start + (bit >> 3)] >> (8 - depth - (bit & 7))) & mask;
      rgb.set(colours.subarray(3 * value, 3 * value + 3), at);
    };
  }
  // Of 16 bits, Pillow keeps the upper 8.
  const hasAlpha = colour >= 4;
  const hidden = transparency && colour === 2 ? [transparency[1], transparency[3], transparency[5]] : null;
  return (rows, start, x, rgb, at) => {
    const from = start + x * channels * bytes;
    const isHidden = hidden !== null && hidden.every((value, place) => rows[from + place * bytes] === value);
    const alpha = hasAlpha ? rows[from + (channels - 1) * bytes] : isHidden ? 0 : 255;
    for (let place = 0; place < 3; place += 1) rgb[at + place] = overWhite(rows[from + (channels > 2 ? place * bytes : 0)], alpha);
  };
}

/** The colours of all values of a grey or palette image. */
function lookup(depth, colour, palette, transparency) {
  const colours = new Uint8Array(3 << depth);
  if (colour === PALETTE && !palette) throw new Error("it has no palette");
  const steps = 255 / ((1 << depth) - 1);
  const given = transparency && colour === GREY ? (transparency[0] << 8) | transparency[1] : -1;
  const hidden = given < 0 ? -1 : depth === 1 ? (given ? 255 : 0) : given & 255; // as Pillow compares: with the grey of 8 bits
  for (let value = 0; value < 1 << depth; value += 1) {
    const own = colour === PALETTE ? palette.subarray(3 * value, 3 * value + 3) : [steps * value, steps * value, steps * value];
    const alpha = colour === PALETTE ? (transparency?.[value] ?? 255) : steps * value === hidden ? 0 : 255;
    colours.set([0, 1, 2].map((place) => overWhite(own[place] ?? 0, alpha)), 3 * value);
  }
  return colours;
}

/** Pillow's `alpha_composite` over opaque white. */
export function overWhite(value, alpha) {
  if (alpha === 0) return 255;
  const blended = 128 * (value * alpha + 255 * (255 - alpha)) + (128 << 7);
  return ((blended >> 8) + blended) >> 15;
}

/** From 16 bits to 8: the range of the dataset; without one, 65535 is white. */
function greyLevels(greyRange) {
  const [low, high] = greyRange ?? [0, 65535];
  const level = greyRange
    ? (value) => ((Math.min(Math.max(value, low), high) - low) * 255) / (high - low)
    : (value) => value * (255 / 65535);
  return (value) => halfToEven(level(value));
}

function halfToEven(value) {
  const whole = Math.floor(value);
  const rest = value - whole;
  return rest > 0.5 || (rest === 0.5 && whole % 2 === 1) ? whole + 1 : whole;
}
