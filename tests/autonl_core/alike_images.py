"""Images of different things that look alike at first sight: what cameras that do not move, forms and screens give."""

from __future__ import annotations

import colorsys

import numpy as np
from PIL import Image, ImageDraw, ImageFont

Rng = np.random.Generator
DARK = (20, 20, 20)


def scene(size: int, seed: int = 0, cells: int = 7) -> Image.Image:
    """A smooth picture, the same for the same seed."""
    colours = np.random.default_rng(seed).integers(60, 200, (cells, cells, 3), dtype=np.uint8)
    return Image.fromarray(colours).resize((size, size), Image.Resampling.BICUBIC)


def exposed(image: Image.Image, rng: Rng, noise: float = 4, light: float = 1) -> Image.Image:
    """As a camera sees it: with noise of its own, in levels of 255, and under more or less light."""
    levels = np.asarray(image, np.float64) * light
    return Image.fromarray((levels + rng.normal(0, noise, levels.shape)).clip(0, 255).round().astype(np.uint8))


def scratched(image: Image.Image, rng: Rng, length: float = 14, width: int = 2) -> Image.Image:
    """With a short dark line somewhere near the middle."""
    image = image.copy()
    x, y = rng.uniform(0.2, 0.7, 2) * image.size
    angle = rng.uniform(0, np.pi)
    end = x + length * np.cos(angle), y + length * np.sin(angle)
    ImageDraw.Draw(image).line((x, y, *end), fill=DARK, width=width)
    return image


def part_on_a_jig(rng: Rng, *, defect: bool) -> Image.Image:
    """A part that lies up to 2 of 96 pixels elsewhere each time."""
    left, top = (int(number) for number in rng.integers(6, 11, 2))
    image = exposed(scene(112, cells=9).crop((left, top, left + 96, top + 96)), rng, light=rng.uniform(0.94, 1.06))
    return scratched(image, rng, 18, 3) if defect else image


def swatch(rng: Rng, hue: float) -> Image.Image:
    """A plain colour of about this hue, with some noise."""
    colour = colorsys.hsv_to_rgb((hue + rng.uniform(-0.06, 0.06)) % 1, rng.uniform(0.4, 1), rng.uniform(0.3, 1))
    return exposed(Image.new("RGB", (32, 32), tuple(round(255 * part) for part in colour)), rng, 3)


def form(rng: Rng, height: int = 250) -> Image.Image:
    """A printed form, filled in by hand."""
    image = Image.new("L", (int(height * 0.7), height), 250)
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(height // 30)
    for line in range(8):
        top = height * (0.05 + 0.11 * line)
        draw.text((height * 0.03, top), f"Field {line}", fill=30, font=font)
        pen = np.stack([np.linspace(0.25, 0.6, 20) * height, top + rng.normal(0, height * 0.01, 20)], axis=1)
        draw.line([(float(x), float(y)) for x, y in pen], fill=40, width=max(1, height // 250))
    return image


def screen(number: int, width: int = 400) -> Image.Image:
    """A screenshot in which one number differs."""
    image = Image.new("RGB", (width, width * 5 // 8), (240, 240, 245))
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 0, width, width // 16), fill=(50, 60, 120))
    for line in range(6):
        draw.text(
            (20, 40 + 30 * line), f"Setting {line}: automatic", fill=(30, 30, 30), font=ImageFont.load_default(14)
        )
    draw.text((width * 0.6, width * 0.4), f"{number:05}", fill=(160, 30, 30), font=ImageFont.load_default(28))
    return image


def icon(rng: Rng) -> Image.Image:
    """Two colours: a disc with a small shape in it."""
    image = Image.new("RGB", (32, 32), "white")
    draw = ImageDraw.Draw(image)
    draw.ellipse((4, 4, 27, 27), fill=(20, 90, 200))
    x, y = (int(number) for number in rng.integers(9, 18, 2))
    box = (x, y, x + int(rng.integers(3, 7)), y + int(rng.integers(3, 7)))
    (draw.rectangle if rng.random() < 0.5 else draw.ellipse)(box, fill="white")
    return image


def night(rng: Rng) -> Image.Image:
    """A dark yard in which something faint is somewhere."""
    levels = np.asarray(scene(96, 3, 5), np.float64) * 0.06 + 4
    x, y = (int(number) for number in rng.integers(10, 70, 2))
    levels[y : y + 12, x : x + 6] += 10
    return exposed(Image.fromarray(levels.astype(np.uint8)), rng, 3)


def thermal(rng: Rng, *, hot: bool) -> Image.Image:
    """A blob on a field that is nearly flat, as 8 bits show the span of a thermal camera."""
    y, x = np.mgrid[0:32, 0:32] / 31
    centre_x, centre_y = rng.uniform(0.3, 0.7, 2)
    blob = np.exp(-((x - centre_x) ** 2 + (y - centre_y) ** 2) / 0.03) * (0.1 if hot else -0.1)
    field = 0.5 + 0.15 * (rng.normal() * (x - 0.5) + rng.normal() * (y - 0.5)) + blob
    return exposed(Image.fromarray((255 * field.clip(0, 1)).astype(np.uint8)), rng, 2.5)


def weave(rng: Rng, size: int = 256) -> Image.Image:
    """Fine texture, the same in all of them, over soft shades that differ."""
    y, x = np.mgrid[0:size, 0:size]
    shades = Image.fromarray(rng.integers(0, 60, (8, 8), dtype=np.uint8)).resize((size, size), Image.Resampling.BICUBIC)
    fine = np.where((x // 2 + y // 3) % 2 > 0, 60, -60) + rng.normal(0, 20, (size, size))
    levels = rng.integers(90, 160, 3) + np.asarray(shades, np.float64)[..., None] + fine[..., None]
    return Image.fromarray(levels.clip(0, 255).astype(np.uint8))


def arrow(rng: Rng, *, right: bool) -> Image.Image:
    """An arrow in front of noise."""
    back, fore = (tuple(int(part) for part in rng.integers(low, low + 106, 3)) for low in (0, 150))
    image = Image.new("RGB", (32, 32), back)
    draw = ImageDraw.Draw(image)
    x, y, half = (int(number) for number in (rng.integers(13, 19), rng.integers(13, 19), rng.integers(7, 11)))
    draw.line((x - half, y, x + half, y), fill=fore, width=3)
    draw.polygon([(x - half - 2, y), (x - 1, y - half // 1.3), (x - 1, y + half // 1.3)], fill=fore)
    image = exposed(image, rng, 14)
    return image.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if right else image
