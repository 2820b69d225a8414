"""preprocess.json: every step from an image file to the input of the network, in words and in values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from autonl_core.data.prepare import PreparedData
from autonl_core.datasets import image_files
from autonl_core.datasets.spec import GreyRange

Step = dict[str, Any]

_ANTIALIASING = (
    "The filter is a triangle whose support grows with the factor (antialiasing): Pillow's BILINEAR, and PyTorch's "
    "interpolate(mode='bilinear', antialias=True). OpenCV's INTER_LINEAR and PyTorch without antialias read only the "
    "nearest pixels: fine texture becomes noise, and accuracy drops; what a canvas does (JavaScript) is up to the "
    "browser. OpenCV's INTER_AREA comes close."
)


def preprocessing(data: PreparedData) -> dict[str, object]:
    """How to turn an image file into an input of the network, readable by people and programs."""
    limits, grey_range = data.report.limits, data.grey_range
    operations = [*_opening(data), _to_rgb(grey_range), *_scaling(data.resolution), _normalising(data)]
    return {
        "resolution": data.resolution,
        "mean": list(data.mean),
        "std": list(data.std),
        "colours": "RGB",
        "layout": "(B, 3, R, R) float32",
        "grey_range": None if grey_range is None else list(grey_range),
        "steps": [operation.pop("words") for operation in operations],
        "operations": operations,
        "code": "decode() and normalise() in pixels.py",
        "max_image_bytes": limits.image_bytes,  # larger files were not read
        "max_image_pixels": limits.image_pixels,
    }


def _opening(data: PreparedData) -> tuple[Step, ...]:
    resolution = data.resolution
    orientations: Mapping[int, str] = {
        1: "none", 2: "mirror left-right", 3: "rotate by 180 degrees", 4: "mirror top-bottom",
        5: "mirror at the main diagonal", 6: "rotate clockwise by 90 degrees", 7: "mirror at the other diagonal",
        8: "rotate counter-clockwise by 90 degrees",
    }  # fmt: skip
    return (
        {
            "operation": "decode",
            "words": f"decode the file as one of {', '.join(image_files.FORMATS)}, by its content; of an animation or "
            "a file of several pages, take the first image; ignore colour profiles",
            "formats": list(image_files.FORMATS),
            "max_pixels_of_format": dict(image_files.MAX_PIXELS_OF_FORMAT),
            "frame": 0,
            "colour_profile": "ignored",
        },
        {
            "operation": "jpeg_draft",
            "words": "a JPEG is decoded by libjpeg at 1/8, 1/4, 1/2 or 1/1 of its size (scaling inside the inverse "
            f"DCT): at 1/s, where s is the largest of 8, 4, 2, 1 that is not above min(width, height) // {resolution}; "
            "sides are rounded up; not other formats",
            "formats": ["JPEG"],
            "denominators": [8, 4, 2, 1],
            "rule": f"the first s with s <= min(width, height) // {resolution}, else 1",
        },
        {
            "operation": "turn",
            "words": "turn and mirror the image as its EXIF orientation says; EXIF data of more than "
            f"{image_files.MAX_EXIF_BYTES:,} bytes are ignored",
            "exif_tag": 0x0112,
            "orientations": {str(number): turn for number, turn in orientations.items()},
            "max_exif_bytes": image_files.MAX_EXIF_BYTES,
        },
    )


def _to_rgb(grey_range: GreyRange | None) -> Step:
    words = (
        "convert to RGB of 8 bits: transparency is blended over white; grey and 1 bit are repeated in three channels "
        "(black 0, white 255); palettes are looked up; CMYK becomes ((255 - C) * (255 - K) / 255, the same for M and "
        "Y), after undoing the inversion of Adobe's JPEGs; YCbCr as in JFIF; three channels of 16 bits lose the lower 8"
    )
    if grey_range is not None:
        low, high = grey_range
        words += (
            "; one channel of more than 8 bits, or of a PGM file whose white is not 255, becomes "
            f"round((clip(v, {low:.12g}, {high:.12g}) - {low:.12g}) * 255 / ({high:.12g} - {low:.12g})), half to even, "
            "of the value v in the file: the range of the dataset, the same for every image; what is no number is black"
        )
    else:
        words += (
            "; the dataset had no images with one channel of more than 8 bits: of these, white is 65535 if they have "
            "16 bits; else 255, or 65535 where a pixel is above it; or 1 for floats of at most 1"
        )
    return {
        "operation": "to_rgb",
        "words": words,
        "background": [255, 255, 255],
        "blending": "Pillow's alpha_composite over an opaque background",
        "deep_grey_modes": ["I;16*", "I", "F"],
        "grey_range": None if grey_range is None else list(grey_range),
    }


def _scaling(resolution: int) -> tuple[Step, ...]:
    return (
        {
            "operation": "box_reduction",
            "words": f"if f = min(width, height) // {2 * resolution} is 2 or more, replace every block of f x f pixels "
            "by its mean, rounded to 8 bits; sides are rounded up, and blocks at the right and lower edge average the "
            "pixels that they have (Pillow's Image.reduce)",
            "factor": f"min(width, height) // {2 * resolution}",
            "applies_from_factor": 2,
        },
        {
            "operation": "crop_and_resize",
            "words": "take the centre square, of side s = min(width, height), from ((width - s) / 2, (height - s) / 2) "
            f"on, halves of pixels included, and resample it to {resolution} x {resolution} pixels, first "
            f"horizontally, then vertically, each rounded to 8 bits; nothing if it has this size. {_ANTIALIASING}",
            "crop": "centre square",
            "size": [resolution, resolution],
            "filter": "triangle",
            "pillow_filter": "BILINEAR",
            "antialias": True,
            "support": "max(1, s / size) pixels of the source on either side",
            "pixel_centres": "at halves: centre of output i is (i + 0.5) * s / size",
            "weights": "normalised to 1 at the edges",
            "code": f"ImageOps.fit(image, ({resolution}, {resolution}), Image.Resampling.BILINEAR)",
        },
    )


def _normalising(data: PreparedData) -> Step:
    return {
        "operation": "normalise",
        "words": "in float32, per channel: (pixel - 255 * mean) / (255 * std), for pixels from 0 to 255; then channels "
        "first. model.uint8.onnx does this itself: feed it the pixels, (B, R, R, 3) uint8",
        "range": [0, 255],
        "mean_255": [255 * value for value in data.mean],
        "std_255": [255 * value for value in data.std],
        "channels": ["R", "G", "B"],
        "layout": "NCHW",
        "dtype": "float32",
    }
