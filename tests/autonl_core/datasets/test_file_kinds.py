"""What was sent in place of an archive, in words."""

from __future__ import annotations

import io
import tarfile

import pytest

from autonl_core.datasets.file_kinds import kind_of


def tar() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("cat/1.png"))
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"import os\n", "a text file"),
        ("\ufeffnäme;klasse\r\n".encode() * 50, "a text file"),
        (b"a" * 511 + "ü".encode(), "a text file"),  # cut within a character
        (b"\x89PNG\r\n\x1a\n\0\0", "an image"),
        (b"\xff\xd8\xff\xe0", "an image"),
        (b"\x1f\x8b\x08", "a gzip file, such as a .tar.gz"),
        (b"7z\xbc\xaf\x27\x1c\0", "a 7z archive"),
        (b"%PDF-1.7", "a PDF document"),
        (b" <!DOCTYPE html><p>", "a web page, which a download may give in place of the file"),
        (tar(), "a tar archive"),
        (b"\x01\x02\x03\x04\x05", "a file that begins with the bytes 01 02 03 04"),
        (b"PK", "a text file"),
        (b"\xc3\x28\0", "a file that begins with the bytes c3 28 00"),
    ],
)
def test_kinds(data: bytes, kind: str) -> None:
    assert kind_of(data) == kind
