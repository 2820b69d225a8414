"""Changes of images: what each does, in which bounds, and that the draws of an image alone decide."""

from __future__ import annotations

import math
import subprocess
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps
from torch import Tensor

from autonl_core.data.augment import _POLICY, Augmentation, _apply_policy, augment, mix
from autonl_core.datasets.spec import DIGITS
from autonl_core.phases.preparing import augmentation_of
from autonl_core.spec.config import SearchConfig

STILL = Augmentation(flip=False, padding_px=0)
ALL = Augmentation(True, 2, erase=0.3, crop_min_scale=0.3, color_jitter=0.4, policy="randaugment")
MEAN, STD = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)  # pixels stay what they are, 0 to 1
SIZE = 16


def changed(pixels: Tensor, augmentation: Augmentation, seed: int = 0) -> Tensor:
    draws = np.random.default_rng(seed).random((len(pixels), augmentation.draws))
    return augment(pixels, draws, augmentation, MEAN, STD)


def ramps(count: int) -> Tensor:
    """Pixel x has the value 10 x in the first channel, pixel y 10 y in the second."""
    images = torch.zeros(count, SIZE, SIZE, 3, dtype=torch.uint8)
    images[..., 0] = 10 * torch.arange(SIZE)
    images[..., 1] = 10 * torch.arange(SIZE)[:, None]
    return images


def noise(count: int) -> Tensor:
    return torch.from_numpy(np.random.default_rng(5).integers(0, 256, (count, SIZE, SIZE, 3), dtype=np.uint8))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"crop_min_scale": 0.2},
        {"color_jitter": 1.0},
        {"policy": "randaugment"},
        {"policy": "trivialaugment"},
        {"crop_min_scale": 0.2, "color_jitter": 0.5, "policy": "trivialaugment", "erase": 0.5},
    ],
)
def test_an_image_is_changed_by_its_own_draws_whatever_batch_it_is_in(options: dict[str, Any]) -> None:
    augmentation = replace(Augmentation(flip=True, padding_px=2), **options)
    images = noise(40)
    draws = np.random.default_rng(1).random((40, augmentation.draws))
    together = augment(images, draws, augmentation, MEAN, STD)
    assert together.shape == (40, 3, SIZE, SIZE)
    assert together.dtype == torch.float32
    assert together.is_contiguous(memory_format=torch.channels_last)
    assert together.isfinite().all()
    assert -1e-6 <= together.min() <= together.max() <= 1 + 1e-6
    assert torch.equal(together, augment(images, draws, augmentation, MEAN, STD))
    for some in (slice(0, 1), slice(7, 20)):
        assert torch.allclose(augment(images[some], draws[some], augmentation, MEAN, STD), together[some], atol=1e-6)


def test_what_is_off_takes_no_draws_and_changes_nothing() -> None:
    assert torch.allclose(changed(noise(4), STILL), noise(4).permute(0, 3, 1, 2) / 255)
    assert STILL.draws == Augmentation(True, 3, 0.5).draws == 6


def test_a_crop_keeps_its_share_of_the_area_inside_of_the_image() -> None:
    """On a ramp, the slope is the share of a side that was kept."""
    x = changed(ramps(300), replace(STILL, crop_min_scale=0.25)) * 25.5  # in pixels of the original
    middle = slice(SIZE // 2 - 2, SIZE // 2 + 2)  # away from borders, where values repeat
    width = x[:, 0, 8, middle].diff(dim=1).mean(1)
    height = x[:, 1, middle, 8].diff(dim=1).mean(1)
    area, aspect = width * height, width / height
    assert 0.25 - 1e-3 <= area.min() <= 0.3
    assert 0.9 <= area.max() <= 1 + 1e-3
    assert abs(float(area.mean()) - 0.62) < 0.05  # uniform from a quarter to the whole, a little less at its top
    assert 3 / 4 - 1e-3 <= aspect.min() <= 0.8
    assert 1.25 <= aspect.max() <= 4 / 3 + 1e-3
    start = x[:, 0, 8, 8] - 8.5 * width + 0.5  # in pixels from the left border
    assert start.min() > -0.01
    assert (start + SIZE * width).max() < SIZE + 0.01


def test_about_half_of_the_crops_are_mirrored() -> None:
    x = changed(ramps(300), Augmentation(flip=True, padding_px=5, crop_min_scale=0.5))
    mirrored = int((x[:, 0, 8, 10] < x[:, 0, 8, 5]).sum())
    assert 124 <= mirrored <= 176  # three standard deviations of 300 fair coins
    assert (x[:, 1, 10, 8] > x[:, 1, 5, 8]).all()  # never upside down


def test_jitter_scales_brightness_within_its_strength() -> None:
    grey = torch.full((200, SIZE, SIZE, 3), 100, dtype=torch.uint8)  # without contrast and saturation
    factors = changed(grey, replace(STILL, color_jitter=0.4))[:, :, 3, 3] * 2.55
    assert torch.allclose(factors, factors[:, :1].expand(-1, 3))
    assert 0.6 - 1e-3 <= factors.min() <= 0.65
    assert 1.35 <= factors.max() <= 1.4 + 1e-3


def test_jitter_of_no_strength_is_none() -> None:
    draws = np.random.default_rng(0).random((8, ALL.draws))
    x = augment(noise(8), draws, replace(STILL, color_jitter=1e-9), MEAN, STD)
    assert torch.allclose(x, noise(8).permute(0, 3, 1, 2) / 255, atol=1e-3)


class TestPolicy:
    OPERATIONS = (
        "identity", "stretch", "equalize", "posterize", "solarize", "saturation", "contrast", "brightness", "sharpness",
        "rotation", "shear_x", "shear_y", "translation_x", "translation_y",
    )  # fmt: skip

    def apply(self, name: str, x: Tensor, strength: float, sign: int = 1) -> Tensor:
        draw = (self.OPERATIONS.index(name) + 0.5) / len(self.OPERATIONS)
        u = torch.tensor([[draw, 0.75 if sign > 0 else 0.25, strength, 0.0, 0.0, 0.0]], dtype=torch.float64)
        return _apply_policy(x, u, "trivialaugment", (0.5, 0.5, 0.5))

    def image(self) -> Tensor:
        """Every fourth grey level in 16 pixels, (1, 3, 32, 32)."""
        levels = (torch.arange(64, dtype=torch.float32) * 4 / 255).reshape(1, 1, 8, 8).repeat(1, 3, 1, 1)
        return levels.repeat_interleave(4, 2).repeat_interleave(4, 3)

    @pytest.mark.parametrize("name", OPERATIONS)
    def test_each_operation_without_strength_is_none_but_two_that_have_none(self, name: str) -> None:
        x = self.image() ** 2
        same = self.apply(name, x, 0.0)
        if name in ("stretch", "equalize"):
            assert not torch.equal(same, x)
        else:
            assert torch.allclose(same, x, atol=1e-6)

    def test_colours_by_hand(self) -> None:
        x = self.image()
        assert torch.allclose(self.apply("stretch", x, 0.5), x * 255 / 252)
        assert torch.allclose(self.apply("solarize", x, 1.0)[:, :, 4:], 1 - x[:, :, 4:])
        assert torch.allclose(self.apply("brightness", x, 1.0, sign=-1), 0.1 * x, atol=1e-6)
        assert torch.allclose(self.apply("brightness", x, 0.5), (1.45 * x).clamp(max=1))
        assert torch.allclose(self.apply("saturation", x, 1.0, sign=-1), x, atol=1e-3)  # grey already
        assert len(self.apply("posterize", x, 1.0).unique()) == 16  # four bits of eight
        dark = Image.fromarray((x[0, 0] ** 2 * 255).to(torch.uint8).numpy())
        wanted = torch.from_numpy(np.array(ImageOps.equalize(dark)))
        assert torch.equal((self.apply("equalize", x**2, 0.0)[0, 0] * 255).round().to(torch.uint8), wanted)
        flat = self.apply("contrast", x, 1.0, sign=-1)
        assert float(flat.mean()) == pytest.approx(float(x.mean()), abs=1e-3)
        assert float(flat.std()) == pytest.approx(0.1 * float(x.std()), abs=1e-3)

    def test_a_translation_moves_by_three_tenths_at_most_and_fills_with_the_mean(self) -> None:
        x = torch.zeros(1, 3, 10, 10)
        x[:, :, :, 5] = 1.0
        right = self.apply("translation_x", x, 1.0, sign=-1)
        assert torch.allclose(right[:, :, :, 8], torch.ones(()), atol=1e-5)
        assert torch.allclose(right[:, :, :, :3], torch.full((), 0.5), atol=1e-5)
        down = self.apply("translation_y", x.transpose(2, 3), 1.0, sign=-1)
        assert torch.allclose(down, right.transpose(2, 3))

    def test_a_rotation_turns_by_thirty_degrees(self) -> None:
        x = torch.zeros(1, 1, 65, 65).repeat(1, 3, 1, 1)
        x[:, :, 30:35, 50:55] = 1.0  # a spot 20 pixels right of the centre
        turned = self.apply("rotation", x, 1.0)[0, 0]
        weight = (turned - x.new_tensor(0.0)) * (turned > 0.6)
        rows, columns = (weight.sum(1) * torch.arange(65)).sum(), (weight.sum(0) * torch.arange(65)).sum()
        at = (float(columns / weight.sum()) - 32, float(rows / weight.sum()) - 32)
        assert math.hypot(*at) == pytest.approx(20, abs=0.3)
        assert abs(math.degrees(math.atan2(at[1], at[0]))) == pytest.approx(30, abs=1)

    def test_operations_are_drawn_evenly(self) -> None:
        count = 1400
        draws = np.random.default_rng(0).random((count, ALL.draws))
        drawn = np.floor(draws[:, _POLICY] * len(self.OPERATIONS))
        images = noise(count) // 2
        x = augment(images, draws, replace(STILL, policy="trivialaugment"), MEAN, STD)
        kept = ((x * 255 - images.permute(0, 3, 1, 2)).abs().amax((1, 2, 3)) < 1e-2).numpy()
        counts = [int((drawn == number).sum()) for number in range(len(self.OPERATIONS))]
        assert 70 <= min(counts) <= max(counts) <= 130  # three standard deviations around 100
        shares = [float(kept[drawn == number].mean()) for number in range(len(self.OPERATIONS))]
        assert shares[0] == 1  # as is
        assert max(shares[1:]) < 0.6  # others change an image, unless they are weak: solarize leaves the dark half


class TestMixing:
    x = torch.cat([torch.zeros(3, 3, 8, 8), torch.ones(3, 3, 8, 8)]).contiguous(memory_format=torch.channels_last)
    labels = torch.tensor([0, 0, 0, 1, 1, 1])

    @pytest.mark.parametrize("options", [{"mixup": 0.4}, {"cutmix": 1.0}, {"mixup": 0.2, "cutmix": 0.5}])
    def test_labels_are_mixed_as_much_as_pixels(self, options: dict[str, Any]) -> None:
        """Images of class 1 are white and others black: the share of white is the share of class 1."""
        shares = []
        for seed in range(20):
            x, targets = mix(self.x, self.labels, 3, replace(STILL, **options), np.random.default_rng(seed))
            assert torch.allclose(x.mean((1, 2, 3)), targets[:, 1], atol=1e-6)
            assert torch.allclose(targets.sum(1), torch.ones(6))
            assert (targets[:, 2] == 0).all()
            assert x.is_contiguous(memory_format=torch.channels_last)
            shares.append(float(targets[0, 1]))
        assert len(set(shares)) > 5
        assert 0 <= min(shares) < 0.3
        assert 0.7 < max(shares) <= 1

    def test_one_blends_and_the_other_pastes(self) -> None:
        blended = [
            mix(self.x, self.labels, 2, replace(STILL, mixup=1.0), np.random.default_rng(n))[0] for n in range(5)
        ]
        assert all(len(x[0].unique()) == 1 for x in blended)
        pasted = [
            mix(self.x, self.labels, 2, replace(STILL, cutmix=1.0), np.random.default_rng(n))[0] for n in range(5)
        ]
        assert all(set(x.unique().tolist()) == {0.0, 1.0} for x in pasted)

    def test_the_search_itself_neither_mixes_nor_uses_a_policy(self) -> None:
        assert replace(ALL, mixup=0.2, cutmix=1.0).for_search() == replace(ALL, policy="none")


def test_large_images_are_cropped_unless_asked_otherwise() -> None:
    def asked(resolution: int, **augment: Any) -> Augmentation:
        config = SearchConfig.model_validate({"dataset": "digits", "flops_budget": "1M", "augment": augment})
        return augmentation_of(config, DIGITS, resolution)

    assert asked(96) == Augmentation(flip=False, padding_px=12)
    assert asked(97).crop_min_scale == 0.25
    assert asked(224, resized_crop_min_scale=1) == Augmentation(flip=False, padding_px=28)
    assert asked(32, resized_crop_min_scale=0.5, horizontal_flip=True).crop_min_scale == 0.5
    everything = {"color_jitter": 0.4, "policy": "trivialaugment", "mixup": 0.2, "cutmix": 1.0}
    wanted = Augmentation(False, 1, color_jitter=0.4, policy="trivialaugment", mixup=0.2, cutmix=1.0)
    assert asked(8, **everything) == wanted


@pytest.mark.long
def test_the_library_is_loaded_only_when_it_is_used() -> None:
    code = "import sys, autonl_core.data.batches; print('torch' in sys.modules, 'kornia' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "False"]
