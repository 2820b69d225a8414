"""What names and first bytes say about files."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from autonl_core.datasets.names import is_left_behind, may_be_image, parts_of, starts_like_an_image


@pytest.mark.parametrize("form", ["JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP", "PPM", "AVIF"])
def test_every_supported_format_is_known_by_its_first_bytes(form: str) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(buffer, form)
    assert starts_like_an_image(buffer.getvalue()[:16])


@pytest.mark.parametrize(
    "data", [b"", b"P", b"P9 1 1", b"PK\x03\x04", b"RIFF\0\0\0\0WAVE", b"%PDF-1.7", b"    ftypisom"]
)
def test_other_content_is_no_image(data: bytes) -> None:
    assert not starts_like_an_image(data)


@pytest.mark.parametrize("name", ["a.jfif", "a", "IMG_0001", "photo.2021-03-04", "a.jpg_large", "b/a.heic", "a.PNG"])
def test_a_file_whose_suffix_says_nothing_is_opened(name: str) -> None:
    assert may_be_image(name)


@pytest.mark.parametrize("name", ["a.txt", "a.csv", "a.zip", "a.tar.gz", "a.mp4", "a.dcm", "a.PDF", "x.jpg/notes.md"])
def test_a_file_whose_suffix_says_that_it_is_something_else_is_not(name: str) -> None:
    assert not may_be_image(name)


@pytest.mark.parametrize(
    "name",
    ["cat/@eaDir/1.jpg/SYNOPHOTO_THUMB_M.jpg", "$RECYCLE.BIN/1.jpg", "cat/.thumbnails/1.png", "cat/Thumbs.db",
     "__MACOSX/cat/._1.jpg", "#recycle/1.jpg", "System Volume Information/x", "cat/.DS_Store", "a/@Recycle/1.jpg"],
)  # fmt: skip
def test_what_systems_leave_behind_is_known(name: str) -> None:
    assert is_left_behind(parts_of(name))


@pytest.mark.parametrize("name", ["@home/1.jpg", "recycle bin/1.jpg", "#1/1.jpg", "cat/thumbs.jpg", "lost/found/1.jpg"])
def test_names_that_only_resemble_them_are_not(name: str) -> None:
    assert not is_left_behind(parts_of(name))
