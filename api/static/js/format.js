// Numbers and times in readable form.

const whole = new Intl.NumberFormat("en");

export const count = (number) => whole.format(number);

/** (1, "class") -> "1 class", (2, "class") -> "2 classes". */
export function counted(number, noun) {
  const many = noun.endsWith("s") ? `${noun}es` : `${noun}s`;
  return `${count(number)} ${number === 1 ? noun : many}`;
}

/** A message as a sentence: "no split is given" -> "No split is given."; one that begins with a name keeps it. */
export function sentence(text) {
  const first = /^[a-z]+[ ,:;]/.test(text) ? text[0].toUpperCase() : text[0];
  return `${first}${text.slice(1)}${/[.!?:]$/.test(text) ? "" : "."}`;
}

export const percent = (number, digits = 2) => (number === null || number === undefined ? "–" : `${number.toFixed(digits)}%`);

/** Of a share (Wilson, 1927): (17, 30) -> "39.2 to 72.6%". */
export function interval(correct, images) {
  const z = 1.96;
  const share = correct / images;
  const middle = (share + z * z / (2 * images)) / (1 + z * z / images);
  const half = (z / (1 + z * z / images)) * Math.sqrt(share * (1 - share) / images + z * z / (4 * images * images));
  return `${(100 * Math.max(0, middle - half)).toFixed(1)} to ${(100 * (middle + half)).toFixed(1)}%`;
}

/** 4500000 -> "4.5M", with at most `digits` significant digits. */
export function macs(number, digits = 3) {
  for (const [suffix, scale] of [["G", 1e9], ["M", 1e6], ["k", 1e3]]) {
    if (number >= scale) return `${Number((number / scale).toPrecision(digits))}${suffix}`;
  }
  return String(number);
}

/** 4500000 -> "4.5 MB". */
export function bytes(number) {
  for (const [suffix, scale] of [["GB", 1e9], ["MB", 1e6], ["kB", 1e3]]) {
    if (number >= scale) return `${Number((number / scale).toPrecision(3))} ${suffix}`;
  }
  return `${number} B`;
}

/** "4.5M" -> 4500000; null if it is not a number of MACs. */
export function parseMacs(text) {
  const match = /^\s*(\d+(?:\.\d{1,9})?)([kMG]?)\s*$/.exec(text);
  return match ? Math.round(Number(match[1]) * { "": 1, k: 1e3, M: 1e6, G: 1e9 }[match[2]]) : null;
}

/** 83.2 -> "1 min 23 s". */
export function duration(seconds) {
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  const total = Math.round(seconds);
  if (total < 60) return `${total} s`;
  if (total < 3600) return `${Math.floor(total / 60)} min ${total % 60} s`;
  return `${Math.floor(total / 3600)} h ${Math.floor((total % 3600) / 60)} min`;
}

/** How long ago an RFC 3339 time was. */
export function ago(time) {
  const seconds = (Date.now() - Date.parse(time)) / 1000;
  if (seconds < 45) return "just now";
  if (seconds < 3600) return `${Math.round(seconds / 60)} min ago`;
  if (seconds < 86400) return `${Math.round(seconds / 3600)} h ago`;
  return new Date(time).toLocaleDateString();
}

export const clock = (time) => new Date(time).toLocaleTimeString();
