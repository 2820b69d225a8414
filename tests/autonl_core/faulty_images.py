"""Image files whose pixels are intact and whose metadata are not, of every format that is read.

All show `PICTURE`. None says how the camera was held, so that all have the pixels of a file without metadata.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from PIL import Image

import autonl_core.datasets.image_files  # noqa: F401  (registers the HEIF decoder)

WIDTH, HEIGHT = 56, 40
_SMALL = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
PICTURE = Image.fromarray(_SMALL).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)
_ZEROS = bytes(1 << 20)
_BEYOND = struct.pack("<L", 1 << 31)

Files = dict[str, bytes]


def saved(kind: str, image: Image.Image = PICTURE, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def plain_files() -> Files:
    """Without any fault, by format."""
    kinds: dict[str, dict[str, Any]] = {
        "jpeg": {}, "png": {}, "tiff": {}, "gif": {}, "ppm": {}, "bmp": {},
        "webp": {"lossless": True}, "heif": {"quality": -1}, "avif": {"quality": 90},
    }  # fmt: skip
    files = {kind: saved(kind.upper(), **options) for kind, options in kinds.items()}
    return files | {"progressive": saved("JPEG", progressive=True)}


PLAIN = plain_files()


def faulty_files() -> Iterator[tuple[str, str, bytes]]:
    """Format, fault, file."""
    made = {"jpeg": _jpeg(), "png": _png(), "webp": _webp(), "tiff": _tiff(), "gif": _gif(), "bmp": _bmp()}
    for kind, files in made.items():
        for fault, data in files.items():
            yield kind, fault, data
    for fault, exif in EXIF.items():
        yield "jpeg", f"EXIF: {fault}", _in_jpeg(segment(0xE1, b"Exif\0\0" + exif))
        yield "png", f"EXIF: {fault}", _in_png(chunk(b"eXIf", exif))
        for kind in ("webp", "heif", "avif"):
            yield kind, f"EXIF: {fault}", with_exif(kind, exif)
    for kind in ("heif", "avif"):
        options: dict[str, Any] = {"quality": -1} if kind == "heif" else {"quality": 90}
        yield kind, "XMP", saved(kind.upper(), xmp=b'<<<\xff tiff:Orientation="x"', **options)
        yield kind, "bytes behind the end", PLAIN[kind] + bytes(100)
    progressive = PLAIN["progressive"]
    yield "progressive", "profile cut", progressive[:2] + segment(0xE2, b"ICC_PROFILE\0") + progressive[2:]
    yield "ppm", "comment of no text", b"P6 #\xff\xfe\n56 40 255\n" + np.asarray(PICTURE).tobytes()


# EXIF ----------------------------------------------------------------------------------------------------------------


def tag(number: int, kind: int, count: int, value: bytes) -> bytes:
    return struct.pack("<HHL", number, kind, count) + value


def exif_of(*tags: bytes, behind: bytes = b"") -> bytes:
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(tags)) + b"".join(tags) + bytes(4) + behind


def short(value: int) -> bytes:
    return struct.pack("<HH", value, 0)


def _long(value: int) -> bytes:
    return struct.pack("<L", value)


TURNED = exif_of(tag(0x112, 3, 1, short(6)))
EXIF: Files = {
    "orientation 0": exif_of(tag(0x112, 3, 1, short(0))),
    "orientation 9": exif_of(tag(0x112, 3, 1, short(9))),
    "orientation 65535": exif_of(tag(0x112, 3, 1, short(65535))),
    "orientation of 32 bits": exif_of(tag(0x112, 4, 1, _long(2**32 - 1))),
    "orientation as text": exif_of(tag(0x112, 2, 2, b"6\0\0\0")),
    "two billion orientations": exif_of(tag(0x112, 3, 1 << 31, _long(8))),
    "orientation as bytes": exif_of(tag(0x112, 7, 4, b"\6\0\0\0")),
    "orientation behind the end": exif_of(tag(0x112, 5, 1, _BEYOND)),
    "orientation of an unknown type": exif_of(tag(0x112, 99, 1, _long(6))),
    "cut in its directory": TURNED[:12],
    "no directory": TURNED[:8],
    "cut in its head": TURNED[:4],
    "no EXIF": bytes(range(64)),
    "empty": b"",
    "directory behind the end": b"II*\0" + _BEYOND,
    "directory at its start": b"II*\0" + bytes(4),
    "65535 tags": b"II*\0\x08\0\0\0\xff\xff" + b"\1" * 100,
    "resolution as text": exif_of(tag(0x11A, 2, 4, b"abc\0"), tag(0x128, 2, 2, b"x\0\0\0")),
    "resolution 0 / 0": exif_of(tag(0x11A, 5, 1, _long(38)), tag(0x128, 3, 1, short(2)), behind=bytes(8)),
    "next directory behind the end": exif_of(tag(0x8769, 4, 1, _BEYOND)),
    "directories in a circle": exif_of(tag(0x8769, 4, 1, _long(8)), tag(0x8825, 4, 1, _long(8))),
    "BigTIFF": b"II+\0\x08\0\0\0",
    "other byte order": b"MM\0*" + TURNED[4:],
}


def with_exif(kind: str, exif: bytes) -> bytes:
    """An image whose encoder would refuse such EXIF data, or mend them: they replace others in the finished file."""
    intact = exif_of(tag(0x10F, 2, 4, b"abc\0"), behind=b"Q" * len(exif))
    start = b"" if kind == "avif" else b"Exif\0\0"
    options: dict[str, Any] = {"lossless": True} if kind == "webp" else {"quality": 90 if kind == "avif" else -1}
    return saved(kind.upper(), exif=start + intact, **options).replace(intact, exif.ljust(len(intact), b"\0"))


# Formats -------------------------------------------------------------------------------------------------------------


def segment(marker: int, data: bytes) -> bytes:
    return b"\xff" + bytes([marker]) + struct.pack(">H", len(data) + 2) + data


def _in_jpeg(data: bytes) -> bytes:
    return PLAIN["jpeg"][:2] + data + PLAIN["jpeg"][2:]


def _jpeg() -> Files:
    jpeg, profile, xmp = PLAIN["jpeg"], b"ICC_PROFILE\0", b"http://ns.adobe.com/xap/1.0/\0"
    one_tag = exif_of(tag(0xB000, 7, 4, b"0100"), tag(0xB001, 2, 2, b"2\0\0\0"), tag(0xB002, 7, 4, b"abcd"))
    inside = {
        "profile of no sense": segment(0xE2, profile + b"\1\1nonsense"),
        "profile without a part": segment(0xE2, profile + b"\1\3abc"),
        "profile of 0 parts": segment(0xE2, profile + b"\0\0"),
        "profile cut": segment(0xE2, profile),
        "XMP of no text": segment(0xE1, xmp + b"<<<\xff\xfe no XML"),
        "XMP orientation too long": segment(0xE1, xmp + b'<x tiff:Orientation="99999999999999999999"/>'),
        "XMP orientation 9": segment(0xE1, xmp + b'<x tiff:Orientation="9"/>'),
        "Photoshop cut": segment(0xED, b"Photoshop 3.0\x008BIM\x03"),
        "Photoshop short": segment(0xED, b"Photoshop 3.0\x008BIM\x03\xed\0\0\0\0\0\4abcd"),
        "pictures of no sense": segment(0xE2, b"MPF\0garbage!"),
        "pictures behind the end": segment(0xE2, b"MPF\0II*\0" + _BEYOND),
        "pictures of other types": segment(0xE2, b"MPF\0" + one_tag),
        "JFIF short": segment(0xE0, b"JFIF\0"),
        "Adobe short": segment(0xEE, b"Adobe"),
        "density 0": segment(0xE0, b"JFIF\0\1\1\0\0\0\0\0\0\0"),
        "unknown": segment(0xEF, bytes(1000)),
        "comment of no text": segment(0xFE, bytes(range(256))),
        "empty segment": b"\xff\xe5\0\2",
        "segment of length 0": b"\xff\xe5\0\0",
        "bytes between segments": b"garbage",
    }
    return {name: _in_jpeg(data) for name, data in inside.items()} | {
        "bytes behind the end": jpeg + bytes(range(256)),
        "a second image": jpeg + jpeg,
        "no end": jpeg[:-2],
        "zeros instead of the end": jpeg[:-2] + bytes(50),
        "half an end": jpeg[:-1],
    }


def chunk(kind: bytes, data: bytes, checksum: int | None = None) -> bytes:
    checksum = zlib.crc32(kind + data) if checksum is None else checksum
    return struct.pack(">L", len(data)) + kind + data + struct.pack(">L", checksum)


def _in_png(data: bytes) -> bytes:
    return PLAIN["png"][:33] + data + PLAIN["png"][33:]


def _png() -> Files:
    """Each fault before the pixels, and behind them."""
    png, bomb = PLAIN["png"], zlib.compress(_ZEROS * 100)
    inside = {
        "checksum of a text": chunk(b"tEXt", b"a\0b", 1),
        "checksum of an unknown chunk": chunk(b"abCd", b"x", 1),
        "profile of no sense": chunk(b"iCCP", b"a\0\0nonsense"),
        "profile of another method": chunk(b"iCCP", b"a\0\5" + zlib.compress(b"a")),
        "profile without a name": chunk(b"iCCP", b"abc"),
        "profile that inflates": chunk(b"iCCP", b"a\0\0" + bomb),
        "text that inflates": chunk(b"zTXt", b"a\0\0" + bomb),
        "text of Unicode that inflates": chunk(b"iTXt", b"a\0\1\0\0\0" + bomb),
        "text of no sense": chunk(b"zTXt", b"a\0\0nonsense"),
        "text of another method": chunk(b"zTXt", b"a\0\7" + zlib.compress(b"a")),
        "text of no Unicode": chunk(b"iTXt", b"a\0\0\0\0\0\xff\xfe"),
        "text cut": chunk(b"iTXt", b"a\0"),
        "texts of five megabytes": b"".join(chunk(b"tEXt", b"a%d\0" % n + _ZEROS) for n in range(5)),
        "XMP": chunk(b"iTXt", b'XML:com.adobe.xmp\0\0\0\0\0<<<tiff:Orientation="x'),
        "animation of 0 frames": chunk(b"acTL", bytes(8)),
        "name of no letters": chunk(b"a\xffbc", b""),
        "colour space twice": chunk(b"sRGB", b"\0") * 2,
    }
    for name in "pHYs gAMA cHRM sRGB tIME iCCP zTXt tEXt acTL cICP sPLT bKGD".split():  # noqa: SIM905
        inside[f"empty {name}"] = chunk(name.encode(), b"")
    early = {name: _in_png(data) for name, data in inside.items()}
    late = {f"{name}, at the end": png[:-12] + data + png[-12:] for name, data in inside.items()}
    turned = {"checksum of EXIF": _in_png(chunk(b"eXIf", TURNED, 1))}
    ends = {"no end": png[:-12], "half an end": png[:-4], "checksum of the end": png[:-4] + b"abcd"}
    return early | late | turned | ends | {"bytes behind the end": png + bytes(1000)}


def _webp() -> Files:
    webp = PLAIN["webp"]
    pixels = webp[12:]

    def riff(flags: int, *chunks: bytes, ahead: bytes = b"") -> bytes:
        size = struct.pack("<L", WIDTH - 1)[:3] + struct.pack("<L", HEIGHT - 1)[:3]
        head = b"VP8X" + struct.pack("<L", 10) + bytes([flags, 0, 0, 0]) + size
        body = b"WEBP" + head + ahead + pixels + b"".join(chunks)
        return b"RIFF" + struct.pack("<L", len(body)) + body

    return {
        "EXIF longer than the file": riff(8, b"EXIF" + _BEYOND + TURNED),
        "EXIF announced, none there": riff(8),
        "profile of no sense": riff(0x20, ahead=b"ICCP\x08\0\0\0nonsense"),
        "XMP": riff(4, b"XMP \x06\0\0\0<<<\xff\xfe\0"),
        "unknown": riff(0, b"abcd\x02\0\0\0xy"),
        "unknown, longer than the file": riff(0, b"abcd" + _BEYOND + b"xy"),
        "bytes behind the end": webp + bytes(100),
        "length too small": webp[:4] + _long(20) + webp[8:],
        "length too large": webp[:4] + _long(10**6) + webp[8:],
    }


def tiff(*extra: tuple[int, int, int, bytes], following: bytes = bytes(4)) -> bytes:
    """An uncompressed TIFF with additional tags: number, type, count, value."""
    raw = np.asarray(PICTURE).tobytes()
    tags = [
        (256, 3, 1, short(WIDTH)), (257, 3, 1, short(HEIGHT)), (258, 3, 3, _long(900)), (259, 3, 1, short(1)),
        (262, 3, 1, short(2)), (273, 4, 1, _long(1000)), (277, 3, 1, short(3)), (278, 3, 1, short(HEIGHT)),
        (279, 4, 1, _long(len(raw))), *extra,
    ]  # fmt: skip
    directory = struct.pack("<H", len(tags)) + b"".join(tag(*each) for each in sorted(tags)) + following
    return (b"II*\0\x08\0\0\0" + directory).ljust(900, b"\0") + struct.pack("<HHH", 8, 8, 8).ljust(100, b"\0") + raw


def _tiff() -> Files:
    beyond = {name: (number, 7, 1000, _BEYOND) for name, number in
              (("software", 305), ("profile", 34675), ("XMP", 700), ("IPTC", 33723))}  # fmt: skip
    one: dict[str, tuple[int, int, int, bytes]] = {
        **{f"{name} behind the end": entry for name, entry in beyond.items()},
        "orientation 0": (274, 3, 1, short(0)),
        "orientation 9": (274, 3, 1, short(9)),
        "orientation as text": (274, 2, 2, b"6\0\0\0"),
        "orientation behind the end": (274, 5, 1, _BEYOND),
        "software of two gigabytes": (305, 2, 1 << 31, _long(8)),
        "unknown type": (305, 99, 1, bytes(4)),
        "nothing of a type": (305, 2, 0, bytes(4)),
        "resolution as text": (282, 2, 4, b"abc\0"),
        "EXIF behind the end": (34665, 4, 1, _BEYOND),
        "EXIF in a circle": (34665, 4, 1, _long(8)),
        "EXIF as text": (34665, 2, 4, b"abc\0"),
        "GPS behind the end": (34853, 4, 1, _BEYOND),
        "XMP as a number": (700, 4, 1, _long(9)),
        "text of no text": (270, 2, 4, b"\xff\xfe\xfd\0"),
        "date as a number": (306, 4, 1, bytes(4)),
        "private": (65000, 12, 1, _BEYOND),
        "kind of numbers as text": (339, 2, 4, b"ab\0\0"),
    }
    files = {name: tiff(entry) for name, entry in one.items()}
    return files | {
        "next image behind the end": tiff(following=_BEYOND),
        "next image in a circle": tiff(following=_long(8)),
        "bytes behind the end": tiff() + bytes(100),
    }


def _gif() -> Files:
    gif = PLAIN["gif"]
    return {
        "comment cut": gif[:-1] + b"!\xfe\x05abcde",
        "no end": gif[:-1],
        "application of no sense": gif[:-1] + b"!\xff\x0bGARBAGEXXXX\x03abc\0;",
        "bytes behind the end": gif + bytes(100),
    }


def _bmp() -> Files:
    bmp = PLAIN["bmp"]
    return {"length of the file": bmp[:2] + _long(9) + bmp[6:], "resolution": bmp[:38] + b"\xff" * 8 + bmp[46:]}
