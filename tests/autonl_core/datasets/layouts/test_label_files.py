"""Files of labels beside images, as tools and competitions write them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

import pytest

from autonl_core.datasets.data_source import Location
from autonl_core.datasets.layout import Layout, open_layout
from autonl_core.datasets.limits import DEFAULT_LIMITS
from autonl_core.errors import AmbiguousLayout, DatasetError

IMAGE = b"\xff\xd8\xff\xe0"
IMAGES = {f"images/{number}.jpg": IMAGE for number in range(6)}
DOGS = ["pug", "lab", "pug", "lab", "pug", "lab"]


class Files:
    """Files in memory."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self.files = files
        self.marks = dict.fromkeys(files, "mark")

    def read(self, name: str) -> bytes:
        return self.files.get(name, b"")

    def locate(self, names: Iterable[str]) -> Iterable[Location]:
        return map(Location, names)


def layout(files: Mapping[str, bytes], how: str = "auto") -> Layout:
    return open_layout(Files(files), "pets", DEFAULT_LIMITS, how)


def classes_of(found: Layout) -> dict[str, str]:
    return {image: found.classes[label] for image, (_, label) in found.images.items()}


def rows(lines: Iterable[str]) -> bytes:
    return "\n".join(lines).encode()


TABLES: dict[str, dict[str, bytes]] = {
    "csv": {"labels.csv": rows(["file,breed", *(f"{n}.jpg,{dog}" for n, dog in enumerate(DOGS))])},
    "without suffixes": {"labels.csv": rows(["id,breed", *(f"{n},{dog}" for n, dog in enumerate(DOGS))])},
    "semicolons and a mark of UTF-8": {
        "labels.csv": b"\xef\xbb\xbf" + rows(["file;breed", *(f"images/{n}.jpg;{dog}" for n, dog in enumerate(DOGS))])
    },
    "tabs": {"labels.tsv": rows(["breed\tpath", *(f"{dog}\t./images/{n}.jpg" for n, dog in enumerate(DOGS))])},
    "Windows paths": {"labels.csv": rows(["path,label", *(f"C:\\x\\images\\{n}.jpg,{d}" for n, d in enumerate(DOGS))])},
    "without a header": {"labels.csv": rows(f"{n}.jpg,{dog}" for n, dog in enumerate(DOGS))},
    "UTF-16": {
        "labels.csv": ("file,label\n" + "\n".join(f"{n}.jpg,{dog}" for n, dog in enumerate(DOGS))).encode("utf-16")
    },
    "other columns": {
        "meta.csv": rows(
            ["image_id,width,age,dx,score", *(f"{n},224,{30 + n % 2},{dog},0.5" for n, dog in enumerate(DOGS))]
        )
    },
    "numbers beside names": {
        "labels.csv": rows(["file,label,label_name", *(f"{n}.jpg,{n % 2},{dog}" for n, dog in enumerate(DOGS))])
    },
    "one column per class": {
        "_classes.csv": rows(
            ["filename, lab, pug", *(f"{n}.jpg, {int(d == 'lab')}, {int(d == 'pug')}" for n, d in enumerate(DOGS))]
        )
    },
    "JSON lines": {
        "images/metadata.jsonl": rows(json.dumps({"file_name": f"{n}.jpg", "label": dog}) for n, dog in enumerate(DOGS))
    },
    "JSON list": {"a.json": json.dumps([{"img": f"{n}.jpg", "class": dog} for n, dog in enumerate(DOGS)]).encode()},
    "JSON entries": {"a.json": json.dumps({f"{n}.jpg": dog for n, dog in enumerate(DOGS)}).encode()},
    "COCO": {
        "annotations/instances.json": json.dumps(
            {
                "images": [{"id": 10 + n, "file_name": f"{n}.jpg"} for n in range(6)],
                "categories": [{"id": 7, "name": "pug"}, {"id": 3, "name": "lab"}],
                "annotations": [
                    {"id": n, "image_id": 10 + n, "category_id": 7 if dog == "pug" else 3} for n, dog in enumerate(DOGS)
                ],
            }
        ).encode()
    },
    "list": {"list.txt": rows(f"images/{n}.jpg {dog}" for n, dog in enumerate(DOGS))},
    "YOLO": {
        **{f"labels/{n}.txt": b"%d 0.5 0.5 1 1\n" % (dog == "pug") for n, dog in enumerate(DOGS)},
        "data.yaml": b"nc: 2\nnames: [lab, pug]\n",
    },
    "YOLO beside the images": {
        **{f"images/{n}.txt": b"%d\n" % (dog == "pug") for n, dog in enumerate(DOGS)},
        "classes.txt": b"lab\npug\n",
    },
}


@pytest.mark.parametrize("kind", TABLES)
@pytest.mark.parametrize("wrapping", ["", "export/v2/"])
def test_the_only_column_that_can_be_the_class_is_recognised(kind: str, wrapping: str) -> None:
    files = {wrapping + name: data for name, data in (IMAGES | TABLES[kind]).items()}
    found = layout(files)
    assert found.classes == ("lab", "pug")
    assert classes_of(found) == {f"{wrapping}images/{n}.jpg": dog for n, dog in enumerate(DOGS)}
    assert set(found.label_files) == {wrapping + name for name in TABLES[kind]}
    assert (found.outside, found.unfound, found.is_split) == ((), (), False)


def test_a_column_of_splits_is_used() -> None:
    parts = ["train", "train", "valid", "valid", "TEST", "TEST"]
    table = rows(["file,label,split", *(f"{n}.jpg,{dog},{parts[n]}" for n, dog in enumerate(DOGS))])
    found = layout(IMAGES | {"labels.csv": table})
    assert [split for split, _ in found.images.values()] == ["train"] * 4 + ["test"] * 2
    assert found.validation == ("validation",)
    table = table.replace(b"TEST", b"valid")
    found = layout(IMAGES | {"labels.csv": table})
    assert [split for split, _ in found.images.values()] == ["train"] * 2 + ["test"] * 4
    assert found.validation_is_test == ("validation",)


def test_a_table_per_split_whose_images_have_equal_names() -> None:
    files: dict[str, bytes] = {}
    for split, count in (("train", 6), ("test", 4)):
        files |= {f"{split}/{n}.jpg": IMAGE for n in range(count)}
        files[f"{split}.csv"] = rows(["image,label", *(f"{n}.jpg,{DOGS[n]}" for n in range(count))])
    found = layout(files)
    assert classes_of(found)["test/1.jpg"] == "lab"
    assert [split for split, _ in found.images.values()] == ["test"] * 4 + ["train"] * 6
    assert set(found.label_files) == {"train.csv", "test.csv"}


def test_a_competition_whose_test_images_have_no_labels() -> None:
    files = {f"train/t{n}.jpg": IMAGE for n in range(6)} | {f"test/e{n}.jpg": IMAGE for n in range(3)}
    files["labels.csv"] = rows(["id,breed", *(f"t{n},{dog}" for n, dog in enumerate(DOGS))])
    files["sample_submission.csv"] = rows(["id,breed", "e0,pug", "e1,lab", "e2,pug"])
    found = layout(files)
    assert (len(found.images), found.only_split) == (6, "train")
    assert found.outside == ("test/e0.jpg", "test/e1.jpg", "test/e2.jpg")


def test_images_without_a_row_rows_without_an_image_and_images_with_two_labels_are_named() -> None:
    lines = ["file,label", "0.jpg,pug", "1.jpg,lab", "2.jpg,pug", "2.jpg,lab", "3.jpg,lab", "4.jpg,pug", "9.jpg,pug"]
    found = layout(IMAGES | {"labels.csv": rows(lines)})
    assert found.outside == ("images/2.jpg", "images/5.jpg")
    assert (found.unfound, found.several_labels) == (("9.jpg",), ("images/2.jpg",))


def test_several_columns_are_a_question() -> None:
    table = rows(
        ["file,colour,shape", *(f"{n}.jpg,{dog},{'square' if n < 3 else 'round'}" for n, dog in enumerate(DOGS))]
    )
    with pytest.raises(AmbiguousLayout, match="several files or columns of labels") as raised:
        layout(IMAGES | {"labels.csv": table})
    offered = {reading.layout: sorted(reading.images) for reading in raised.value.readings}
    assert offered == {"labels.csv:colour": ["lab", "pug"], "labels.csv:shape": ["round", "square"]}
    for how, classes in offered.items():
        assert layout(IMAGES | {"labels.csv": table}, how).classes == tuple(classes)


def test_folders_and_labels_that_agree_are_read_as_folders() -> None:
    files = {f"{dog}/{n}.jpg": IMAGE for n, dog in enumerate(DOGS)}
    files["labels.csv"] = rows(["file,label", *(f"{n}.jpg,breed {dog}" for n, dog in enumerate(DOGS))])
    found = layout(files)
    assert (found.classes, found.label_files) == (("lab", "pug"), ())


def test_folders_and_labels_that_disagree_are_a_question() -> None:
    """As in a well-known set of radiographs: its folders are portions of the download."""
    files = {f"images_00{n % 3}/{n}.jpg": IMAGE for n in range(6)}
    files["labels.csv"] = rows(["Image Index,Finding Labels", *(f"{n}.jpg,{dog}" for n, dog in enumerate(DOGS))])
    with pytest.raises(AmbiguousLayout, match="divide the images differently") as raised:
        layout(files)
    assert [reading.layout for reading in raised.value.readings] == ["CLASS", "labels.csv:Finding Labels"]


OTHER_DOCUMENTS = (
    b"",
    b"file,label",
    b"\x00\xff" * 50,
    b"{",
    b'{"a": [',
    b"[1, 2]",
    b"[" * 5000,
    b'{"images": 1, "annotations": 2, "categories": 3}',
    b"some words about 0.jpg",
    b'"',
    rows(["a,b", "1,2", "3,4"]),
)


@pytest.mark.parametrize("document", OTHER_DOCUMENTS)
@pytest.mark.parametrize("suffix", [".csv", ".json", ".jsonl", ".txt"])
def test_other_documents_are_no_labels(document: bytes, suffix: str) -> None:
    with pytest.raises(DatasetError, match=r"no class folders|one class"):
        layout(IMAGES | {f"notes{suffix}": document})


def test_a_chosen_file_or_column_that_is_not_there_is_refused_with_those_that_are() -> None:
    files = IMAGES | TABLES["csv"]
    with pytest.raises(DatasetError, match=r"there is no file 'other.csv'; files that may have labels: labels.csv"):
        layout(files, "other.csv:breed")
    with pytest.raises(DatasetError, match=r"names no column of labels; the possible ones are: labels.csv:breed"):
        layout(files, "labels.csv:colour")


def test_wordnet_identifiers_get_their_names() -> None:
    files = {f"{split}/{wnid}/{n}.jpg": IMAGE for split in ("train", "val") for wnid in ("n01440764", "n01443537")
             for n in range(2)}  # fmt: skip
    names = (
        ("synset_words.txt", b"n01440764 tench, Tinca tinca\nn01443537 goldfish, Carassius auratus\n"),
        ("index.json", b'{"0": ["n01440764", "tench"], "1": ["n01443537", "goldfish"]}'),
    )
    for name, content in names:
        found = layout(files | {name: content})
        assert (found.classes, found.synsets) == (("n01440764 tench", "n01443537 goldfish"), name)
    assert layout(files | {"words.txt": b"n01440764 tench\n"}).classes == ("n01440764", "n01443537")  # not all of them
