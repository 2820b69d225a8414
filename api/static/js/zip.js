// Packs files into a zip archive, uncompressed: images do not shrink. The archive refers to the files and copies none,
// so that folders of any size can be packed. The same files give the same archive.

const MOST_ENTRIES = 0xffff; // beyond these, the archive has the fields of zip64 too
const MOST_BYTES = 0xffffffff;
const MADE_AT = 0x00210000; // 1980-01-01, as 16 bits of the date above 16 of the time
const NAME_IS_UTF8 = 0x0800;

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit += 1) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  return crc;
});

/** A Blob with `files`, a list of {path, file}. `onPacked` is called with how many have been read. */
export async function zip(files, onPacked) {
  const parts = [];
  const directory = [];
  let offset = 0;
  const ordered = [...files].sort((a, b) => (a.path < b.path ? -1 : 1));
  for (const [index, { path, file }] of ordered.entries()) {
    if (file.size >= MOST_BYTES) throw new Error(`${path} is larger than 4 GB, which no image is`);
    const name = new TextEncoder().encode(path);
    const entry = { name, crc: await crcOf(file, path), size: file.size, offset };
    const head = localHeader(entry);
    parts.push(head, name, file);
    directory.push(...centralHeader(entry));
    offset += head.byteLength + name.byteLength + file.size;
    onPacked(index + 1);
  }
  const bytes = directory.reduce((sum, part) => sum + part.byteLength, 0);
  return new Blob([...parts, ...directory, end(ordered.length, bytes, offset)], { type: "application/zip" });
}

async function crcOf(file, path) {
  let crc = 0xffffffff;
  try {
    const reader = file.stream().getReader();
    for (let { done, value } = await reader.read(); !done; { done, value } = await reader.read()) {
      for (let place = 0; place < value.length; place += 1) crc = CRC_TABLE[(crc ^ value[place]) & 0xff] ^ (crc >>> 8);
    }
  } catch (error) {
    throw new Error(`${path} cannot be read: ${error.message}`);
  }
  return ~crc >>> 0;
}

/** Little-endian fields, a list of [bytes, value]. */
function fields(listed) {
  const view = new DataView(new ArrayBuffer(listed.reduce((sum, [bytes]) => sum + bytes, 0)));
  let place = 0;
  for (const [bytes, value] of listed) {
    if (bytes === 2) view.setUint16(place, value, true);
    else if (bytes === 4) view.setUint32(place, value, true);
    else view.setBigUint64(place, BigInt(value), true);
    place += bytes;
  }
  return view.buffer;
}

const version = (isLarge) => (isLarge ? 45 : 20);
const common = ({ name, crc, size }, isLarge, extra) => [
  [2, version(isLarge)], [2, NAME_IS_UTF8], [2, 0], [4, MADE_AT], [4, crc], [4, size], [4, size], [2, name.byteLength], [2, extra],
];

const localHeader = (entry) => fields([[4, 0x04034b50], ...common(entry, false, 0)]);

function centralHeader(entry) {
  const isLarge = entry.offset >= MOST_BYTES;
  const extra = fields(isLarge ? [[2, 1], [2, 8], [8, entry.offset]] : []);
  const head = fields([
    [4, 0x02014b50], [2, version(isLarge)], ...common(entry, isLarge, extra.byteLength),
    [2, 0], [2, 0], [2, 0], [4, 0], [4, isLarge ? MOST_BYTES : entry.offset],
  ]);
  return [head, entry.name, extra];
}

function end(count, bytes, offset) {
  const isLarge = count >= MOST_ENTRIES || bytes >= MOST_BYTES || offset >= MOST_BYTES;
  const large = [
    [4, 0x06064b50], [8, 44], [2, 45], [2, 45], [4, 0], [4, 0], [8, count], [8, count], [8, bytes], [8, offset],
    [4, 0x07064b50], [4, 0], [8, offset + bytes], [4, 1],
  ];
  const entries = Math.min(count, MOST_ENTRIES);
  return fields([
    ...(isLarge ? large : []),
    [4, 0x06054b50], [2, 0], [2, 0], [2, entries], [2, entries], [4, Math.min(bytes, MOST_BYTES)], [4, Math.min(offset, MOST_BYTES)], [2, 0],
  ]);
}
