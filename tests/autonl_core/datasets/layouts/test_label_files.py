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


def columns(**values: Iterable[object]) -> bytes:
    """A table of the six images with these columns."""
    names = [f"{n}.jpg" for n in range(6)]
    return rows(
        [",".join(["file", *values]), *(",".join(map(str, row)) for row in zip(names, *values.values(), strict=True))]
    )


SEX, CAMERA, PATIENT, AGE = (
    "FMMFMF",
    ("a", "a", "b", "b", "c", "c"),
    ("p1", "p1", "p2", "p2", "p3", "p3"),
    (31, 31, 31, 52, 52, 52),
)


def test_a_column_that_is_called_like_a_class_is_taken_and_the_others_are_named() -> None:
    table = columns(patient_id=PATIENT, diagnosis=DOGS, age=AGE, sex=SEX, camera=CAMERA)
    found = layout(IMAGES | {"meta.csv": table})
    assert found.classes == ("lab", "pug")
    assert (found.label_files, found.label_column) == (("meta.csv",), "diagnosis")
    assert found.other_columns == ("meta.csv:sex",)


def test_a_name_of_a_class_in_one_file_goes_before_other_columns_in_another() -> None:
    files = IMAGES | {"labels.csv": columns(species=DOGS), "people.csv": columns(sex=SEX)}
    found = layout(files)
    assert (found.label_files, found.label_column, found.other_columns) == (
        ("labels.csv",),
        "species",
        ("people.csv:sex",),
    )


@pytest.mark.parametrize(
    ("values", "offered"),
    [
        ({"result": DOGS, "group": SEX}, ["result", "group"]),
        ({"species": DOGS, "breed": SEX}, ["species", "breed"]),
        ({"result": DOGS, "group": SEX, "age": AGE, "patient": PATIENT}, ["result", "group"]),
        ({"result": DOGS, "race": (0, 1, 1, 0, 2, 2)}, ["result", "race"]),  # which may number classes
    ],
)
def test_columns_that_could_equally_well_be_the_class_are_a_question(
    values: dict[str, Iterable[object]], offered: list[str]
) -> None:
    with pytest.raises(AmbiguousLayout) as raised:
        layout(IMAGES | {"m.csv": columns(**values)})
    assert [reading.layout for reading in raised.value.readings] == [f"m.csv:{column}" for column in offered]


@pytest.mark.parametrize("column", ["patient_id", "diagnosis", "age", "sex", "camera", "kind"])
def test_any_column_of_repeated_values_can_be_chosen(column: str) -> None:
    values = {"patient_id": PATIENT, "diagnosis": DOGS, "age": AGE, "sex": SEX, "camera": CAMERA, "kind": SEX.lower()}
    found = layout(IMAGES | {"m.csv": columns(**values)}, f"m.csv:{column}")
    assert set(found.classes) == {str(value) for value in values[column]}
    assert (found.label_column, found.other_columns) == (column, ())


def test_a_column_that_cannot_be_classes_is_refused_with_its_values() -> None:
    files = IMAGES | {"m.csv": columns(serial=range(6), clinic=["x"] * 6, sex=SEX)}
    with pytest.raises(DatasetError, match=r"m.csv:serial has 6 different values for 6 images here.*: m.csv:sex"):
        layout(files, "m.csv:serial")
    with pytest.raises(DatasetError, match=r"m.csv:clinic has 1 different value for 6 images"):
        layout(files, "m.csv:clinic")


def test_numbers_are_classes_only_if_they_are_chosen_or_count() -> None:
    ages = IMAGES | {"m.csv": columns(age=AGE)}
    with pytest.raises(DatasetError, match=r"m.csv: no column of it is the class unless you say so: layout=m.csv:age"):
        layout(ages)
    assert layout(ages, "m.csv:age").classes == ("31", "52")
    assert layout(IMAGES | {"m.csv": columns(digit=(0, 1, 2, 2, 1, 0))}).classes == ("0", "1", "2")
    assert layout(IMAGES | {"m.csv": columns(label=(7, 9, 7, 9, 7, 9))}).classes == ("7", "9")
    assert layout(IMAGES | {"m.txt": rows(f"{n}.jpg {n % 2 + 7}" for n in range(6))}).classes == ("7", "8")  # no header


@pytest.mark.parametrize("column", ["patient_id", "camera"])
def test_patients_and_cameras_are_classes_only_if_they_are_chosen(column: str) -> None:
    files = IMAGES | {"m.csv": columns(**{column: PATIENT})}
    with pytest.raises(AmbiguousLayout, match=f"'{column}' is hardly the class") as raised:
        layout(files)
    assert [reading.layout for reading in raised.value.readings] == [f"m.csv:{column}"]
    assert layout(files, f"m.csv:{column}").classes == ("p1", "p2", "p3")
    folders = {f"{dog}/{n}.jpg": IMAGE for n, dog in enumerate(DOGS)}
    assert layout(folders | {"m.csv": columns(**{column: PATIENT})}).classes == ("lab", "pug")


def test_a_table_most_of_whose_images_are_missing_is_a_question_that_says_so() -> None:
    table = rows(["file,finding,sex", *(f"{n}.jpg,{DOGS[n % 6]},{SEX[n % 6]}" for n in range(18))])
    with pytest.raises(AmbiguousLayout, match=r"no class folders.*m.csv: 67% of its rows name no image here") as raised:
        layout(IMAGES | {"m.csv": table})
    assert [reading.layout for reading in raised.value.readings] == ["m.csv:finding"]
    found = layout(IMAGES | {"m.csv": table}, "m.csv:sex")
    assert (found.classes, len(found.unfound)) == (("F", "M"), 12)


def test_a_table_that_names_no_image_is_named_where_class_folders_are_missing() -> None:
    files = IMAGES | {"m.csv": rows(["file,label", "x.jpg,a", "y.jpg,b"])}
    with pytest.raises(DatasetError, match=r"m.csv: none of its rows names an image here"):
        layout(files)
    with pytest.raises(DatasetError, match=r"one class, 'cat'.*m.csv: none of its rows names an image here"):
        layout({f"cat/{n}.jpg": IMAGE for n in range(6)} | {"1.jpg": IMAGE, "m.csv": files["m.csv"]})


def test_rows_are_found_where_the_images_of_the_first_ones_are_missing() -> None:
    lines = [f"no{n}.jpg;{DOGS[n % 6]}" for n in range(90)] + [f"{n % 6}.jpg;{DOGS[n % 6]}" for n in range(100)]
    found = layout(IMAGES | {"m.csv": rows(["file;label", *lines])})
    assert (found.classes, len(found.images), len(found.unfound)) == (("lab", "pug"), 6, 90)


def test_names_that_several_images_have_are_not_mixed_with_those_of_none() -> None:
    files = {f"{folder}/{n}.jpg": IMAGE for folder in ("x", "y") for n in range(2)} | IMAGES
    files["m.csv"] = rows(["file,label", *(f"{n}.jpg,{DOGS[n]}" for n in range(6)), "9.jpg,pug"])
    found = layout(files, "m.csv:label")
    assert (found.unclear, found.unfound) == (("0.jpg", "1.jpg"), ("9.jpg",))


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


def test_the_text_of_each_image_is_read_once() -> None:
    class Counted(Files):
        def __init__(self, files: Mapping[str, bytes]) -> None:
            super().__init__(files)
            self.read_names: list[str] = []

        def read(self, name: str) -> bytes:
            self.read_names.append(name)
            return super().read(name)

    texts = {f"labels/{number}.txt": f"{number % 2} 0.5 0.5 1 1".encode() for number in range(6)}
    files = Counted({**IMAGES, **texts, "classes.txt": b"cat\ndog"})
    found = open_layout(files, "pets", DEFAULT_LIMITS)
    assert classes_of(found) == {name: ("cat", "dog")[number % 2] for number, name in enumerate(IMAGES)}
    assert sorted(name for name in files.read_names if name.endswith(".txt")) == ["classes.txt", *sorted(texts)]
