"""What a file is by its first bytes, in words for who sent it in place of an archive."""

from __future__ import annotations

import codecs

from autonl_core.datasets.names import starts_like_an_image

_SHOWN_BYTES = 4
_TRIED_BYTES = 512
_TAR_AT, _TAR = 257, b"ustar"
_KINDS = (
    (b"\x1f\x8b", "a gzip file, such as a .tar.gz"),
    (b"BZh", "a bzip2 file, such as a .tar.bz2"),
    (b"\xfd7zXZ", "an xz file, such as a .tar.xz"),
    (b"\x28\xb5\x2f\xfd", "a zstd file"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"Rar!", "a RAR archive"),
    (b"%PDF", "a PDF document"),
    (b"SQLite format 3\0", "a SQLite database"),
    (b"\x89HDF", "an HDF5 file"),
    (b"PAR1", "a Parquet file"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"\x7fELF", "a program"),
    (b"MZ", "a program"),
)


def kind_of(data: bytes) -> str:
    """Such as "an image" or "a text file"; the first bytes of what is not recognised."""
    if starts_like_an_image(data):
        return "an image"
    if data[_TAR_AT:].startswith(_TAR):
        return "a tar archive"
    for start, kind in _KINDS:
        if data.startswith(start):
            return kind
    if _is_text(data[:_TRIED_BYTES]):
        is_page = data.lstrip()[:9].lower().startswith((b"<!doctype", b"<html"))
        return "a web page, which a download may give in place of the file" if is_page else "a text file"
    return f"a file that begins with the bytes {data[:_SHOWN_BYTES].hex(' ')}"


def _is_text(data: bytes) -> bool:
    """Whether it is UTF-8 that can be shown; a character may be cut at the end."""
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(data)
    except UnicodeDecodeError:
        return False
    return bool(text) and all(char.isprintable() or char in "\t\n\r\f\ufeff" for char in text)
