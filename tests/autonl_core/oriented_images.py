"""Pictures whose class depends on their orientation, and some whose class does not."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image, ImageDraw, ImageFont

SIDE = 48
Draw = ImageDraw.ImageDraw
Rng = np.random.Generator


def arrow(rng: Rng, direction: str) -> Image.Image:
    """An arrow to the `left`, `right`, `up` or `down`, somewhere near the middle."""
    image, draw, light = _canvas(rng)
    turn = math.radians({"right": 0, "up": 90, "left": 180, "down": 270}[direction] + rng.normal(0, 8))
    x, y, size = SIDE / 2 + rng.normal(0, 3), SIDE / 2 + rng.normal(0, 3), rng.uniform(13, 18)

    def at(along: float, across: float) -> tuple[float, float]:
        return (
            x + size * (along * math.cos(turn) + across * math.sin(turn)),
            y + size * (across * math.cos(turn) - along * math.sin(turn)),
        )

    draw.line([at(-1, 0), at(0.8, 0)], fill=light, width=4)
    draw.polygon([at(1.2, 0), at(0.2, 0.7), at(0.2, -0.7)], fill=light)
    return _grainy(rng, image)


def letter(rng: Rng, glyph: str) -> Image.Image:
    """A glyph of varying size and place."""
    image, draw, light = _canvas(rng)
    font = ImageFont.load_default(size=float(rng.uniform(34, 44)))
    draw.text((SIDE / 2 + rng.normal(0, 2), SIDE / 2 + rng.normal(0, 2)), glyph, fill=light, font=font, anchor="mm")
    return _grainy(rng, image)


def clock(rng: Rng, hour: int) -> Image.Image:
    """The face of a clock at a full hour."""
    image, draw, light = _canvas(rng)
    middle, radius = SIDE / 2 + rng.normal(0, 1), rng.uniform(18, 22)
    draw.ellipse([middle - radius, middle - radius, middle + radius, middle + radius], outline=light, width=2)
    for turn, length, width in ((hour * math.pi / 6, 0.6, 5), (0.0, 0.9, 3)):
        end = (middle + length * radius * math.sin(turn), middle - length * radius * math.cos(turn))
        draw.line([(middle, middle), end], fill=light, width=width)
    return _grainy(rng, image)


def hand(rng: Rng, side: str) -> Image.Image:
    """A hand with its thumb on the `left` or the `right`."""
    image, draw, light = _canvas(rng)
    draw.ellipse([14, 22, 34, 44], fill=light)
    for finger, length in enumerate((12, 16, 17, 14)):
        x = 15 + 5.5 * finger
        draw.line([(x, 28), (x + rng.normal(0, 1), 24 - length * rng.uniform(0.9, 1.1))], fill=light, width=4)
    draw.line([(32, 34), (44, 24 + rng.normal(0, 2))], fill=light, width=5)
    image = _grainy(rng, image)
    return image if side == "right" else image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)


def boot(rng: Rng, height: str) -> Image.Image:
    """A shoe from the side, its toe always on the left: `low`, `middle` or `high`."""
    image, draw, light = _canvas(rng)
    top = {"low": 30, "middle": 20, "high": 8}[height] + rng.normal(0, 1.5)
    toe, heel, sole = 6 + rng.normal(0, 1.5), 38 + rng.normal(0, 1.5), 40 + rng.normal(0, 1.5)
    draw.polygon([(toe, sole), (toe + 3, 34), (24, 30), (25, top), (heel, top), (heel, sole)], fill=light)
    return _grainy(rng, image)


def _canvas(rng: Rng) -> tuple[Image.Image, Draw, tuple[int, ...]]:
    dark, light = (tuple(int(level) for level in rng.integers(low, low + 90, 3)) for low in (0, 160))
    image = Image.new("RGB", (SIDE, SIDE), dark)
    return image, ImageDraw.Draw(image), light


def _grainy(rng: Rng, image: Image.Image) -> Image.Image:
    pixels = np.asarray(image) + rng.normal(0, 12, (SIDE, SIDE, 3))
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
