"""What the name of a file says: an image, something else, or left behind by an operating system."""

from __future__ import annotations

import functools
from collections.abc import Iterable

Parts = tuple[str, ...]  # the components of a name


def words(text: str) -> frozenset[str]:
    """The words of a text, each once."""
    return frozenset(text.split())


FORMER_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".ppm", ".pgm", ".tif", ".tiff"})
IMAGE_SUFFIXES = FORMER_SUFFIXES | {".jfif", ".heic", ".heif", ".avif"}
# Images that are not supported: to be converted, not overlooked.
FOREIGN_IMAGE_SUFFIXES = words(
    ".svg .psd .eps .ai .raw .cr2 .cr3 .nef .arw .orf .rw2 .dng .jp2 .j2k .jxl .dcm .nii .exr .hdr .tga .ico .pcx "
    ".xcf .mp4 .mov .avi .mkv .webm .m4v .wmv"
)
ARCHIVE_SUFFIXES = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar", ".zst")
DOCUMENT_SUFFIXES = words(
    ".txt .csv .tsv .json .jsonl .xml .yaml .yml .md .rst .html .htm .pdf .doc .docx .xls .xlsx .ods .odt .ppt .pptx "
    ".rtf .py .ipynb .sh .bat .log .ini .cfg .toml .lock .url .webloc .lnk .db .sqlite"
)
_DATA_SUFFIXES = words(
    ".npy .npz .mat .h5 .hdf5 .pkl .pt .pth .onnx .safetensors .bin .mp3 .wav .flac .parquet .arrow .tfrecord"
)
_NOT_OPENED = DOCUMENT_SUFFIXES | _DATA_SUFFIXES | FOREIGN_IMAGE_SUFFIXES

_SYSTEM_FILES = frozenset({"thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r"})
_SYSTEM_FOLDERS = frozenset(  # thumbnails and bins of Windows, macOS, Synology, QNAP, Linux and photo managers
    {
        "@eadir", "@tmp", "@recycle", "@recently-snapshot", "#recycle", "#snapshot", "$recycle.bin", "recycler",
        "system volume information", "lost+found", "_vti_cnf", "ipod photo cache",
    }
)  # fmt: skip

_FIRST_BYTES = (
    b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a", b"BM", b"II*\0", b"MM\0*",
    b"P1", b"P2", b"P3", b"P4", b"P5", b"P6",
)  # fmt: skip
_SUFFIXES = (
    (b"\xff\xd8", ".jpg"), (b"\x89PNG", ".png"), (b"GIF", ".gif"), (b"RIFF", ".webp"), (b"BM", ".bmp"),
    (b"II", ".tif"), (b"MM", ".tif"), (b"P", ".ppm"),
)  # fmt: skip
_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1", b"avif", b"avis")


def parts_of(name: str) -> Parts:
    """The components of a name, without empty ones and `.`."""
    return tuple(part for part in name.split("/") if part not in ("", "."))


def suffix_of(name: str) -> str:
    """The suffix in lower case, with its dot; empty if there is none."""
    last = name[name.rfind("/") + 1 :]
    dot = last.rfind(".")
    return last[dot:].lower() if dot > 0 else ""


def is_image_name(name: str) -> bool:
    """Whether a name has the suffix of a supported image. Whether it is one depends on its content."""
    return name[name.rfind(".") :].lower() in IMAGE_SUFFIXES


def may_be_image(name: str) -> bool:
    """Whether a file has to be opened to know whether it is an image: its suffix says so, or says nothing."""
    return is_image_name(name) or not (suffix_of(name) in _NOT_OPENED or name.lower().endswith(ARCHIVE_SUFFIXES))


def starts_like_an_image(data: bytes) -> bool:
    """Whether these are the first bytes of a file in a supported format."""
    if data.startswith(b"RIFF"):
        return data[8:12] == b"WEBP"
    if data[4:8] == b"ftyp":
        return data[8:12] in _BRANDS
    if data[:1] == b"P":
        return data.startswith(_FIRST_BYTES) and data[2:3].isspace()
    return data.startswith(_FIRST_BYTES)


def image_suffix(data: bytes) -> str:
    """The suffix of an image, by the first bytes of its file; empty if these are of no supported format."""
    if not starts_like_an_image(data):
        return ""
    if data[4:8] == b"ftyp":
        return ".avif" if data[8:11] == b"avi" else ".heic"
    return next(suffix for start, suffix in _SUFFIXES if data.startswith(start))


def is_hidden(parts: Iterable[str]) -> bool:
    """Whether a file is hidden or was written by macOS: it is not used."""
    return any(part.startswith((".", "__MACOSX")) for part in parts)


def is_left_behind(parts: Parts) -> bool:
    """Whether an operating system, a photo manager or a file server wrote a file for its own use, or hid it."""
    return _is_folder_left_behind(parts[:-1]) or is_hidden(parts[-1:]) or (parts[-1:] != () and _is_system(parts[-1]))


@functools.lru_cache(maxsize=100_000)  # asked for every file, and most share a folder
def _is_folder_left_behind(folders: Parts) -> bool:
    return is_hidden(folders) or any(folder.lower() in _SYSTEM_FOLDERS for folder in folders)


def _is_system(name: str) -> bool:
    return name.lower() in _SYSTEM_FILES or name.lower() in _SYSTEM_FOLDERS
