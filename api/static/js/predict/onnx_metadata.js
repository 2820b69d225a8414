// What an ONNX file of a search says of itself: its classes, and how images are prepared for it. The runtime does not
// tell, so that the file is read as the message of Protocol Buffers that it is.

const METADATA = 14; // the field of a model that has pairs of a key (1) and a value (2)
const LENGTH_DELIMITED = 2;

/** The metadata of the bytes of an ONNX file, by key. Throws an Error if it is no such file. */
export function readMetadata(bytes) {
  const text = (part) => new TextDecoder().decode(part);
  return Object.fromEntries(
    fields(bytes)
      .filter(({ field }) => field === METADATA)
      .map(({ content }) => {
        const pair = fields(content);
        return [1, 2].map((wanted) => text(pair.find(({ field }) => field === wanted)?.content ?? new Uint8Array()));
      }),
  );
}

/** The fields of a message that have a content of bytes. */
function fields(bytes) {
  const found = [];
  let at = 0;
  const number = () => {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = bytes[at];
      if (byte === undefined) throw new Error("the file is no whole ONNX file");
      at += 1;
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
  };
  while (at < bytes.length) {
    const tag = number();
    const kind = tag & 7;
    if (kind === 0) number();
    else if (kind === 1) at += 8;
    else if (kind === 5) at += 4;
    else if (kind === LENGTH_DELIMITED) {
      const length = number();
      if (at + length > bytes.length) throw new Error("the file is no whole ONNX file");
      found.push({ field: Math.floor(tag / 8), content: bytes.subarray(at, at + length) });
      at += length;
    } else throw new Error("the file is no ONNX file");
  }
  return found;
}
