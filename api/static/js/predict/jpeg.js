// JPEG files to coefficients: markers, tables, and the Huffman code of sequential and progressive scans (ITU-T T.81).
// A browser's own decoder gives pixels at full size only, while training reads a JPEG at 1/2, 1/4 or 1/8 of its size,
// inside the inverse cosine transform: for that, the coefficients are needed.

const LOOKED_UP_BITS = 8;
const ZIGZAG = new Uint8Array([
  0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21, 28,
  35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
]);
const ENDS_EARLY = "the file ends before its image does";

/** {width, height, components, metadata, isYcc} of the bytes of a file; components have blocks of 64 coefficients. Throws an Error that says what is wrong. */
export function readJpeg(bytes, maxPixels) {
  const file = { quant: [], dc: [], ac: [], interval: 0, frame: null, jfif: false, adobe: null, exif: [], xmp: null, ended: false };
  let at = 2;
  while (!file.ended) {
    while (at < bytes.length && bytes[at] !== 0xff) at += 1;
    while (bytes[at] === 0xff) at += 1;
    if (at >= bytes.length) break;
    const marker = bytes[at];
    at += 1;
    if (marker === 0xd9) break;
    if (marker === 0 || marker === 1 || (marker >= 0xd0 && marker <= 0xd8)) continue;
    const end = at + ((bytes[at] << 8) | bytes[at + 1]);
    if (!(end <= bytes.length)) throw new Error(ENDS_EARLY);
    const part = bytes.subarray(at + 2, end);
    if (marker === 0xda) at = readScan(file, bytes, part, end);
    else {
      readSegment(file, marker, part, maxPixels);
      at = end;
    }
  }
  if (!file.frame?.scans) throw new Error(file.ended || file.frame ? ENDS_EARLY : "it has no picture in it");
  return { ...file.frame, isYcc: isYcc(file), metadata: { exif: file.exif, xmp: file.xmp } };
}

function readSegment(file, marker, part, maxPixels) {
  const starts = (text, from = 0) => [...text].every((letter, place) => part[from + place] === letter.charCodeAt(0));
  if (marker === 0xdb) readQuantisation(file, part);
  else if (marker === 0xc4) readHuffman(file, part);
  else if (marker === 0xdd) file.interval = (part[0] << 8) | part[1];
  else if (marker >= 0xc0 && marker <= 0xcf && marker !== 0xc8 && marker !== 0xcc) readFrame(file, marker, part, maxPixels);
  else if (marker === 0xe0 && starts("JFIF")) file.jfif = true;
  else if (marker === 0xee && starts("Adobe")) file.adobe = part[11] ?? null;
  else if (marker === 0xe1 && starts("Exif\0\0")) file.exif.push(part.subarray(6));
  else if (marker === 0xe1 && starts("ns.adobe.com/xap/1.0/\0", 7)) file.xmp = part.subarray(29);
}

function readQuantisation(file, part) {
  for (let at = 0; at < part.length; ) {
    const [deep, number] = [part[at] >> 4, part[at] & 15];
    at += 1;
    const table = (file.quant[number] = new Int32Array(64));
    for (let place = 0; place < 64; place += 1, at += deep ? 2 : 1) table[ZIGZAG[place]] = deep ? (part[at] << 8) | part[at + 1] : part[at];
  }
}

function readHuffman(file, part) {
  for (let at = 0; at + 17 <= part.length; ) {
    const kind = part[at] >> 4 ? file.ac : file.dc;
    const counts = part.subarray(at + 1, at + 17);
    const total = counts.reduce((sum, count) => sum + count, 0);
    kind[part[at] & 15] = makeTable(counts, part.subarray(at + 17, at + 17 + total));
    at += 17 + total;
  }
}

/** Codes of up to 8 bits are looked up, longer ones compared with the largest code of each length. */
function makeTable(counts, values) {
  const lookup = new Uint16Array(1 << LOOKED_UP_BITS); // length * 256 + value; 0: a longer code
  const largest = new Int32Array(17).fill(-1);
  const offset = new Int32Array(17);
  let code = 0;
  let place = 0;
  for (let length = 1; length <= 16; length += 1) {
    offset[length] = place - code;
    for (let number = 0; number < counts[length - 1]; number += 1, code += 1, place += 1) {
      if (length > LOOKED_UP_BITS) continue;
      const first = code << (LOOKED_UP_BITS - length);
      lookup.fill((length << 8) | values[place], first, first + (1 << (LOOKED_UP_BITS - length)));
    }
    if (counts[length - 1]) largest[length] = code - 1;
    code <<= 1;
  }
  return { lookup, largest, offset, values };
}

function readFrame(file, marker, part, maxPixels) {
  if (file.frame) throw new Error("a JPEG of several frames cannot be read here");
  if (marker > 0xc2) throw new Error("a lossless, hierarchical or arithmetic-coded JPEG cannot be read here; save it again as a usual JPEG or PNG");
  const [height, width, count] = [(part[1] << 8) | part[2], (part[3] << 8) | part[4], part[5]];
  if (part[0] !== 8) throw new Error(`a JPEG of ${part[0]} bits per colour cannot be read; save it again with 8`);
  if (count === 4) throw new Error("a JPEG in CMYK, the colours of printers, cannot be read here; save it again in RGB");
  if (count !== 1 && count !== 3) throw new Error(`a JPEG of ${count} colours cannot be read`);
  if (!width || !height) throw new Error("it has no pixels");
  if (width * height > maxPixels) throw new Error(`${width}x${height} pixels exceed the limit of ${maxPixels.toLocaleString("en")}; resize it`);
  const components = Array.from({ length: count }, (_, place) => {
    const [id, factors, quant] = part.subarray(6 + 3 * place, 9 + 3 * place);
    return { id, h: factors >> 4, v: factors & 15, quantNumber: quant };
  });
  if (components.some(({ h, v }) => !(h >= 1 && h <= 4 && v >= 1 && v <= 4))) throw new Error("its header is damaged");
  if (count === 1) components[0].h = components[0].v = 1; // of one component, the factors change nothing
  const maxH = Math.max(...components.map(({ h }) => h));
  const maxV = Math.max(...components.map(({ v }) => v));
  const [mcusWide, mcusHigh] = [Math.ceil(width / (8 * maxH)), Math.ceil(height / (8 * maxV))];
  for (const component of components) {
    component.blocksWide = mcusWide * component.h;
    component.blocksHigh = mcusHigh * component.v;
    component.ownWide = Math.ceil(Math.ceil((width * component.h) / maxH) / 8); // without those that only fill up
    component.ownHigh = Math.ceil(Math.ceil((height * component.v) / maxV) / 8);
    component.coefficients = new Int16Array(64 * component.blocksWide * component.blocksHigh);
  }
  file.frame = { width, height, components, maxH, maxV, mcusWide, mcusHigh, progressive: marker === 0xc2, scans: 0 };
}

/** As libjpeg guesses it: by markers, else by the names of components. */
function isYcc({ frame, jfif, adobe }) {
  if (frame.components.length !== 3) return false;
  if (jfif) return true;
  if (adobe !== null) return adobe !== 0;
  return String(frame.components.map(({ id }) => id)) !== "82,71,66";
}

/** Decode one scan, whose header is `part`, from `start` on; the position after it. */
function readScan(file, bytes, part, start) {
  const { frame } = file;
  if (!frame) throw new Error("its header is damaged");
  const chosen = Array.from({ length: part[0] }, (_, place) => {
    const [id, tables] = part.subarray(1 + 2 * place, 3 + 2 * place);
    const component = frame.components.find((each) => each.id === id);
    if (!component) throw new Error("its header is damaged");
    component.quant ??= file.quant[component.quantNumber]; // a later table of this number is for later components
    return { component, dc: file.dc[tables >> 4], ac: file.ac[tables & 15], predicted: 0 };
  });
  const [from, to, successive] = part.subarray(1 + 2 * part[0], 4 + 2 * part[0]);
  const bits = bitReader(bytes, start);
  const decodeBlock = frame.progressive ? progressiveBlock(bits, from, to, successive >> 4, successive & 15) : sequentialBlock(bits);
  const restart = () => {
    bits.restart();
    decodeBlock.restart();
    for (const one of chosen) one.predicted = 0;
  };
  if (chosen.length === 1) alone(frame, chosen[0], decodeBlock, file.interval, restart);
  else interleaved(frame, chosen, decodeBlock, file.interval, restart);
  frame.scans += 1;
  return bits.end();
}

function alone(frame, one, decodeBlock, interval, restart) {
  const { ownWide, ownHigh, blocksWide, coefficients } = one.component;
  for (let row = 0, done = 0; row < ownHigh; row += 1) {
    for (let column = 0; column < ownWide; column += 1, done += 1) {
      if (interval && done && done % interval === 0) restart();
      decodeBlock(one, coefficients, 64 * (row * blocksWide + column));
    }
  }
}

function interleaved(frame, chosen, decodeBlock, interval, restart) {
  for (let row = 0, done = 0; row < frame.mcusHigh; row += 1) {
    for (let column = 0; column < frame.mcusWide; column += 1, done += 1) {
      if (interval && done && done % interval === 0) restart();
      for (const one of chosen) {
        const { h, v, blocksWide, coefficients } = one.component;
        for (let y = 0; y < v; y += 1) {
          for (let x = 0; x < h; x += 1) decodeBlock(one, coefficients, 64 * ((row * v + y) * blocksWide + column * h + x));
        }
      }
    }
  }
}

/** The bits of a scan. Behind a marker come zeros, as many as are asked for; behind the end of the file, none. */
function bitReader(bytes, start) {
  let at = start;
  let buffer = 0;
  let count = 0;
  let invented = 0; // bits in the buffer that the file does not have

  function fill() {
    while (count <= 16) {
      let byte = bytes[at];
      if (byte === undefined) {
        if (count < invented) throw new Error(ENDS_EARLY);
        byte = 0;
        invented += 8;
      } else if (byte !== 0xff) at += 1;
      else if (bytes[at + 1] === 0) at += 2;
      else byte = 0; // a marker: it stays
      buffer = (buffer << 8) | byte;
      count += 8;
    }
  }

  return {
    /** The next value of a Huffman code. */
    symbol(table) {
      if (count < 16) fill();
      const found = table.lookup[(buffer >> (count - LOOKED_UP_BITS)) & 255];
      if (found) {
        count -= found >> 8;
        return found & 255;
      }
      for (let length = LOOKED_UP_BITS + 1; length <= 16; length += 1) {
        const code = (buffer >> (count - length)) & ((1 << length) - 1);
        if (code > table.largest[length]) continue;
        count -= length;
        return table.values[table.offset[length] + code];
      }
      throw new Error("its compressed data is damaged");
    },
    /** `length` bits as a number: 0 to 16 of them. */
    read(length) {
      if (count < length) fill();
      count -= length;
      return (buffer >> count) & ((1 << length) - 1);
    },
    restart() {
      buffer = count = invented = 0;
      while (bytes[at] === 0xff && bytes[at + 1] === 0xff) at += 1;
      if (bytes[at] === 0xff && bytes[at + 1] >= 0xd0 && bytes[at + 1] <= 0xd7) at += 2;
    },
    end() {
      if (count < invented) throw new Error(ENDS_EARLY);
      return at;
    },
  };
}

/** A number of `length` bits, of which the first one says the sign. */
const extended = (value, length) => (length && value < 1 << (length - 1) ? value - (1 << length) + 1 : value);

function sequentialBlock(bits) {
  const decode = (one, coefficients, start) => {
    const length = bits.symbol(one.dc);
    one.predicted += extended(bits.read(length), length);
    coefficients[start] = one.predicted;
    for (let place = 1; place < 64; place += 1) {
      const symbol = bits.symbol(one.ac);
      const size = symbol & 15;
      if (size) {
        place += symbol >> 4;
        const value = extended(bits.read(size), size);
        if (place < 64) coefficients[start + ZIGZAG[place]] = value;
      } else if (symbol >> 4 === 15) place += 15;
      else break;
    }
  };
  decode.restart = () => {};
  return decode;
}

/** Of a scan that brings the coefficients `from` to `to` with all bits but the lowest `low`, or one more bit of them. */
function progressiveBlock(bits, from, to, high, low) {
  let blocksToSkip = 0;

  function dcFirst(one, coefficients, start) {
    const length = bits.symbol(one.dc);
    one.predicted += extended(bits.read(length), length);
    coefficients[start] = one.predicted << low;
  }

  function dcAgain(one, coefficients, start) {
    if (bits.read(1)) coefficients[start] |= 1 << low;
  }

  function acFirst(one, coefficients, start) {
    if (blocksToSkip) {
      blocksToSkip -= 1;
      return;
    }
    for (let place = from; place <= to; place += 1) {
      const symbol = bits.symbol(one.ac);
      const [run, size] = [symbol >> 4, symbol & 15];
      if (size) {
        place += run;
        const value = extended(bits.read(size), size) * (1 << low);
        if (place < 64) coefficients[start + ZIGZAG[place]] = value;
      } else if (run === 15) place += 15;
      else {
        blocksToSkip = (1 << run) - 1 + (run ? bits.read(run) : 0);
        return;
      }
    }
  }

  function refine(coefficients, index) {
    if (bits.read(1) && !(Math.abs(coefficients[index]) & (1 << low))) coefficients[index] += coefficients[index] > 0 ? 1 << low : -(1 << low);
  }

  function acAgain(one, coefficients, start) {
    let place = from;
    if (!blocksToSkip) {
      for (; place <= to; place += 1) {
        const symbol = bits.symbol(one.ac);
        let zeros = symbol >> 4;
        let value = 0;
        if (symbol & 15) value = bits.read(1) ? 1 << low : -(1 << low);
        else if (zeros < 15) {
          blocksToSkip = (1 << zeros) + (zeros ? bits.read(zeros) : 0);
          break;
        }
        for (; place <= to; place += 1) {
          const index = start + ZIGZAG[place];
          if (coefficients[index]) refine(coefficients, index);
          else if (zeros === 0) break;
          else zeros -= 1;
        }
        if (value && place < 64) coefficients[start + ZIGZAG[place]] = value;
      }
    }
    if (!blocksToSkip) return;
    for (; place <= to; place += 1) {
      const index = start + ZIGZAG[place];
      if (coefficients[index]) refine(coefficients, index);
    }
    blocksToSkip -= 1;
  }

  const decode = from === 0 ? (high ? dcAgain : dcFirst) : high ? acAgain : acFirst;
  decode.restart = () => {
    blocksToSkip = 0;
  };
  return decode;
}
