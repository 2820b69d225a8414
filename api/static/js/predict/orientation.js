// How an image is to be turned, as its metadata says it, and turning it.

const TAG = 0x0112;

/** 1 to 8, of EXIF data without its "Exif" heading, else of XMP; 1 if neither says it, or it cannot be read. `parts`: of the EXIF data. */
export function orientationOf({ exif: parts, xmp }, maxExifBytes) {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  if (length + 6 > maxExifBytes && parts.length) return 1;
  const exif = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    exif.set(part, at);
    at += part.length;
  }
  const found = ofExif(exif) ?? ofXmp(xmp);
  return found >= 1 && found <= 8 ? found : 1;
}

function ofExif(exif) {
  if (exif.length < 8) return undefined;
  const view = new DataView(exif.buffer);
  const isLittle = exif[0] === 0x49;
  try {
    const start = view.getUint32(4, isLittle);
    const entries = view.getUint16(start, isLittle);
    for (let entry = 0; entry < entries; entry += 1) {
      const at = start + 2 + 12 * entry;
      if (view.getUint16(at, isLittle) === TAG) return view.getUint16(at + 8, isLittle);
    }
  } catch {
    return undefined; // damaged metadata: it never costs an image
  }
  return undefined;
}

const ofXmp = (xmp) => {
  const found = xmp && /tiff:Orientation(?:="|>)([0-9])/.exec(new TextDecoder("latin1").decode(xmp));
  return found ? Number(found[1]) : undefined;
};

/** {width, height, rgb} turned and mirrored as `orientation` says. */
export function upright(picture, orientation) {
  if (orientation === 1) return picture;
  const { width, height, rgb } = picture;
  const isSideways = orientation > 4;
  const [toWidth, toHeight] = isSideways ? [height, width] : [width, height];
  const turned = new Uint8Array(rgb.length);
  const fromRight = [2, 3, 7, 8].includes(orientation); // of the source, while the target goes from left to right, or down
  const fromBottom = [3, 4, 6, 7].includes(orientation);
  for (let y = 0, to = 0; y < toHeight; y += 1) {
    for (let x = 0; x < toWidth; x += 1, to += 3) {
      const [column, row] = isSideways ? [y, x] : [x, y];
      const from = 3 * ((fromBottom ? height - 1 - row : row) * width + (fromRight ? width - 1 - column : column));
      turned[to] = rgb[from];
      turned[to + 1] = rgb[from + 1];
      turned[to + 2] = rgb[from + 2];
    }
  }
  return { width: toWidth, height: toHeight, rgb: turned };
}
