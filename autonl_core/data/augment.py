"""Augmentation of whole batches of images on the device, as a function of uniform draws alone.

Every image has its own row of draws, so its augmentation depends neither on its batch nor on earlier draws: a search
that resumes in the middle of an epoch gets the same images as an uninterrupted one. The classes of kornia draw from the
global generator, and its policies change all images of a batch in the same way; so only its functions (kornia.enhance)
are used, imported only if an option needs them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

Policy = Literal["none", "randaugment", "trivialaugment"]
PerChannel = tuple[float, ...]

SHIFT_DRAWS = 6  # columns for a shift, a flip and a blanked square, drawn even if all of these are off
DRAWS = SHIFT_DRAWS + 4 + 3 + 3 * 2  # and for a crop, colour jitter, and two operations of a policy
FLIP, CROP = 2, SHIFT_DRAWS  # the first columns for these
_ERASE, _JITTER, _POLICY = 3, SHIFT_DRAWS + 4, SHIFT_DRAWS + 7

LARGE_PX = 96  # larger images are cropped at random by default
LARGE_MIN_SCALE = 0.25
MAX_ASPECT = 4 / 3  # of a crop, and of its inverse
_RANDAUGMENT = (2, 0.3)  # operations and their strength: in the paper 9 of 30, for small networks
_MAX_ROTATION = math.radians(30)
_MAX_SHEAR, _MAX_TRANSLATION = 0.3, 0.3  # the latter as a share of the side
_MAX_FACTOR = 0.9  # colour, contrast, brightness and sharpness are multiplied by 1 +- this at full strength
_MAX_LOST_BITS = 4


@dataclass(frozen=True)
class Augmentation:
    """What is random: a flip, a shift of up to `padding_px`, a blanked square, and optional augmentations.

    With a `crop_min_scale` below 1, a crop of at least that share of the area is scaled up, instead of a shift.
    """

    flip: bool
    padding_px: int
    erase: float = 0.0
    crop_min_scale: float = 1.0
    color_jitter: float = 0.0
    policy: Policy = "none"
    mixup: float = 0.0
    cutmix: float = 0.0

    @property
    def mixes(self) -> bool:
        """Whether pairs of images, and their labels, are mixed."""
        return self.mixup > 0 or self.cutmix > 0

    @property
    def only_moves(self) -> bool:
        """Whether pixels are moved at most: no other colours, nothing blanked, no pairs of images mixed."""
        return not (self.recolours or self.erase or self.mixes)

    @property
    def recolours(self) -> bool:
        """Whether colours are jittered, or a policy applied."""
        return self.color_jitter > 0 or self.policy != "none"

    @property
    def draws(self) -> int:
        """The number of draws per image."""
        return DRAWS if self.crop_min_scale < 1 or self.recolours else SHIFT_DRAWS

    def for_search(self) -> Augmentation:
        """The same without policies and mixing, for short trainings that compare networks.

        They see each image only a few times: with strong augmentation, their accuracies would hardly differ.
        """
        return replace(self, policy="none", mixup=0.0, cutmix=0.0)


def augment(
    pixels: Tensor, draws: NDArray[np.float64], augmentation: Augmentation, mean: PerChannel, std: PerChannel
) -> Tensor:
    """Augment (B, R, R, 3) uint8 by the draws, (B, `augmentation.draws`) in [0, 1), and normalise.

    Returns (B, 3, R, R) float32, channels_last.
    """
    u = (on_host := torch.from_numpy(draws)).to(pixels.device)
    if augmentation.draws == SHIFT_DRAWS:
        x = normalise(pixels, mean, std)
        return _erase(_shift(x, u, augmentation), u[:, _ERASE:], augmentation.erase)
    x = _unit_range(pixels)
    if augmentation.crop_min_scale < 1:
        x = _crop(x, u, augmentation)
    x = _recolour(x, on_host, augmentation, mean, std)
    if augmentation.crop_min_scale >= 1:
        x = _shift(x, u, augmentation)
    return _erase(x, u[:, _ERASE:], augmentation.erase)


def augment_crops(
    pixels: Tensor, draws: NDArray[np.float64], augmentation: Augmentation, mean: PerChannel, std: PerChannel
) -> Tensor:
    """The same for images that are cropped and mirrored already: whatever else is random."""
    u = torch.from_numpy(draws)
    if augmentation.recolours:
        x = _recolour(_unit_range(pixels), u, augmentation, mean, std)
    else:
        x = normalise(pixels, mean, std)
    return _erase(x, u[:, _ERASE:].to(x.device), augmentation.erase)


def _unit_range(pixels: Tensor) -> Tensor:
    """(B, R, R, 3) uint8 -> (B, 3, R, R) from 0 to 1, a view in channels_last."""
    return pixels.float().div_(255).permute(0, 3, 1, 2)


def _recolour(x: Tensor, u: Tensor, augmentation: Augmentation, mean: PerChannel, std: PerChannel) -> Tensor:
    """Colour jitter and a policy, for images from 0 to 1; normalised at the end. u: on the CPU."""
    if augmentation.color_jitter:
        x = _jitter(x, u[:, _JITTER : _JITTER + 3].to(x.device), augmentation.color_jitter)
    if augmentation.policy != "none":
        x = _apply_policy(x, u[:, _POLICY:], augmentation.policy, mean)
    x = x.contiguous(memory_format=torch.channels_last)
    return (x - _per_channel(mean, x)) / _per_channel(std, x)


def normalise(pixels: Tensor, mean: PerChannel, std: PerChannel) -> Tensor:
    """(B, R, R, 3) uint8 -> (B, 3, R, R) float32 with mean 0 and deviation 1, channels_last without a copy."""
    offset, scale = torch.tensor(mean, device=pixels.device) * 255, torch.tensor(std, device=pixels.device) * 255
    return pixels.float().sub_(offset).div_(scale).permute(0, 3, 1, 2)  # in place: new memory takes longer to get


def mix(
    x: Tensor, labels: Tensor, classes: int, augmentation: Augmentation, rng: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Mix every image with the one at the mirrored position of the batch, and the labels, (B,) to (B, classes), alike.

    Mixup blends them, CutMix pastes a square of the other; if both are on, a coin flip decides per batch. The share of
    the other image is drawn from Beta(a, a). Sources: Zhang et al. 2018, arXiv:1710.09412; Yun et al. 2019,
    arXiv:1905.04899.
    """
    targets = F.one_hot(labels, classes).float()
    pastes = augmentation.cutmix > 0 and (augmentation.mixup == 0 or rng.random() < 0.5)
    strength = augmentation.cutmix if pastes else augmentation.mixup
    share = float(rng.beta(strength, strength))  # of the other image
    if not pastes:
        return torch.lerp(x, x.flip(0), share), torch.lerp(targets, targets.flip(0), share)
    size = x.shape[-1]
    side = round(size * math.sqrt(share))
    top, left = (int(start) for start in rng.integers(0, size - side + 1, size=2))
    mixed = x.clone()
    mixed[:, :, top : top + side, left : left + side] = x.flip(0)[:, :, top : top + side, left : left + side]
    return mixed, torch.lerp(targets, targets.flip(0), side**2 / size**2)


def _shift(x: Tensor, u: Tensor, augmentation: Augmentation) -> Tensor:
    """Shift and mirror. u: (B, 3 or more)."""
    size, pad = x.shape[-1], augmentation.padding_px
    span = torch.arange(size, device=x.device)
    rows = span + (u[:, 0:1] * (2 * pad + 1)).long()  # (B, R) rows of the padded image
    columns = span + (u[:, 1:2] * (2 * pad + 1)).long()
    if augmentation.flip:
        columns = torch.where(u[:, FLIP : FLIP + 1] < 0.5, columns.flip(1), columns)
    padded = F.pad(x, (pad, pad, pad, pad)).permute(0, 2, 3, 1)  # zero is the mean colour
    which = torch.arange(len(x), device=x.device)[:, None, None]
    return padded[which, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def _erase(x: Tensor, u: Tensor, chance: float) -> Tensor:
    """Blank a square of half the side, centred anywhere, in about `chance` of the images. u: (B, 3 or more)."""
    if not chance:
        return x
    size = x.shape[-1]
    span = torch.arange(size, device=x.device)
    centre = (u[:, 1:3] * size).long()  # (B, 2)
    in_rows = (span - centre[:, 0:1]).abs() < size // 4
    in_columns = (span - centre[:, 1:2]).abs() < size // 4
    hit = (in_rows[:, :, None] & in_columns[:, None, :]) & (u[:, 0] < chance)[:, None, None]
    return x.masked_fill(hit[:, None], 0.0).contiguous(memory_format=torch.channels_last)


def _crop(x: Tensor, u: Tensor, augmentation: Augmentation) -> Tensor:
    """Scale up a random crop, flipped or not, of random area and aspect ratio (log-uniform)."""
    area = augmentation.crop_min_scale + (1 - augmentation.crop_min_scale) * u[:, CROP]
    ratio = torch.exp((2 * u[:, CROP + 1] - 1) * math.log(MAX_ASPECT))
    width, height = (area * ratio).sqrt().clamp(max=1), (area / ratio).sqrt().clamp(max=1)  # shares of the side
    matrix = torch.zeros(len(x), 2, 3, dtype=u.dtype, device=x.device)
    matrix[:, 0, 0], matrix[:, 1, 1] = width, height
    matrix[:, 0, 2] = (2 * u[:, CROP + 2] - 1) * (1 - width)
    matrix[:, 1, 2] = (2 * u[:, CROP + 3] - 1) * (1 - height)
    if augmentation.flip:
        matrix[:, 0, 0] = torch.where(u[:, FLIP] < 0.5, -width, width)
    return _resample(x, matrix, "border")


def _resample(x: Tensor, matrix: Tensor, beyond: str) -> Tensor:
    """Sample every image by its own affine matrix, (B, 2, 3), in coordinates from -1 to 1."""
    size = x.shape[-1]
    centres = (2 * torch.arange(size, dtype=torch.float32, device=x.device) + 1) / size - 1
    m = matrix.float()[:, :, None, None, :]  # (B, 2, 1, 1, 3)
    # Not affine_grid: the last bits of its matrix products depend on the batch size.
    grid = (m[..., 0] * centres + m[..., 1] * centres[:, None] + m[..., 2]).permute(0, 2, 3, 1)  # (B, R, R, 2)
    return F.grid_sample(x, grid, mode="bilinear", padding_mode=beyond, align_corners=False)


def _jitter(x: Tensor, u: Tensor, strength: float) -> Tensor:
    """Brightness, contrast and saturation times factors between 1 - strength and 1 + strength."""
    from kornia import enhance

    factors = (1 + strength * (2 * u - 1)).float()
    x = enhance.adjust_brightness_accumulative(x, factors[:, 0])
    x = enhance.adjust_contrast_with_mean_subtraction(x, factors[:, 1])
    return enhance.adjust_saturation_with_gray_subtraction(x, factors[:, 2])


_Operation = Callable[[Tensor, Tensor], Tensor]  # images (b, 3, R, R) and strengths from -1 to 1, (b,)


def _operations() -> list[_Operation]:
    """The operations on colour that both policies choose from; `_geometry` has the others."""
    from kornia import enhance

    def factor(m: Tensor) -> Tensor:
        return 1 + _MAX_FACTOR * m

    return [
        lambda x, m: x,
        lambda x, m: _stretch(x),
        lambda x, m: enhance.equalize(x),
        lambda x, m: enhance.posterize(x, 8 - (_MAX_LOST_BITS * m.abs()).round().to(torch.int32)),
        lambda x, m: enhance.solarize(x, 1 - m.abs()),
        lambda x, m: enhance.adjust_saturation_with_gray_subtraction(x, factor(m)),
        lambda x, m: enhance.adjust_contrast_with_mean_subtraction(x, factor(m)),
        lambda x, m: enhance.adjust_brightness_accumulative(x, factor(m)),
        lambda x, m: enhance.sharpness(x, factor(m)),
    ]


def _stretch(x: Tensor) -> Tensor:
    """Stretch every channel to 0..1 (autocontrast); a constant channel is unchanged."""
    low, high = x.amin((2, 3), keepdim=True), x.amax((2, 3), keepdim=True)
    span = high - low
    return torch.where(span > 0, (x - low) / span.clamp(min=1e-6), x)


_GEOMETRIES = 5  # rotation, two shears, two translations


def _geometry(which: Tensor, m: Tensor) -> Tensor:
    """Matrices (b, 2, 3) of the geometric operations `which`, (b,) from 0, at strengths m from -1 to 1."""
    angle = torch.where(which == 0, _MAX_ROTATION * m, 0.0)
    matrix = torch.zeros(len(m), 2, 3, dtype=m.dtype, device=m.device)
    matrix[:, 0, 0] = matrix[:, 1, 1] = angle.cos()
    matrix[:, 0, 1] = torch.where(which == 1, _MAX_SHEAR * m, -angle.sin())
    matrix[:, 1, 0] = torch.where(which == 2, _MAX_SHEAR * m, angle.sin())
    matrix[:, 0, 2] = torch.where(which == 3, 2 * _MAX_TRANSLATION * m, 0.0)
    matrix[:, 1, 2] = torch.where(which == 4, 2 * _MAX_TRANSLATION * m, 0.0)
    return matrix


def _apply_policy(x: Tensor, u: Tensor, policy: Policy, mean: PerChannel) -> Tensor:
    """TrivialAugment: one operation at a random strength; RandAugment: two at a fixed one. u: (B, 6), on the CPU.

    Operation, sign and strength are drawn for every image. Sources: Müller and Hutter 2021, arXiv:2103.10158; Cubuk et
    al. 2020, arXiv:1909.13719.
    """
    operations = _operations()
    count, fixed = _RANDAUGMENT if policy == "randaugment" else (1, None)
    for turn in range(count):
        chosen, sign, strength = u[:, 3 * turn], u[:, 3 * turn + 1], u[:, 3 * turn + 2]
        which = (chosen * (len(operations) + _GEOMETRIES)).long()
        m = (strength if fixed is None else torch.full_like(strength, fixed)).float()
        m = torch.where(sign < 0.5, -m, m)
        x = _changed(x, which, m, operations, mean)
    return x


def _changed(x: Tensor, which: Tensor, m: Tensor, operations: list[_Operation], mean: PerChannel) -> Tensor:
    """Apply to each image its own operation; images with the same one are processed together. which, m: on the CPU."""
    changed = x.clone()
    for number in which.unique().tolist():
        if number < len(operations):
            at = (which == number).nonzero()[:, 0]
            rows = at.to(x.device)
            changed[rows] = operations[number](x[rows], m[at].to(x.device))
    at = (which >= len(operations)).nonzero()[:, 0]
    if len(at):
        colour = _per_channel(mean, x)  # shown beyond the border
        matrix = _geometry((which[at] - len(operations)).to(x.device), m[at].to(x.device))
        rows = at.to(x.device)
        changed[rows] = _resample(x[rows] - colour, matrix, "zeros") + colour
    return changed.clamp_(0, 1)


def _per_channel(values: PerChannel, x: Tensor) -> Tensor:
    return torch.tensor(values, device=x.device)[:, None, None]
