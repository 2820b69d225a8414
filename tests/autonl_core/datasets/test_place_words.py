"""Messages call an upload by the name that its user gave it, and everything else by its path."""

from __future__ import annotations

from pathlib import Path

import pytest

from autonl_core.dataset_check.check import check_dataset
from autonl_core.datasets.place_words import in_user_words, place_of
from autonl_core.datasets.scan import list_items, scan
from autonl_core.errors import DatasetError
from tests.autonl_core.photo_like_images import encoded, packed, photo

STORED = f"{'0123456789abcdef' * 4}.zip"
IMAGE = encoded(photo(1, 32))
EMPTY_ZIP = b"PK\x05\x06" + bytes(18)


def test_the_stored_file_of_an_upload_is_called_by_its_dataset() -> None:
    path = Path("/data/datasets") / STORED
    assert place_of("pets", path) == "the upload of dataset 'pets'"
    assert in_user_words(f"{path} is refused", "pets", path) == "the upload of dataset 'pets' is refused"
    own = Path("/home/me/pets.zip")
    assert in_user_words(f"{own} is refused", "pets", own) == f"{own} is refused"


@pytest.mark.parametrize(
    "content",
    [
        EMPTY_ZIP,
        b"PK\x03\x04" + bytes(100),
        {"../cat/1.png": IMAGE},
        {"cat/1.txt": b"no image"},
        {"cat/1.png": IMAGE},
        {"1.png": IMAGE, "2.png": IMAGE},
        {"cat/\x07.png": IMAGE, "d\x07g/1.png": IMAGE},
    ],
)
def test_no_finding_names_a_hash_or_a_folder_of_the_server(tmp_path: Path, content: bytes | dict[str, bytes]) -> None:
    path = tmp_path / STORED
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        packed(path, content)
    work = tmp_path / "work"
    work.mkdir()
    checked = check_dataset("pets", path, work)
    assert checked.spec is None
    said = " ".join(problem.detail for problem in checked.report.problems if problem.severity == "error")
    assert STORED[:16] not in said
    assert str(tmp_path) not in said
    assert "'pets'" in said


def test_an_empty_archive_is_called_empty(tmp_path: Path) -> None:
    path = tmp_path / "pets.zip"
    path.write_bytes(EMPTY_ZIP)
    with pytest.raises(DatasetError, match="it is empty, without a single file"):
        scan("pets", path)


def test_nor_does_a_search_whose_archive_has_changed_or_is_gone(tmp_path: Path) -> None:
    files = {f"{name}/{n}.png": encoded(photo(n, 32)) for name in ("cat", "dog") for n in range(4)}
    path = packed(tmp_path / STORED, files)
    spec = scan("pets", path)
    packed(path, files | {"cat/4.png": IMAGE})
    with pytest.raises(DatasetError, match=r"^the upload of dataset 'pets' changed .* it has 9 images now, and had 8"):
        list_items(spec)
    path.unlink()
    with pytest.raises(DatasetError, match="no dataset at the upload of dataset 'pets'"):
        list_items(spec)
