"""The cost of augmenting training images, in microseconds per image at batch size 64.

    python -m benchmarks.augmentation

Method: one batch of noise, augmented by each option in turn, round after round; medians. `none` only normalises,
`shift` is the default up to 96 pixels, `resized crop` above; every option but `none` flips half of the images.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch

from autonl_core.data.augment import Augmentation, augment, mix
from benchmarks.harness import arguments, say, time_interleaved, write_result
from benchmarks.machine import describe

RESOLUTIONS = (32, 224)
BATCH_SIZE = 64
CLASSES = 10
_PLAIN = Augmentation(flip=True, padding_px=0)
_MEAN, _STD = (0.45, 0.45, 0.45), (0.25, 0.25, 0.25)


def options_at(resolution: int) -> dict[str, Augmentation]:
    shifted = replace(_PLAIN, padding_px=resolution // 8)
    return {
        "none": replace(_PLAIN, flip=False),
        "shift": shifted,
        "shift and erase": replace(shifted, erase=0.25),
        "resized crop": replace(_PLAIN, crop_min_scale=0.25),
        "colour jitter": replace(shifted, color_jitter=0.4),
        "RandAugment": replace(shifted, policy="randaugment"),
        "TrivialAugment": replace(shifted, policy="trivialaugment"),
        "mixup": replace(shifted, mixup=0.2),
        "cutmix": replace(shifted, cutmix=1.0),
    }


def augmenting(pixels: torch.Tensor, labels: torch.Tensor, augmentation: Augmentation) -> Callable[[], object]:
    rng = np.random.default_rng(0)

    def call() -> object:
        draws = rng.random((len(pixels), augmentation.draws))
        x = augment(pixels, draws, augmentation, _MEAN, _STD)
        return mix(x, labels, CLASSES, augmentation, rng) if augmentation.mixes else x

    return call


def main() -> int:
    options = arguments(__doc__, rounds=10)
    say(f"augmentation, microseconds per image, batch {BATCH_SIZE}, {describe()}")
    us_per_image: dict[str, dict[str, float]] = {}
    labels = torch.arange(BATCH_SIZE, device=options.device) % CLASSES
    for resolution in RESOLUTIONS:
        pixels = torch.randint(0, 256, (BATCH_SIZE, resolution, resolution, 3), dtype=torch.uint8).to(options.device)
        calls = {name: augmenting(pixels, labels, option) for name, option in options_at(resolution).items()}
        for name, seconds in time_interleaved(calls, options.rounds, options.device).items():
            us_per_image.setdefault(name, {})[str(resolution)] = 1e6 * seconds / BATCH_SIZE
    say(f"{'':<18}" + "".join(f"{resolution:>10} px" for resolution in RESOLUTIONS))
    for name, costs in us_per_image.items():
        say(f"{name:<18}" + "".join(f"{costs[str(resolution)]:>13,.0f}" for resolution in RESOLUTIONS))
    write_result("augmentation", options, {"batch_size": BATCH_SIZE, "us_per_image": us_per_image})
    return 0


if __name__ == "__main__":
    sys.exit(main())
