"""Hostile files: archives, images and checkpoints that no legitimate tool would produce."""

from __future__ import annotations

import io
import json
import os
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

import autonl_core.datasets.image_files  # noqa: F401  (registers the HEIF encoder)
from autonl_core.spec.space_families import get_space

Entry = tuple[zipfile.ZipInfo | str, bytes]
ZEROS = bytes(1 << 20)

# Archives ------------------------------------------------------------------------------------------------------------


def picture(seed: int = 0, size: int = 12) -> bytes:
    """Coloured squares, others for another seed."""
    buffer = io.BytesIO()
    squares = np.random.default_rng(seed).integers(0, 256, (size // 3, size // 3), dtype=np.uint8)
    Image.fromarray(squares).resize((size, size), Image.Resampling.NEAREST).save(buffer, "png")
    return buffer.getvalue()


GOOD: tuple[Entry, ...] = tuple(
    (f"{name}/{n}.png", picture(10 * place + n)) for place, name in enumerate(("cat", "dog")) for n in range(8)
)


def archive(*entries: Entry, good: Iterable[Entry] = GOOD) -> bytes:
    """A valid dataset, and hostile entries in the same archive."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as file:
        for name, data in (*good, *entries):
            file.writestr(name, data)
    return buffer.getvalue()


def entry(name: str, *, mode: int = 0, method: int = zipfile.ZIP_DEFLATED) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo()
    info.filename = name  # as it is: given to the constructor, it would be cut at a NUL
    info.external_attr = mode << 16
    info.compress_type = method
    return info


def patched(data: bytes, name: str, **changes: int) -> bytes:
    """`data` with other numbers in the list of members, at `name`; the local headers keep theirs."""
    offsets = {"version": (6, "H"), "flags": (8, "H"), "crc": (16, "L"), "size": (24, "L"), "start": (42, "L")}
    at = data.rindex(name.encode()) - 46
    content = bytearray(data)
    for field, value in changes.items():
        offset, kind = offsets[field]
        struct.pack_into(f"<{kind}", content, at + offset, value)
    return bytes(content)


def crowded(members: int) -> bytes:
    """An archive of so many images, all of them the same bytes."""
    image = picture()
    first = zipfile.ZipInfo("a/0000000.png")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr(first, image)
    start = buffer.getvalue()[: 30 + len(first.filename) + len(image)]
    common = struct.pack(
        "<LHHHHHHLLLHHHHHLL", 0x02014B50, 20, 20, 0, 0, 0, 33, first.CRC, *[len(image)] * 2, 13, *[0] * 6
    )
    listed = b"".join(common + f"{'ab'[number % 2]}/{number:07}.png".encode() for number in range(members))
    # Of more than 65,535 members the number is in a zip64 record; readers go by the size of the list.
    wide = struct.pack("<LQHHLLQQQQ", 0x06064B50, 44, 45, 45, 0, 0, members, members, len(listed), len(start))
    locator = struct.pack("<LLQL", 0x07064B50, 0, len(start) + len(listed), 1)
    return (
        start
        + listed
        + wide
        + locator
        + struct.pack("<LHHHHLLH", 0x06054B50, 0, 0, *[0xFFFF] * 2, *[0xFFFFFFFF] * 2, 0)
    )


def tar(mode: str, *entries: Entry) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=f"w:{mode}") as file:  # type: ignore[call-overload]
        for name, data in (*GOOD, *entries):
            info = tarfile.TarInfo(str(name))
            info.size = len(data)
            file.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def refused_archives(marker: Path) -> dict[str, tuple[bytes, str]]:
    """Files to add as a dataset, and words that the reason for their refusal must contain."""
    evil = picture(99)
    link, device = stat.S_IFLNK | 0o777, stat.S_IFCHR | 0o666
    not_utf8 = patched(archive(), "cat/3.png", flags=0x800).replace(b"cat/3.png", b"cat/\xff.png")
    out = "must have a relative name"
    return {
        "way out": (archive(("../evil.png", evil)), out),
        "way out from a class": (archive(("cat/../../evil.png", evil)), out),
        "way out of what is no image": (archive(("../../.bashrc", b"")), out),
        "absolute": (archive(("/home/evil.png", evil)), out),
        "drive": (archive(("C:/evil.png", evil)), out),
        "backslashes": (archive((entry("cat\\..\\..\\evil.png"), evil)), out),
        "NUL": (archive((entry("cat/evil.png\0.exe"), evil)), out),
        "long name": (archive((f"cat/{'a' * 60_000}.png", evil)), "has a name of 60,008 characters"),
        "link": (archive((entry("cat/evil.png", mode=link), b"/etc/passwd")), "is a link or a device"),
        "link to a folder": (archive((entry("cat/more", mode=link), b"/etc")), "is a link or a device"),
        "device": (archive((entry("cat/evil.png", mode=device), b"")), "is a link or a device"),
        "twice": (archive(("cat/1.pnG", evil)).replace(b"1.pnG", b"1.png"), "appears twice"),
        "twice in other words": (archive(("cat/.//1.png", evil)), "appears twice"),
        "encrypted": (patched(archive(), "cat/3.png", flags=1), "'cat/3.png' is encrypted"),
        "bzip2": (archive((entry("cat/b.png", method=zipfile.ZIP_BZIP2), ZEROS)), "compressed by method 12"),
        "lzma": (archive((entry("cat/b.png", method=zipfile.ZIP_LZMA), ZEROS)), "compressed by method 14"),
        "bomb": (archive(("cat/bomb.png", ZEROS * 200)), "claim to expand to 209,71"),
        "many small bombs": (archive(*((f"cat/b{n}.png", ZEROS) for n in range(150))), "claim to expand to 157,28"),
        "too many": (crowded(300_000), "it has 300,000 members, more than 250,000"),
        "a million": (crowded(1_000_000), "it has 1,000,000 members, more than 250,000"),
        "other version": (patched(archive(), "cat/3.png", version=99), "not a readable zip archive"),
        "name of no text": (not_utf8, "not a readable zip archive"),
        "list beyond the end": (archive()[:-10] + b"\xff\xff\xff\x7f" + archive()[-6:], "not a readable zip archive"),
        "archive in an archive": (archive(("cat/more.zip", archive()), good=()), "has no images"),
        "checkpoint": (pickled(marker), "has no images"),
        "way up in the middle": (archive(("train/../../../evil/1.png", evil)), out),
        "only a way up": (archive(("..", b"")), out),
        "network drive": (archive(("//host/share/evil.png", evil)), out),
        "lower drive": (archive(("c:/evil.png", evil)), out),
        "socket": (archive((entry("cat/evil.png", mode=stat.S_IFSOCK | 0o666), b"")), "is a link or a device"),
        "pipe": (archive((entry("cat/evil.png", mode=stat.S_IFIFO | 0o666), b"")), "is a link or a device"),
        "cut in half": (archive()[: len(archive()) // 2], "not a readable zip archive"),
        "without its list": (archive()[: archive().index(b"PK\x01\x02")], "not a readable zip archive"),
        "start alone": (b"PK\x03\x04", "not a readable zip archive"),
        "start and zeros": (b"PK\x03\x04" + bytes(10_000), "not a readable zip archive"),
        "class of control characters": (archive(("a\tb/1.png", evil)), "class folder named 'a\\tb'"),
        "no folders": (archive(*((f"{n}.png", picture(n)) for n in range(9)), good=()), "no class folders"),
        "one class": (archive(*((f"cat/{n}.png", picture(n)) for n in range(9)), good=()), "one class, 'cat'"),
        "hidden files alone": (archive(("__MACOSX/cat/._1.png", evil), (".a/1.png", evil), good=()), "has no images"),
        "empty files alone": (archive(*((f"{c}/1.png", b"") for c in "ab"), good=()), "too few usable images"),
        "folders alone": (archive(("cat/", b""), ("dog/", b""), good=()), "has no images"),
        "too many classes": (archive(*((f"{n}/1.png", b"") for n in range(10_001)), good=()), "10,001 class folders"),
        "splits and classes": (archive(("train/cat/1.png", evil)), "but also 'cat', 'dog' next to them"),
    }  # fmt: skip


def no_archives() -> dict[str, bytes]:
    """Files that are no zip archives by their first bytes."""
    return {
        "nothing": b"",
        "text": b"#!/bin/sh\nrm -rf /\n",
        "empty archive": b"PK\x05\x06" + bytes(18),
        "tar": tar("", ("../evil.png", picture())),
        "tar.gz": tar("gz"),
        "tar.xz": tar("xz"),
        "tar with an archive at its end": tar("") + archive(),
        "image with an archive at its end": picture() + archive(),
        "pickle": b"cos\nsystem\n(V true\ntR.",
    }


# Images --------------------------------------------------------------------------------------------------------------


def png(
    width: int, height: int, colour: int, depth: int, row: int, between: bytes = b"", rows: int | None = None
) -> bytes:
    """A PNG whose header says its size, and that has `rows` of `row` bytes, all zero."""
    packer = zlib.compressobj(1)
    pixels = b"".join(packer.compress(bytes(row + 1)) for _ in range(height if rows is None else rows)) + packer.flush()
    header = struct.pack(">LLBBBBB", width, height, depth, colour, 0, 0, 0)
    start = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + between
    return start + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def noise(width: int, height: int, seed: int = 0) -> Image.Image:
    """Grey noise, the same every time; its first pixel is black, so that a palette's colour 0 is in use."""
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width), dtype=np.uint8)
    pixels[0, 0] = 0
    return Image.fromarray(pixels)


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">L", len(data)) + kind + data + struct.pack(">L", zlib.crc32(kind + data))


def saved(mode: str, side: int, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.new(mode, (side, side)).save(buffer, kind, **options)
    return buffer.getvalue()


def many_scans(count: int) -> bytes:
    """A JPEG that goes through all of its pixels again and again."""
    data = saved("L", 64, "JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    return data[:last] + data[last:-2] * count + data[-2:]


def declared(kind: str, width: int, height: int) -> bytes:
    """A HEIF or AVIF of 64 x 64 pixels that claims another size."""
    data = saved("RGB", 64, kind)
    at = data.index(b"ispe") + 8
    return data[:at] + struct.pack(">LL", width, height) + data[at + 8 :]


def boxes(data: bytes, count: int) -> bytes:
    """A file of boxes with so many empty ones after its first."""
    (first,) = struct.unpack_from(">L", data)
    return data[:first] + b"\0\0\0\x08free" * count + data[first:]


def nested_boxes(data: bytes, depth: int) -> bytes:
    """A file whose boxes are each in another one."""
    (first,) = struct.unpack_from(">L", data)
    return data[:first] + b"".join(struct.pack(">L", 8 * left) + b"moov" for left in range(depth, 0, -1))


def long_tag(count: int) -> bytes:
    """A TIFF whose strips are so many that their offsets alone are a burden."""
    tags = [(256, 4, 1, 8), (257, 4, 1, 8), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1), (273, 4, count, 1000)]
    body = b"".join(struct.pack("<HHLL", *tag) for tag in tags)
    start = b"II*\0" + struct.pack("<LH", 8, len(tags)) + body + bytes(4)
    return start.ljust(1000, b"\0") + np.arange(1000, 1000 + count, dtype="<u4").tobytes()


def objects() -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.array([{"a": 1}, [2]], dtype=object), allow_pickle=True)
    return buffer.getvalue()


def unreadable_images(marker: Path) -> dict[str, bytes]:
    """Files that are to be reported and left out, by name."""
    return {
        "400-megapixels.png": png(20_000, 20_000, 0, 1, 2500),
        "100-megapixels.png": png(10_000, 10_000, 0, 1, 1250),
        "4-gigapixels-without-any.png": png(65_535, 65_535, 2, 8, 1, rows=1),
        "63-megapixels.webp": saved("RGB", 7936, "WEBP", lossless=True, method=0),
        "63-megapixels.tif": saved("L", 7936, "TIFF", compression="tiff_deflate"),
        "too-large.png": picture() + ZEROS * 65,
        "a-million-chunks.png": png(8, 8, 0, 8, 8, between=chunk(b"aaAa", b"") * 1_000_000),
        "62-megapixels.heic": declared("HEIF", 7900, 7900),
        "62-megapixels.avif": declared("AVIF", 7900, 7900),
        "400-megapixels.heic": declared("HEIF", 20_000, 20_000),
        "another-size.heic": declared("HEIF", 4000, 4000),
        "smaller-than-it-is.heic": declared("HEIF", 16, 16),
        "no-pixels.avif": declared("AVIF", 0, 0),
        "a-million-boxes.heic": boxes(saved("RGB", 64, "HEIF"), 1_000_000),
        "boxes-in-boxes.avif": nested_boxes(saved("RGB", 64, "AVIF"), 10_000),
        "cut.heic": saved("RGB", 512, "HEIF", tile_size=128)[:-10],
        "many-scans.jpg": many_scans(1000),
        "long-comment.ppm": b"P6 # " + b"a" * 10_000_000 + b"\n1 1 255 ...",
        "long-tag.tif": long_tag(10_000_000),
        "truncated.jpg": saved("RGB", 512, "JPEG")[:1000],
        "postscript.png": f"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n({marker}) (w) file\n".encode(),
        "objects.png": objects(),
        "checkpoint.png": pickled(marker),
        "plain-pickle.png": b"cos\nmkdir\n(V" + str(marker).encode() + b"\ntR.",
        "tar.png": tar(""),
        "archive.png": archive(),
        "page.png": b"<svg xmlns='http://www.w3.org/2000/svg'><image href='http://127.0.0.1/'/></svg>",
    }


def large_images() -> dict[str, bytes]:
    """Files of 64 megapixels, which are read, and must not take more memory than is meant for them."""
    return {"deep.png": png(7936, 7936, 0, 16, 2 * 7936), "clear.png": png(7936, 7936, 6, 8, 4 * 7936)}


def truncated_images() -> dict[str, bytes]:
    """Images of every format that end too early, by name."""
    image = noise(64, 64)
    kinds: dict[str, tuple[str, dict[str, Any]]] = {
        "jpg": ("JPEG", {}), "png": ("PNG", {}), "webp": ("WEBP", {}), "bmp": ("BMP", {}), "ppm": ("PPM", {}),
        "tif": ("TIFF", {}), "gif": ("GIF", {}), "heic": ("HEIF", {}), "avif": ("AVIF", {}),
    }  # fmt: skip
    found = {}
    for suffix, (kind, options) in kinds.items():
        buffer = io.BytesIO()
        image.save(buffer, kind, **options)
        data = buffer.getvalue()
        for share in (0.0, 0.02, 0.5, 0.8):
            found[f"cut-at-{100 * share:.0f}.{suffix}"] = data[: int(len(data) * share)]
    return found


def odd_images() -> dict[str, tuple[bytes, str]]:
    """Images that are read, and the code under which they are reported."""
    frames = [noise(16, 16, seed) for seed in (20, 90)]
    turned = Image.Exif()
    turned[0x0112] = 6

    def made(number: int, mode: str, kind: str, size: tuple[int, int] = (16, 16), **options: Any) -> bytes:
        buffer = io.BytesIO()
        image = noise(*size, seed=number).convert(mode)
        if mode == "RGBA":
            image.putalpha(100)
        image.save(buffer, kind, **options)
        return buffer.getvalue()

    plain = made(21, "L", "PNG")
    bomb = plain[:33] + chunk(b"zTXt", b"a\0\0" + zlib.compress(ZEROS * 100)) + plain[33:]
    deep = io.BytesIO()
    Image.fromarray(np.arange(256, dtype=np.uint16).reshape(16, 16) * 255).save(deep, "PNG")
    return {
        "cmyk.jpg": (made(1, "CMYK", "JPEG"), "cmyk"),
        "cmyk.tif": (made(2, "CMYK", "TIFF"), "cmyk"),
        "deep.png": (deep.getvalue(), "deep"),
        "float.tif": (made(3, "F", "TIFF"), "deep"),
        "whole.tif": (made(4, "I", "TIFF"), "deep"),
        "clear.png": (made(5, "RGBA", "PNG"), "alpha"),
        "clear.webp": (made(6, "RGBA", "WEBP", lossless=True), "alpha"),
        "grey-clear.png": (made(7, "LA", "PNG"), "alpha"),
        "see-through.gif": (made(8, "P", "GIF", transparency=0), "alpha"),
        "moving.gif": (made(9, "L", "GIF", save_all=True, append_images=frames), "animated"),
        "moving.webp": (made(10, "RGB", "WEBP", save_all=True, append_images=frames), "animated"),
        "moving.png": (made(11, "RGB", "PNG", save_all=True, append_images=frames), "animated"),
        "pages.tif": (made(12, "RGB", "TIFF", save_all=True, append_images=frames), "animated"),
        "turned.jpg": (made(13, "RGB", "JPEG", exif=turned), "exif_rotation"),
        "text-bomb.png": (bomb, "damaged_metadata"),
        "clear.heic": (made(19, "RGBA", "HEIF", quality=-1), "alpha"),
        "clear.avif": (made(20, "RGBA", "AVIF", quality=90), "alpha"),
        "strip.png": (made(14, "L", "PNG", size=(90, 9)), "extreme_aspect_ratios"),
        "line.png": (made(15, "L", "PNG", size=(60, 1)), "extreme_aspect_ratios"),
        "dot.png": (made(16, "L", "PNG", size=(1, 1)), "extreme_sizes"),
        "large.png": (made(17, "L", "PNG", size=(200, 200)), "extreme_sizes"),
    }


# Checkpoints ---------------------------------------------------------------------------------------------------------


class _Harm:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.marker),)


def pickled(marker: Path) -> bytes:
    """A PyTorch checkpoint that makes the folder `marker` when it is unpickled."""
    buffer = io.BytesIO()
    torch.save({"model": _Harm(marker)}, buffer)
    return buffer.getvalue()


def inflating() -> bytes:
    """A PyTorch checkpoint of 400 kB that holds 400 MB."""
    buffer = io.BytesIO()
    torch.save({"w": torch.zeros(1)}, buffer)
    with zipfile.ZipFile(buffer) as file:
        names = [(name, file.read(name)) for name in file.namelist()]
    return archive(*((name, ZEROS * 400 if name.endswith("/data/0") else data) for name, data in names), good=())


def safetensors(header: Any, data: bytes = b"", length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def described(**changes: Any) -> bytes:
    """A file of `save_checkpoint`, as far as its metadata goes, with one small tensor."""
    arch = get_space("tiny", 8, 2).largest().to_json()
    fields: dict[str, Any] = {
        "arch": json.dumps(arch | {name: changes.pop(name) for name in list(changes) if name in arch}),
        "classes": '["cat", "dog"]',
        "preprocessing": '{"mean": [0, 0, 0], "std": [1, 1, 1], "resolution": 8}',
        "dataset": '{"name": "pets", "fingerprint": "0"}',
        "format": "autonl/1",
    }
    tensor = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}
    return safetensors({"__metadata__": fields | changes, "w": tensor}, bytes(4))


def refused_checkpoints(marker: Path) -> dict[str, tuple[bytes, str]]:
    """Files for `--checkpoint`, and the words that their refusal is to contain."""
    broken, damaged = "is not a readable safetensors file", "has damaged metadata"
    tensor = {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}
    blocks = get_space("tiny", 8, 2).largest().to_json()["blocks"]
    again = blocks[-1] | {"in_channels": blocks[-1]["out_channels"], "stride": 1}
    return {
        "pickle": (pickled(marker), broken),
        "tar": (tar(""), broken),
        "empty": (b"", broken),
        "header of 2^63 bytes": (safetensors({}, length=2**63), broken),
        "header beyond the end": (safetensors({}, length=10_000_000), broken),
        "header of lists in lists": (safetensors(b'{"a":' * 100_000), broken),
        "truncated": (safetensors({"w": tensor}, bytes(8)), broken),
        "more than it says": (safetensors({"w": tensor}, bytes(99)), broken),
        "4 GB in 16 bytes": (safetensors({"w": tensor | {"shape": [10**9]}}, bytes(16)), broken),
        "size beyond numbers": (safetensors({"w": tensor | {"shape": [2**62, 2**62]}}, bytes(16)), broken),
        "before the start": (safetensors({"w": tensor | {"data_offsets": [16, 0]}}, bytes(16)), broken),
        "negative": (safetensors({"w": tensor | {"data_offsets": [-16, 0]}}, bytes(16)), broken),
        "overlapping": (safetensors({"v": tensor, "w": tensor}, bytes(16)), broken),
        "foreign": (safetensors({"w": tensor}, bytes(16)), "has format None"),
        "wide": (described(num_classes=10**9), "does not fit its architecture"),
        "wide beyond numbers": (described(num_classes=2**63), "has an architecture that cannot be built"),
        "deep": (described(blocks=[*blocks, *[again] * 20_000]), "20005 blocks; at most"),
        "for 10^6 pixels": (described(resolution=10**6), "is for 1000000 pixels"),
        "lists in lists": (described(arch="[" * 100_000), damaged),
        "no architecture": (described(arch="[1]"), damaged),
        "no names": (described(classes="3"), damaged),
        "no preprocessing": (described(preprocessing="[]"), damaged),
        "no dataset": (described(dataset="null"), damaged),
    }
