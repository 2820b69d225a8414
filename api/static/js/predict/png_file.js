// The chunks of a PNG file, decompressed and without their filters.

const PASSES = [[0, 0, 8, 8], [4, 0, 8, 8], [0, 4, 4, 8], [2, 0, 4, 4], [0, 2, 2, 4], [1, 0, 2, 2], [0, 1, 1, 2]]; // x0, y0, dx, dy
const DEPTHS = { 0: [1, 2, 4, 8, 16], 2: [8, 16], 3: [1, 2, 4, 8], 4: [8, 16], 6: [8, 16] };
const CHANNELS = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 };
const EARLY = "the file ends before its image does";

/** {width, height, depth, colour, palette, transparency, metadata, pass}: one pass, or the seven of Adam7. Throws an Error that says what is wrong. */
export async function readPng(bytes, maxPixels) {
  const png = { palette: null, transparency: null, metadata: { exif: [], xmp: null }, parts: [] };
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 8; at + 12 <= bytes.length; ) {
    const length = view.getUint32(at);
    const kind = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    const content = bytes.subarray(at + 8, at + 8 + length);
    if (content.length < length) throw new Error(EARLY);
    if (kind === "IHDR") readHeader(png, content, maxPixels);
    else if (kind === "PLTE") png.palette = content;
    else if (kind === "tRNS") png.transparency = content;
    else if (kind === "eXIf") png.metadata.exif = [content];
    else if (kind === "iTXt" && latin1(content.subarray(0, 18)) === "XML:com.adobe.xmp\0" && content[18] === 0) png.metadata.xmp = content;
    else if (kind === "IDAT") png.parts.push(content);
    else if (kind === "IEND") break;
    at += 12 + length;
  }
  if (!png.depth) throw new Error("its header is damaged");
  const inflated = await inflate(png.parts);
  png.pass = png.interlaced ? interlacedPasses(png, inflated) : [unfiltered(png, inflated, 0, [0, 0, 1, 1]).pass];
  return png;
}

const latin1 = (bytes) => new TextDecoder("latin1").decode(bytes);

function readHeader(png, content, maxPixels) {
  const view = new DataView(content.buffer, content.byteOffset, content.byteLength);
  [png.width, png.height] = [view.getUint32(0), view.getUint32(4)];
  [png.depth, png.colour, , , png.interlaced] = content.subarray(8, 13);
  if (!png.width || !png.height || !DEPTHS[png.colour]?.includes(png.depth)) throw new Error("its header is damaged");
  if (png.width * png.height > maxPixels) throw new Error(`${png.width}x${png.height} pixels exceed the limit of ${maxPixels.toLocaleString("en")}; resize it`);
}

async function inflate(parts) {
  try {
    return new Uint8Array(await new Response(new Blob(parts).stream().pipeThrough(new DecompressionStream("deflate"))).arrayBuffer());
  } catch {
    throw new Error("its compressed data is damaged, or ends early");
  }
}

function interlacedPasses(png, inflated) {
  const passes = [];
  let at = 0;
  for (const place of PASSES) {
    const { pass, end } = unfiltered(png, inflated, at, place);
    at = end;
    if (pass) passes.push(pass);
  }
  return passes;
}

/** One pass, from position `at` on: {rows, stride, wide, high, ...}, or null if it has no pixels. */
function unfiltered(png, inflated, at, [x0, y0, dx, dy]) {
  const [wide, high] = [Math.ceil((png.width - x0) / dx), Math.ceil((png.height - y0) / dy)];
  if (wide <= 0 || high <= 0) return { pass: null, end: at };
  const bits = png.depth * CHANNELS[png.colour];
  const stride = Math.ceil((wide * bits) / 8);
  const step = Math.max(1, bits >> 3); // bytes to the pixel at the left
  const rows = new Uint8Array(stride * high);
  if (inflated.length < at + high * (stride + 1)) throw new Error(EARLY);
  for (let y = 0; y < high; y += 1, at += stride + 1) {
    const row = rows.subarray(y * stride, (y + 1) * stride);
    const above = y ? rows.subarray((y - 1) * stride, y * stride) : new Uint8Array(stride);
    row.set(inflated.subarray(at + 1, at + 1 + stride));
    undo(inflated[at], row, above, step);
  }
  return { pass: { rows, stride, wide, high, x0, y0, dx, dy }, end: at };
}

function undo(filter, row, above, step) {
  if (filter === 1) for (let x = step; x < row.length; x += 1) row[x] += row[x - step];
  else if (filter === 2) for (let x = 0; x < row.length; x += 1) row[x] += above[x];
  else if (filter === 3) for (let x = 0; x < row.length; x += 1) row[x] += ((x < step ? 0 : row[x - step]) + above[x]) >> 1;
  else if (filter === 4) {
    for (let x = 0; x < row.length; x += 1) row[x] += x < step ? above[x] : nearest(row[x - step], above[x], above[x - step]);
  } else if (filter !== 0) throw new Error("its compressed data is damaged");
}

function nearest(left, above, corner) {
  const guess = left + above - corner;
  const [toLeft, toAbove, toCorner] = [Math.abs(guess - left), Math.abs(guess - above), Math.abs(guess - corner)];
  return toLeft <= toAbove && toLeft <= toCorner ? left : toAbove <= toCorner ? above : corner;
}
