// From the bytes of an image file to the pixels that a network gets: the recipe of preprocess.json, step by step.

import { readJpeg } from "./jpeg.js";
import { toRgb } from "./jpeg_pixels.js";
import { orientationOf, upright } from "./orientation.js";
import { overWhite, pngToRgb } from "./png.js";
import { square } from "./resample.js";

const MAX_EXIF_BYTES = 65536; // of earlier networks, whose recipe does not say it
// The steps of a recipe that are done here, each with what it may say.
const KNOWN = {
  decode: { frame: 0, colour_profile: "ignored" },
  jpeg_draft: { denominators: [8, 4, 2, 1] },
  turn: { exif_tag: 0x0112 },
  to_rgb: { background: [255, 255, 255] },
  box_reduction: { applies_from_factor: 2 },
  crop_and_resize: { crop: "centre square", filter: "triangle", antialias: true },
  normalise: { layout: "NCHW" },
};
const TEXT = { GIF: "GIF8", BMP: "BM" };

/** (R, R, 3) bytes, as training and verify.py decode the file. Throws an Error that says why it cannot be read. */
export async function prepare(bytes, preprocess) {
  if (bytes.length > preprocess.max_image_bytes) throw new Error(`the file has more than ${preprocess.max_image_bytes.toLocaleString("en")} bytes`);
  const unknown = unknownStep(preprocess);
  if (unknown) throw new Error(`its network is fed images prepared in another way (${unknown}) than this page prepares them; use autonl predict`);
  const { resolution } = preprocess;
  const turn = preprocess.operations?.find(({ operation }) => operation === "turn");
  const { picture, metadata } = await decoded(bytes, preprocess);
  return square(upright(picture, metadata ? orientationOf(metadata, turn?.max_exif_bytes ?? MAX_EXIF_BYTES) : 1), resolution);
}

/** The first step of a recipe that this page does not know, or does in another way; undefined: there is none. */
function unknownStep({ operations = [] }) {
  const differs = ({ operation, ...said }) =>
    !KNOWN[operation] || Object.entries(KNOWN[operation]).some(([name, value]) => name in said && String(said[name]) !== String(value));
  return operations.find(differs)?.operation;
}

/** Whether every pixel equals Pillow's: others come from the decoder of the browser. */
export const isExact = (bytes) => ["JPEG", "PNG"].includes(formatOf(bytes));

async function decoded(bytes, { resolution, max_image_pixels: maxPixels, grey_range: greyRange }) {
  const format = formatOf(bytes);
  if (format === "JPEG") {
    const jpeg = readJpeg(bytes, maxPixels);
    const reach = Math.floor(Math.min(jpeg.width, jpeg.height) / resolution);
    return { picture: toRgb(jpeg, [8, 4, 2].find((denominator) => denominator <= reach) ?? 1), metadata: jpeg.metadata };
  }
  if (format === "PNG") {
    const { metadata, ...picture } = await pngToRgb(bytes, { maxPixels, greyRange });
    return { picture, metadata };
  }
  if (format === null) throw new Error("it is no image that a browser reads as training does: choose a JPEG, PNG, WebP, GIF, BMP or AVIF file");
  if (["HEIC", "TIFF", "PPM"].includes(format)) throw new Error(`browsers do not read ${format}: choose a JPEG or PNG file, or use autonl predict`);
  return { picture: await byBrowser(bytes, format, maxPixels), metadata: null };
}

/** By content, as training does it. */
function formatOf(bytes) {
  const text = String.fromCharCode(...bytes.subarray(0, 12));
  if (text.startsWith("\xff\xd8\xff")) return "JPEG";
  if (text.startsWith("\x89PNG\r\n\x1a\n")) return "PNG";
  if (text.startsWith("RIFF") && text.endsWith("WEBP")) return "WebP";
  if (text.slice(4, 8) === "ftyp") return text.startsWith("avi", 8) ? "AVIF" : "HEIC";
  if (/^(?:II\*\0|MM\0\*|II\+\0|MM\0\+)/.test(text)) return "TIFF";
  if (/^P[1-7Ff][\s]/.test(text)) return "PPM";
  return Object.keys(TEXT).find((name) => text.startsWith(TEXT[name])) ?? null;
}

async function byBrowser(bytes, format, maxPixels) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(new Blob([bytes]), { premultiplyAlpha: "none", colorSpaceConversion: "none" });
  } catch {
    throw new Error(`this browser cannot read this ${format} file; save it again as JPEG or PNG`);
  }
  const { width, height } = bitmap;
  if (width * height > maxPixels) throw new Error(`${width}x${height} pixels exceed the limit of ${maxPixels.toLocaleString("en")}; resize it`);
  const drawing = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  drawing.drawImage(bitmap, 0, 0);
  bitmap.close();
  const { data } = drawing.getImageData(0, 0, width, height);
  const rgb = new Uint8Array(3 * width * height);
  for (let from = 0, to = 0; from < data.length; from += 4, to += 3) {
    for (let colour = 0; colour < 3; colour += 1) rgb[to + colour] = overWhite(data[from + colour], data[from + 3]);
  }
  return { width, height, rgb };
}

/** (R, R, 3) bytes as the input of a network whose input is float32: (1, 3, R, R), with the arithmetic of pixels.py. */
export function normalised(pixels, { mean, std, resolution }) {
  const area = resolution * resolution;
  const input = new Float32Array(3 * area);
  for (let colour = 0; colour < 3; colour += 1) {
    const [middle, spread] = [mean, std].map((values) => Math.fround(Math.fround(values[colour]) * 255));
    for (let place = 0; place < area; place += 1) input[colour * area + place] = Math.fround(pixels[3 * place + colour] - middle) / spread;
  }
  return input;
}
