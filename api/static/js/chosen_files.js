// What a user chose or dropped to upload: one zip archive, or the files of a folder, each with its path in it.

const HIDDEN = /(^|\/)(\.|__MACOSX)/;

/** From a drop: {archive}, or {files, hidden, folder}, or null if there is neither. */
export async function fromDrop(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  const [first] = entries;
  if (entries.length === 1 && first.isFile) return fromFiles([...transfer.files]);
  const files = [];
  for (const entry of entries) await collect(entry, files);
  return fromPaths(files);
}

/** From a chooser of files, or of a folder. */
export function fromFiles(files) {
  if (files.length === 1 && !files[0].webkitRelativePath) return { archive: files[0] };
  return fromPaths(files.map((file) => ({ path: file.webkitRelativePath || file.name, file })));
}

/** Without the folder around everything, and without files that systems hide. */
function fromPaths(files) {
  const tops = new Set(files.map(({ path }) => path.split("/")[0]));
  const isOneFolder = tops.size === 1 && files.every(({ path }) => path.includes("/"));
  const below = isOneFolder ? files.map(({ path, file }) => ({ path: path.slice(path.indexOf("/") + 1), file })) : files;
  const shown = below.filter(({ path }) => !HIDDEN.test(path));
  return shown.length ? { files: shown, hidden: below.length - shown.length, folder: isOneFolder ? [...tops][0] : "" } : null;
}

async function collect(entry, files) {
  if (entry.isFile) {
    files.push({ path: entry.fullPath.slice(1), file: await new Promise((resolve, reject) => entry.file(resolve, reject)) });
    return;
  }
  const reader = entry.createReader();
  for (;;) {
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject)); // at most a hundred at a time
    if (!some.length) return;
    for (const inner of some) await collect(inner, files);
  }
}
