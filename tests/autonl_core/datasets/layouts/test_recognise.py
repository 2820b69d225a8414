"""What people call their folders: recognised where it is unambiguous, never guessed where it is not."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence

import pytest

from autonl_core.datasets.layout import Layout, read_layout
from autonl_core.datasets.limits import DEFAULT_LIMITS
from autonl_core.errors import AmbiguousLayout, DatasetError

CLASSES = ("cat", "dog", "emu")
# Names of the splits: for training, for validation and for testing.
SPLIT_NAMES = (
    ("train", "val", "test"),
    ("Training", "Validation", "Testing"),
    ("training_set", "validation_set", "test_set"),
    ("train_images", "valid_images", "test_images"),
    ("01_train", "02_dev", "03_test"),
    ("seg_train", "seg_val", "seg_test"),
    ("trainSet", "devSet", "testSet"),
    ("train2017", "val2017", "test2017"),
    ("entrenamiento", "validación", "prueba"),
    ("entraînement", "validation", "test"),
    ("Trainingsdaten", "Validierung", "Testdaten"),
    ("treino", "validação", "teste"),
    ("addestramento", "convalida", "prova"),
    ("trening", "walidacja", "testowy"),
    ("eğitim", "doğrulama", "sınama"),
    ("обучение", "валидация", "тест"),
    ("训练集", "验证集", "测试集"),
    ("訓練データ", "検証データ", "テストデータ"),
    ("훈련", "검증", "테스트"),
    ("प्रशिक्षण", "सत्यापन", "परीक्षण"),
    ("تدريب", "تحقق", "اختبار"),
)
NESTINGS = ("{split}/{name}", "photos/{split}/{name}", "a/b/{split}/{name}", "{split}/{split}/{name}",
            "{split}/images/{name}", "{split}/{name}/images")  # fmt: skip


def tree(*folders: str, images: int = 3) -> list[str]:
    return [f"{folder}/{number}.jpg" for folder in folders for number in range(images)]


def layout(names: Iterable[str], how: str = "auto") -> Layout:
    return read_layout(names, "pets", DEFAULT_LIMITS, how)


def readings(names: Iterable[str]) -> dict[str, list[str]]:
    """The layouts that are offered, with their classes."""
    with pytest.raises(AmbiguousLayout) as raised:
        layout(names)
    return {reading.layout: sorted(reading.images) for reading in raised.value.readings}


@pytest.mark.parametrize("names", SPLIT_NAMES, ids=lambda names: names[0])
@pytest.mark.parametrize("nesting", NESTINGS)
def test_splits_are_recognised_in_many_languages_and_nestings(nesting: str, names: Sequence[str]) -> None:
    train, validation, test = names
    folders = [nesting.format(split=split, name=name) for split in names for name in CLASSES]
    found = layout(tree(*folders))
    assert found.classes == CLASSES
    assert len(found.images) == 27
    for image, (split, label) in found.images.items():
        assert CLASSES[label] in image.split("/")
        given = next(name for name in names if name in image.split("/"))
        assert split == {train: "train", validation: "train", test: "test"}[given]
    assert found.validation == (validation,)


@pytest.mark.parametrize("names", SPLIT_NAMES, ids=lambda names: names[0])
def test_without_a_test_split_the_validation_images_are_it(names: Sequence[str]) -> None:
    train, validation, _ = names
    found = layout(tree(*(f"{split}/{name}" for split in (train, validation) for name in CLASSES)))
    assert found.validation_is_test == (validation,)
    assert {image.split("/")[0]: split for image, (split, _) in found.images.items()} == {
        train: "train",
        validation: "test",
    }


@pytest.mark.parametrize("split", ["train", "Test", "val_images", "训练集"])
def test_a_split_with_none_beside_it_is_divided(split: str) -> None:
    found = layout(tree(*(f"data/{split}/{name}" for name in CLASSES)))
    assert (found.classes, found.is_split, found.only_split) == (CLASSES, False, split)


def test_the_images_of_a_test_folder_without_classes_are_not_used() -> None:
    found = layout(tree("train/cat", "train/dog", "test"))
    assert (found.classes, found.only_split, found.outside) == (("cat", "dog"), "train", tuple(tree("test")))
    found = layout(tree("cat", "dog", "test"))
    assert (found.classes, found.is_split, found.outside) == (("cat", "dog"), False, tuple(tree("test")))


def test_images_to_be_predicted_beside_the_splits_are_not_used() -> None:
    """As in a well-known set of landscapes: each folder twice, and one without classes."""
    folders = [f"seg_{split}/seg_{split}/{name}" for split in ("train", "test") for name in ("sea", "street")]
    found = layout(tree(*folders, "seg_pred/seg_pred"))
    assert (found.classes, found.outside) == (("sea", "street"), tuple(tree("seg_pred/seg_pred")))
    assert found.is_split


def test_each_class_may_have_its_own_splits() -> None:
    found = layout(tree("cat/train", "cat/test", "dog/train", "dog/test"))
    assert found.classes == ("cat", "dog")
    assert {image: split for image, (split, _) in found.images.items() if image.endswith("/0.jpg")} == {
        "cat/train/0.jpg": "train",
        "cat/test/0.jpg": "test",
        "dog/train/0.jpg": "train",
        "dog/test/0.jpg": "test",
    }


@pytest.mark.parametrize("name", ["train station", "training shoes", "test tube", "evening", "value", "developer"])
def test_classes_that_only_begin_like_splits_are_classes(name: str) -> None:
    assert set(layout(tree(name, "other")).classes) == {name, "other"}
    assert set(layout(tree(f"train/{name}", "train/other", f"test/{name}", "test/other")).classes) == {name, "other"}


# What is ambiguous ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "variants",
    [("color", "grayscale", "segmented"), ("fold1", "fold2"), ("part_a", "part_b", "part_c"), ("2019", "2020")],
)
@pytest.mark.parametrize("wrapping", ["", "plants/"])
def test_folders_that_repeat_the_classes_are_a_question(variants: Sequence[str], wrapping: str) -> None:
    names = tree(*(f"{wrapping}{variant}/{name}" for variant in variants for name in CLASSES))
    offered = readings(names)
    assert next(iter(offered)) == "*/CLASS"
    assert offered["*/CLASS"] == list(CLASSES)
    assert offered["CLASS"] == sorted(variants)
    assert offered[f"{variants[0]}/CLASS"] == list(CLASSES)
    for how, classes in offered.items():
        assert layout(names, how).classes == tuple(classes)
    assert len(layout(names, f"{variants[0]}/CLASS").images) == 9
    assert len(layout(names, "*/CLASS").images) == 9 * len(variants)


@pytest.mark.parametrize("split", ["", "train/", "test/"])
def test_a_taxonomy_is_a_question(split: str) -> None:
    folders = ("vehicle/ship", "vehicle/car", "animal/cat", "animal/dog")
    splits = ("train/", "test/") if split else ("",)
    prefix = "SPLIT/" if split else ""
    offered = readings(tree(*(f"{each}{folder}" for each in splits for folder in folders)))
    assert offered[f"{prefix}CLASS"] == ["animal", "vehicle"]
    assert offered[f"{prefix}*/CLASS"] == ["car", "cat", "dog", "ship"]


def test_a_taxonomy_with_equal_names_in_two_branches_can_be_read_with_both_names() -> None:
    offered = readings(tree("vehicle/other", "vehicle/car", "animal/other", "animal/dog"))
    assert offered["CLASS/CLASS"] == ["animal/dog", "animal/other", "vehicle/car", "vehicle/other"]


def test_variants_around_splits_are_a_question() -> None:
    names = tree(*(f"{v}/{s}/{c}" for v, s, c in itertools.product(("rgb", "ir"), ("train", "test"), CLASSES)))
    offered = readings(names)
    assert offered["*/SPLIT/CLASS"] == list(CLASSES)
    assert layout(names, "ir/SPLIT/CLASS").is_split


def test_class_folders_beside_splits_are_a_question() -> None:
    offered = readings(tree("train/cat", "train/dog", "test/cat", "test/dog", "extra/cat"))
    assert offered["SPLIT/CLASS"] == ["cat", "dog"]
    assert offered["CLASS"] == ["extra", "test", "train"]


def test_numbered_files_are_read_only_on_request() -> None:
    names = ["cat_001.jpg", "cat_002.jpg", "dog (1).jpg", "dog (2).jpg", "big.emu.7.png", "big.emu.8.png"]
    assert readings(names) == {"CLASS_NUMBER": ["big.emu", "cat", "dog"]}
    assert layout(names, "CLASS_NUMBER").classes == ("big.emu", "cat", "dog")
    train = [f"train/{name}.{number}.jpg" for name in ("cat", "dog") for number in range(4)]
    assert readings([*train, "test/1.jpg", "test/2.jpg"]) == {"SPLIT/CLASS_NUMBER": ["cat", "dog"]}


def test_splits_without_any_class_are_no_classes() -> None:
    with pytest.raises(DatasetError, match="no class folders in its split folders"):
        layout(["train/a.jpg", "train/b.jpg", "test/c.jpg", "test/d.jpg"])
    with pytest.raises(DatasetError, match="has 'test' and 'train' beside other folders"):
        layout(tree("car", "plane", "train", "test"))


@pytest.mark.parametrize("how", ["", "foo", "SPLIT", "CLASS_NUMBER/CLASS", "SPLIT/SPLIT/CLASS", "a//CLASS"])
def test_what_is_no_layout_is_refused_with_how_one_is_written(how: str) -> None:
    with pytest.raises(DatasetError, match=r"no layout: .*; write one such as CLASS, SPLIT/CLASS"):
        layout(tree("cat", "dog"), how)


def test_a_layout_that_fits_no_image_is_refused_with_an_example() -> None:
    with pytest.raises(DatasetError, match=r"no image of pets fits layout=SPLIT/CLASS: the first one is 'x/cat/0.jpg'"):
        layout(tree("x/cat", "x/dog"), "SPLIT/CLASS")


# A grid: whatever the layout, the classes are those a person would name, or the user is asked, or warned --------------


@pytest.mark.parametrize("above", ["", "{split}/", "{split}/{split}/", "{variant}/", "{variant}/{split}/",
                                   "{split}/{variant}/", "{kind}/", "{split}/{kind}/"])  # fmt: skip
@pytest.mark.parametrize("below", ["", "/images", "/{name}", "/{view}"])
@pytest.mark.parametrize("names", SPLIT_NAMES[::4], ids=lambda names: names[0])
def test_no_layout_is_misread_in_silence(above: str, below: str, names: Sequence[str]) -> None:
    for wrapping in ("", "data/", "data/set/"):
        require_no_misreading(wrapping, above, below, names)


def require_no_misreading(wrapping: str, above: str, below: str, names: Sequence[str]) -> None:
    kinds = {"cat": "animal", "dog": "animal", "oak": "plant", "elm": "plant"}
    folders = {
        f"{wrapping}{above}{name}{below}".format(split=split, variant=variant, kind=kind, name=name, view=view)
        for split, variant, view in itertools.product(names, ("raw", "cut"), ("front", "side"))
        for name, kind in kinds.items()
    }
    found = layout_or_readings(tree(*sorted(folders)))
    if isinstance(found, Layout):
        assert found.classes == tuple(sorted(kinds)) or found.folders.inside
        assert found.is_split == ("{split}" in above)
    else:
        assert sorted(kinds) in found


def layout_or_readings(names: Sequence[str]) -> Layout | list[list[str]]:
    """The layout, or the classes of each reading that is offered."""
    try:
        return layout(names)
    except AmbiguousLayout as error:
        return [sorted(reading.images) for reading in error.readings]
