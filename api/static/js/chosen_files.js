// What a user chose or dropped to upload: one zip archive, or the files of a folder, each with its path in it. Empty
// folders are kept, with a slash at the end: a class may be there before its images are.

// What systems, file servers and photo managers write for their own use; the check of a dataset leaves it out as well.
const SYSTEM_FILES = ["thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r"];
const SYSTEM_FOLDERS = ["@eadir", "@tmp", "@recycle", "@recently-snapshot", "#recycle", "#snapshot", "$recycle.bin", "recycler",
  "system volume information", "lost+found", "_vti_cnf", "ipod photo cache"];

/** From a drop: {archive}, or {files, hidden, folder} with the names that were left out, or null if there is neither. */
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
  const shown = below.filter(({ path }) => leftBehind(path) === undefined);
  const hidden = [...new Set(below.map(({ path }) => leftBehind(path)).filter(Boolean))].sort();
  const isEmpty = shown.every(({ path }) => path.endsWith("/"));
  return isEmpty ? null : { files: shown, hidden, folder: isOneFolder ? [...tops][0] : "" };
}

/** The first name in a path for which the file is left out: hidden, or of a system; undefined: there is none. */
export function leftBehind(path) {
  const names = path.split("/");
  const isOurs = (name) => !(name.startsWith(".") || name.startsWith("__MACOSX") || SYSTEM_FOLDERS.includes(name.toLowerCase()));
  const found = names.find((name) => !isOurs(name));
  return found ?? (SYSTEM_FILES.includes(names.at(-1).toLowerCase()) ? names.at(-1) : undefined);
}

async function collect(entry, files) {
  if (entry.isFile) {
    files.push({ path: entry.fullPath.slice(1), file: await new Promise((resolve, reject) => entry.file(resolve, reject)) });
    return;
  }
  const inside = await entriesOf(entry);
  if (!inside.length) files.push({ path: `${entry.fullPath.slice(1)}/`, file: new Blob([]) });
  for (const inner of inside) await collect(inner, files);
}

async function entriesOf(folder) {
  const reader = folder.createReader();
  const entries = [];
  for (;;) {
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject)); // a hundred at most
    if (!some.length) return entries;
    entries.push(...some);
  }
}
