"""The dataset check: all problems at once, with files and severities, and splits without leakage."""

from __future__ import annotations

import io
import unicodedata
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from autonl_core.dataset_check.check import Checked, check_dataset
from autonl_core.datasets.limits import Limits
from autonl_core.datasets.scan import list_items
from tests.autonl_core.photo_like_images import encoded, packed, photo

Files = dict[str, bytes]


def good(count: int = 25, *, split: bool = True, first: int = 0) -> Files:
    """Two classes of different pictures, with enough images that nothing is reported."""
    files: Files = {}
    for number in range(count):
        for label, name in enumerate(("cat", "dog")):
            seed = first + 2 * number + label
            folder = ("test/" if number % 5 == 4 else "train/") if split else ""
            files[f"{folder}{name}/{number:03}.png"] = encoded(photo(seed, 32))
    return files


def check(folder: Path, files: Files, **options: Any) -> Checked:
    work = folder / "work"
    work.mkdir()
    return check_dataset("pets", packed(folder / "pets.zip", files), work, **options)


def findings(checked: Checked) -> dict[str, tuple[str, list[str], int]]:
    """Severity, files and count by code."""
    problems = checked.report.to_json()["problems"]
    assert [p["severity"] for p in problems] == sorted(
        (p["severity"] for p in problems), key=["error", "warning", "info"].index
    )
    return {p["code"]: (p["severity"], p["files"], p["count"]) for p in problems}


def test_a_good_dataset_has_no_findings(tmp_path: Path) -> None:
    checked = check(tmp_path, good())
    assert findings(checked) == {}
    spec, report = checked.spec, checked.report.to_json()
    assert spec is not None
    assert (spec.classes, spec.train_images, spec.test_images, spec.image_size) == (("cat", "dog"), 40, 10, 32)
    assert report["classes"] == [{"name": name, "train": 20, "test": 5} for name in ("cat", "dog")]
    assert (report["files"], report["images"], report["formats"]) == (50, 50, {"PNG": 50})
    assert report["sizes"]["width"] == {"min": 32, "median": 32.0, "max": 32}
    assert Counter((item.label, item.split) for item in list_items(spec)) == {
        (label, split): count for label in (0, 1) for split, count in (("train", 20), ("test", 5))
    }
    assert [sheet.read_bytes()[:3] for sheet in checked.sheets] == [b"\xff\xd8\xff"] * 2  # JPEG


def test_all_problems_are_reported_at_once_with_their_files(tmp_path: Path) -> None:
    rotated = Image.Exif()
    rotated[0x0112] = 6
    picture = photo(999, 32)
    jpeg = encoded(photo(998, 64), "JPEG")
    frames = [photo(seed, 32) for seed in (996, 997)]
    odd: Files = {
        "train/cat/truncated.jpg": jpeg[: len(jpeg) // 2],
        "train/cat/text.png": b"no image",
        "train/cat/empty.png": b"",
        "train/cat/cmyk.jpg": encoded(photo(995, 32).convert("CMYK"), "JPEG"),
        "train/cat/deep.png": encoded(
            Image.fromarray(__import__("numpy").arange(1024, dtype="uint16").reshape(32, 32) * 63)
        ),
        "train/cat/alpha.png": encoded(photo(994, 32).convert("RGBA")),
        "train/dog/turned.jpg": encoded(picture, "JPEG", exif=rotated),
        "train/dog/moving.gif": _animation(frames),
        "train/dog/huge.png": encoded(photo(993, 500)),
        "train/dog/tiny.png": encoded(photo(992, 4)),
        "train/dog/long.png": encoded(photo(991, 32).resize((200, 20))),
        "train/loose.png": encoded(photo(990, 32)),
        "train/dog/notes.txt": b"remember",
        "train/dog/more.zip": b"PK",
        "__MACOSX/train/cat/._000.png": b"fork",
        "train/.DS_Store": b"",
    }
    checked = check(tmp_path, good() | odd)
    found = findings(checked)
    expected: dict[str, tuple[str, list[str]]] = {
        "unreadable_images": ("warning", ["empty.png", "text.png", "truncated.jpg"]),
        "cmyk": ("info", ["cmyk.jpg"]),
        "deep": ("info", ["deep.png"]),
        "alpha": ("info", ["alpha.png"]),
        "exif_rotation": ("info", ["turned.jpg"]),
        "animated": ("warning", ["moving.gif"]),
        "extreme_sizes": ("warning", ["huge.png", "tiny.png"]),
        "extreme_aspect_ratios": ("warning", ["long.png"]),
        "outside_class_folders": ("warning", ["loose.png"]),
        "not_images": ("warning", ["notes.txt"]),
        "nested_archives": ("warning", ["more.zip"]),
        "system_files": ("info", ["._000.png", ".DS_Store"]),
    }
    assert found.keys() == expected.keys()
    for code, (severity, names) in expected.items():
        assert (found[code][0], [name.rpartition("/")[2] for name in found[code][1]]) == (severity, names), code
        assert found[code][2] == len(names)
    spec = checked.spec
    assert spec is not None
    assert {item.member for item in list_items(spec)} == (good() | odd).keys() - {
        name for code in ("unreadable_images", "outside_class_folders", "not_images", "nested_archives", "system_files")
        for name in found[code][1]
    }  # fmt: skip


def _animation(frames: list[Image.Image]) -> bytes:
    buffer = io.BytesIO()
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:])
    return buffer.getvalue()


def test_training_images_that_duplicate_test_images_are_not_used_and_reported(tmp_path: Path) -> None:
    files = good()
    files["train/cat/same.png"] = files["test/cat/004.png"]
    files["train/cat/near.jpg"] = encoded(photo(2 * 9, 32), "JPEG", quality=60)  # test/cat/009.png
    files["train/dog/twice.png"] = files["train/dog/000.png"]
    files["train/dog/wrong.png"] = files["train/cat/001.png"]
    checked = check(tmp_path, files)
    found = findings(checked)
    assert found["duplicates_across_splits"] == ("warning", ["train/cat/near.jpg", "train/cat/same.png"], 2)
    assert found["duplicates_in_several_classes"][1] == ["train/cat/001.png", "train/dog/wrong.png"]
    assert found["exact_duplicates"][2] == 6
    assert found["near_duplicates"][1] == ["test/cat/009.png", "train/cat/near.jpg"]
    assert checked.report.duplicates == {"groups": 4, "exact": 3, "near": 1, "across_splits": 2, "left_out": 2}
    assert checked.spec is not None
    items = {item.member: item for item in list_items(checked.spec)}
    assert items.keys() == files.keys() - {"train/cat/near.jpg", "train/cat/same.png"}
    assert items["train/dog/000.png"].group == items["train/dog/twice.png"].group is not None
    assert items["train/cat/000.png"].group is None


@pytest.mark.parametrize("first", range(0, 3000, 1000))
def test_a_draw_keeps_images_of_the_same_picture_together(tmp_path: Path, first: int) -> None:
    files = good(split=False, first=first)
    for number in range(8):
        files[f"cat/copy-{number}.jpg"] = encoded(photo(first + 2 * number, 32), "JPEG", quality=80)
    checked = check(tmp_path, files)
    assert checked.spec is not None
    assert "duplicates_across_splits" not in findings(checked)
    items = {item.member: item for item in list_items(checked.spec)}
    assert len(items) == len(files)
    for number in range(8):
        one, other = items[f"cat/{number:03}.png"], items[f"cat/copy-{number}.jpg"]
        assert one.group == other.group is not None
        assert one.split == other.split
    assert Counter(item.split for item in items.values() if item.label == 0)["test"] in (6, 7)  # a fifth of 33


def test_all_classes_without_enough_usable_images_are_errors(tmp_path: Path) -> None:
    files = good()
    for name in ("fox", "owl", "rat"):
        files |= {
            f"train/{name}/{number}.png": encoded(photo(6000 + 10 * ord(name[0]) + number, 32)) for number in range(3)
        }
    files["test/fox/0.png"] = b"damaged"
    files["test/ant/0.png"] = encoded(photo(5000, 32))
    checked = check(tmp_path, files)
    assert checked.spec is None
    found = findings(checked)
    differing = [problem.files for problem in checked.report.problems if problem.code == "class_sets_differ"]
    assert differing == [["owl", "rat"], ["ant"]]  # only for training, only for testing
    severity, names, count = found["class_too_small"]
    assert (severity, count) == ("error", 4)
    assert names == [
        "ant (0 training, 1 test)",
        "fox (3 training, 0 test, 1 left out)",
        "owl (3 training, 0 test)",
        "rat (3 training, 0 test)",
    ]
    assert "unreadable_images" in found


def test_names_that_look_like_mistakes_are_reported(tmp_path: Path) -> None:
    files = good()
    cafe = "caf\N{LATIN SMALL LETTER E WITH ACUTE}"
    names = [cafe, unicodedata.normalize("NFD", cafe), "Cat", "New folder (2)", "trees copy"]
    for place, name in enumerate(names):
        for number in range(20):
            folder = "test" if number % 5 == 4 else "train"
            files[f"{folder}/{name}/{number}.png"] = encoded(photo(7000 + 50 * place + number, 32))
    files["train/dog/train/0.png"] = encoded(photo(9000, 32))
    found = findings(check(tmp_path, files))
    assert sorted(found["similar_class_names"][1]) == sorted([*names[:3], "cat"])
    assert found["suspicious_class_names"][1] == ["New folder (2)", "trees copy"]
    assert found["split_inside_class"][1] == ["train/dog/train/0.png"]


def test_wrapping_folders_and_validation_images_are_reported(tmp_path: Path) -> None:
    files = {f"photos/set/{name}": data for name, data in good().items()}
    files |= {f"photos/set/val/{name}/0.png": encoded(photo(800 + i, 32)) for i, name in enumerate(("cat", "dog"))}
    checked = check(tmp_path, files)
    assert {code: severity for code, (severity, *_) in findings(checked).items()} == {
        "wrapping_folder": "info",
        "validation_joins_training": "info",
    }
    assert checked.spec is not None
    assert checked.spec.train_images == 42


def test_imbalance_and_few_images_are_warnings(tmp_path: Path) -> None:
    files = good(split=False, count=40)
    files = {name: data for name, data in files.items() if not name.startswith("dog/") or name < "dog/005"}
    checked = check(tmp_path, files)
    found = findings(checked)
    assert (found["few_images"][0], found["few_images"][1]) == ("warning", ["dog (4 training)"])
    assert "imbalance" not in found  # 32 to 4: eight times as many
    assert checked.spec is not None
    few = {name: data for name, data in files.items() if not name.startswith("dog/") or name < "dog/003"}
    (tmp_path / "more").mkdir()
    assert findings(check(tmp_path / "more", few))["imbalance"][0] == "warning"  # 32 to 2


@pytest.mark.parametrize(
    ("files", "code", "words"),
    [
        ({"a/1.png": b"", "b": b""}, "no_class_folders", "one class, 'a'"),
        ({"1.png": b"", "2.png": b""}, "no_class_folders", "no class folders"),
        ({"a/1.txt": b""}, "no_class_folders", "has no images"),
        ({"train/a/1.png": b"", "more/1.png": b""}, "no_class_folders", "but also 'more' next to them"),
        ({"../a/1.png": b""}, "zip_refused", "must have a relative name"),
    ],
)
def test_what_cannot_be_read_as_a_dataset_is_reported(tmp_path: Path, files: Files, code: str, words: str) -> None:
    checked = check(tmp_path, files)
    assert checked.spec is None
    first = checked.report.to_json()["problems"][0]
    assert (first["severity"], first["code"]) == ("error", code)
    assert words in first["detail"]


def test_a_broken_or_missing_archive_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "pets.zip"
    path.write_bytes(b"PK\x03\x04 and no more")
    assert findings(check_dataset("pets", path, tmp_path)).keys() == {"zip_refused"}
    path.unlink()
    assert findings(check_dataset("pets", path, tmp_path)).keys() == {"zip_refused"}


def test_a_folder_is_checked_like_an_archive(tmp_path: Path) -> None:
    files = good()
    in_archive = check(tmp_path, files)
    for name, data in files.items():
        (tmp_path / "pets" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "pets" / name).write_bytes(data)
    in_folder = check_dataset("pets", tmp_path / "pets", tmp_path / "work")
    assert in_archive.spec is not None
    assert in_folder.spec is not None
    assert list_items(in_folder.spec) == list_items(in_archive.spec)


def test_the_same_content_gives_the_same_fingerprint_and_other_content_another(tmp_path: Path) -> None:
    specs = []
    for place, files in enumerate((good(), good(), good() | {"train/cat/x.png": encoded(photo(77, 32))})):
        (tmp_path / str(place)).mkdir()
        specs.append(check(tmp_path / str(place), files).spec)
    prints = [spec.fingerprint for spec in specs if spec]
    assert prints[0] == prints[1] != prints[2]


def test_limits_of_single_images_are_reported(tmp_path: Path) -> None:
    files = good() | {"train/cat/large.png": encoded(photo(1234, 64))}
    checked = check(tmp_path, files, limits=Limits(image_pixels=64 * 64 - 1))
    assert findings(checked)["unreadable_images"] == ("warning", ["train/cat/large.png"], 1)
    assert "4,095" in checked.report.problems[0].detail


def test_every_reason_of_unreadable_images_is_given_once(tmp_path: Path) -> None:
    jpeg = encoded(photo(998, 64), "JPEG")
    bad = {f"train/cat/text{number}.png": b"no image" for number in range(3)}
    checked = check(tmp_path, good() | bad | {"train/dog/cut.jpg": jpeg[: len(jpeg) // 2], "train/dog/none.png": b""})
    (problem,) = (each for each in checked.report.problems if each.code == "unreadable_images")
    assert problem.count == 5
    reasons = problem.detail.partition("Why: ")[2].split("; ")
    assert reasons[0].startswith("train/cat/text0.png and 2 more: ")
    assert {reason.partition(":")[0] for reason in reasons[1:]} == {"train/dog/cut.jpg", "train/dog/none.png"}


def test_a_drawn_test_split_is_mentioned(tmp_path: Path) -> None:
    (problem,) = check(tmp_path, good(split=False)).report.problems
    assert (problem.code, problem.severity) == ("test_split_drawn", "info")
    assert "a fifth of each class is set aside as the test split" in problem.detail


def test_the_column_that_is_read_is_named_with_those_that_could_be(tmp_path: Path) -> None:
    files = {name.replace("/", "-"): data for name, data in good(split=False).items()}
    rows = [f"{name},{name[:3]},{'FM'[number % 2]}" for number, name in enumerate(sorted(files))]
    lines = ["file,diagnosis,sex", *rows]
    checked = check(tmp_path, files | {"people.csv": "\n".join(lines).encode()})
    assert checked.spec is not None
    (problem,) = (each for each in checked.report.problems if each.code == "label_files")
    assert "what the column 'diagnosis' of people.csv says" in problem.detail
    assert "1 other column could be the class too: people.csv:sex" in problem.detail
    assert problem.files == ["people.csv"]
