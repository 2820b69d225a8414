"""Batches of views: crops of whole pictures, one view for network and teacher, labels with the teacher's answers."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from autonl_core.data.augment import Augmentation
from autonl_core.data.batches import Batch, BatchSource, Loader, random_stream
from autonl_core.data.pictures import Pictures, prepare_pictures
from autonl_core.data.prepare import PreparedData, prepare
from autonl_core.data.views import Teacher, ViewLoader, scaled
from autonl_core.datasets.scan import scan
from tests.autonl_core.data.picture_zips import picture_zip

CPU = torch.device("cpu")
CROPS = Augmentation(flip=True, padding_px=2, crop_min_scale=0.3)
EVERYTHING = replace(CROPS, color_jitter=0.3, policy="randaugment", erase=0.3, mixup=0.4, cutmix=1.0)


@dataclass
class Memory:
    """A teacher that remembers what it saw; its logits are means of halves of the first channel."""

    seen: list[Tensor] = field(default_factory=list)

    def __call__(self, x: Tensor) -> Tensor:
        assert not torch.is_grad_enabled()
        self.seen.append(x)
        return torch.stack([x[:, 0, :, :5].mean((1, 2)), x[:, 0, :, 5:].mean((1, 2))], dim=1)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> tuple[PreparedData, Pictures]:
    folder = tmp_path_factory.mktemp("views")
    spec = scan("z", picture_zip(folder / "z.zip", count=30))
    return prepare(spec, 12, folder / "cache"), prepare_pictures(spec, 40, folder / "cache")


@pytest.fixture
def loader(prepared: tuple[PreparedData, Pictures]) -> ViewLoader:
    data, pictures = prepared
    return ViewLoader(data, CPU, 5, CROPS, pictures=pictures, view_px=20)


def epoch(loader: BatchSource, number: int = 0, batch_size: int = 8, first_step: int = 0) -> list[Batch]:
    return list(loader.epoch(loader.data.train, "train", number, batch_size, first_step))


def assert_equal(batches: list[Batch], others: list[Batch]) -> None:
    assert len(batches) == len(others) > 1
    for (x, labels), (other_x, other_labels) in zip(batches, others, strict=True):
        assert torch.equal(x, other_x)
        assert torch.equal(labels, other_labels)


def test_a_view_is_the_crop_of_its_picture_by_its_own_draws(loader: ViewLoader) -> None:
    """Worked out here once more, from the documented seeds, columns and formulas alone."""
    data, pictures = loader.data, loader.pictures
    loader = replace(loader, data=replace(data, resolution=20), augmentation=replace(CROPS, flip=False))
    rng = random_stream("train", 5, 3)
    order, draws = rng.permutation(len(data.train)), rng.random((len(data.train), 19))
    x, labels = next(iter(loader.epoch(data.train, "train", 3, 8)))
    assert x.shape == (8, 3, 20, 20)
    assert x.is_contiguous(memory_format=torch.channels_last)
    for place, position in enumerate(order[:8]):
        row = data.train.indices[position]
        (picture,) = pictures.read(np.array([row]))
        height, width = picture.shape[:2]
        area = height * width * (0.3 + 0.7 * draws[position, 6])
        ratio = (4 / 3) ** (2 * draws[position, 7] - 1)
        w, h = min(width, (area * ratio) ** 0.5), min(height, (area / ratio) ** 0.5)
        w, h = min(w, 4 / 3 * h), min(h, 4 / 3 * w)
        left, top = draws[position, 8] * (width - w), draws[position, 9] * (height - h)
        crop = Image.fromarray(picture).resize((20, 20), Image.Resampling.BILINEAR, (left, top, left + w, top + h))
        pixels = torch.from_numpy(np.array(crop)).double() / 255
        expected = (pixels - torch.tensor(data.mean)) / torch.tensor(data.std)
        assert torch.allclose(x[place].permute(1, 2, 0).double(), expected, atol=0.02)  # a level is 0.015
        assert labels[place] == data.train.labels[row]


@pytest.mark.parametrize("augmentation", [CROPS, EVERYTHING])
def test_an_epoch_resumed_at_any_step_equals_an_uninterrupted_one(
    loader: ViewLoader, augmentation: Augmentation
) -> None:
    loader = replace(loader, augmentation=augmentation, teacher=Teacher(Memory(), 16, 0.5))
    uninterrupted = epoch(loader, 2)
    for first_step in range(1, len(uninterrupted) - 1):
        assert_equal(epoch(loader, 2, first_step=first_step), uninterrupted[first_step:])
    one = loader.batch(loader.data.train, "train", 2, 8, 3)
    assert_equal([one, one], [uninterrupted[3]] * 2)
    assert not torch.equal(epoch(loader, 3)[0][0], uninterrupted[0][0])


def test_the_crop_depends_on_the_image_not_on_its_place_in_a_batch(loader: ViewLoader) -> None:
    train = loader.data.train
    order = random_stream("train", 5, 0).permutation(len(train))
    views = torch.cat([x for x, _ in epoch(loader, batch_size=8)])
    others = torch.cat([x for x, _ in epoch(loader, batch_size=5)])
    shown = min(len(views), len(others), len(order))
    assert shown > 40
    assert torch.equal(views[:shown], others[:shown])


def test_about_half_the_views_are_mirrored(loader: ViewLoader) -> None:
    plain = replace(loader, augmentation=replace(CROPS, flip=False))
    flips = []
    for (x, _), (other, _) in zip(epoch(loader), epoch(plain), strict=True):
        for view, unflipped in zip(x, other, strict=True):
            flips.append(not torch.equal(view, unflipped))
            mirrored = unflipped.flip(-1) if flips[-1] else unflipped
            assert torch.allclose(view, mirrored, atol=0.05)  # scaled as bytes, hence rounded
    assert 0.25 < np.mean(flips) < 0.75


def test_without_random_crops_padding_shifts_nothing(loader: ViewLoader) -> None:
    still = Augmentation(flip=False, padding_px=0)
    batches = epoch(replace(loader, augmentation=still))
    assert_equal(batches, epoch(replace(loader, augmentation=replace(still, padding_px=4))))
    assert not torch.equal(batches[0][0], epoch(loader)[0][0])


def test_an_image_repeated_for_balance_is_cropped_in_another_way(loader: ViewLoader) -> None:
    labels, train = loader.data.train.labels, loader.data.train
    one_of_a = np.flatnonzero(labels[train.indices] == 0)[:1]
    rare = train.subset(np.concatenate([one_of_a, np.flatnonzero(labels[train.indices] == 1)[:7]]))
    (batch,) = loader.epoch(rare, "train", 0, 8, balanced=True)
    repeated = batch[0][batch[1] == 0]
    assert len(repeated) == 4
    assert len({tuple(view.ravel().tolist()) for view in repeated}) == 4


@pytest.mark.parametrize("augmentation", [CROPS, replace(EVERYTHING, mixup=0, cutmix=0)])
def test_network_and_teacher_see_one_view_at_their_resolutions(loader: ViewLoader, augmentation: Augmentation) -> None:
    memory = Memory()
    batches = epoch(replace(loader, augmentation=augmentation, teacher=Teacher(memory, 20, 0.5)))
    assert len(memory.seen) == len(batches)
    for view, (x, _) in zip(memory.seen, batches, strict=True):
        assert view.shape[2:] == (20, 20)
        assert x.shape[2:] == (12, 12)
        assert view.is_contiguous(memory_format=torch.channels_last)
        assert x.is_contiguous(memory_format=torch.channels_last)
        exact = F.interpolate(view, size=(12, 12), mode="bilinear", antialias=True)
        # bytes are rounded twice: after rows and after columns
        rounding = 1.1 / 255 / min(loader.data.std) if augmentation == CROPS else 1e-6
        assert torch.allclose(x, exact, atol=rounding)


def test_labels_are_the_true_class_and_the_answer_by_weight(loader: ViewLoader) -> None:
    memory = Memory()
    hard = epoch(loader)
    soft = epoch(replace(loader, teacher=Teacher(memory, 16, 0.9)))
    for view, (x, labels), (hard_x, true) in zip(memory.seen, soft, hard, strict=True):
        assert view.shape[2:] == (16, 16)
        assert torch.equal(x, hard_x)  # a teacher changes no image
        assert true.dtype == torch.int64
        assert labels.shape == (len(true), 2)
        assert torch.allclose(labels.sum(1), torch.ones(len(true)))
        left, right = view[:, 0, :, :5].mean((1, 2)), view[:, 0, :, 5:].mean((1, 2))
        answer = left.exp() / (left.exp() + right.exp())
        assert torch.allclose(labels[:, 0], 0.1 * (true == 0) + 0.9 * answer, atol=1e-6)


def test_the_teacher_answers_for_the_mixed_view_and_mixed_labels_keep_their_share(loader: ViewLoader) -> None:
    mixing = replace(CROPS, mixup=0.4)
    memory = Memory()
    mixed = epoch(replace(loader, augmentation=mixing))
    soft = epoch(replace(loader, augmentation=mixing, teacher=Teacher(memory, 20, 0.25)))
    for view, (x, labels), (mixed_x, true) in zip(memory.seen, soft, mixed, strict=True):
        assert torch.equal(x, mixed_x)
        assert torch.allclose(x, scaled(view, 12))
        with torch.no_grad():
            answer = Memory()(view).softmax(1)
        assert torch.allclose(labels, 0.75 * true + 0.25 * answer, atol=1e-6)


def test_validation_images_are_cropped_but_have_their_true_classes(loader: ViewLoader) -> None:
    memory = Memory()
    taught = replace(loader, teacher=Teacher(memory, 16, 0.9))
    x, labels = taught.batch(taught.data.test, "slopes", 0, 8, 0)
    assert memory.seen == []
    assert labels.dtype == torch.int64
    assert x.shape == (8, 3, 12, 12)
    assert not torch.equal(x, taught.batch(taught.data.test, "slopes", 1, 8, 0)[0])
    _, soft = taught.batch(taught.data.train, "search", 0, 8, 0)
    assert soft.shape == (8, 2)


def test_batches_made_ahead_are_the_same_batches(loader: ViewLoader) -> None:
    taught = replace(loader, teacher=Teacher(Memory(), 16, 0.9), augmentation=EVERYTHING)
    assert_equal(epoch(replace(taught, ahead_threads=1)), epoch(taught))


def test_plain_passes_are_those_of_a_loader(loader: ViewLoader) -> None:
    plain = Loader(loader.data, CPU, 0, CROPS)
    taught = replace(loader, teacher=Teacher(Memory(), 16, 0.9))
    assert_equal(list(taught.plain(loader.data.test, 5)), list(plain.plain(loader.data.test, 5)))


@pytest.mark.long
def test_batches_are_the_same_without_room_for_pictures(tmp_path: Path) -> None:
    spec = scan("z", picture_zip(tmp_path / "z.zip", {"b/1.png": b"damaged"}))
    seen = []
    for limit in (0, 10_000):
        data, pictures = (
            prepare(spec, 12, tmp_path / "cache"),
            prepare_pictures(spec, 40, tmp_path / str(limit), cache_limit_bytes=limit),
        )
        assert pictures.sharded == bool(limit)
        seen.append(epoch(ViewLoader(data, CPU, 0, CROPS, pictures=pictures, view_px=16), batch_size=4))
    assert_equal(*seen)


def test_settings_that_cannot_work_are_refused_with_the_values(loader: ViewLoader) -> None:
    with pytest.raises(ValueError, match=r"views of 10 pixels are smaller than the 12 that the network gets"):
        replace(loader, view_px=10)
    with pytest.raises(ValueError, match=r"views of 20 pixels are smaller than the 24 that the teacher gets"):
        replace(loader, teacher=Teacher(Memory(), 24, 0.5))
    with pytest.raises(ValueError, match=r"weight is 1\.5"):
        Teacher(Memory(), 16, 1.5)
    with pytest.raises(ValueError, match=r"\(8, 3\) logits for 8 images of 2 classes"):
        epoch(replace(loader, teacher=Teacher(lambda x: torch.zeros(len(x), 3), 16, 0.5)))
