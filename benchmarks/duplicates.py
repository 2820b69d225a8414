"""How many copies of test images the dataset check finds in the training split, by what was done to them.

    python -m benchmarks.duplicates IMAGES.zip [--each N]

The archive has a test split. Of its test images, N for every kind of copy (80 by default; each image once) are planted
into the training split, all in one archive, which is checked. A copy is found if it is left out of training.
"""

from __future__ import annotations

import argparse
import io
import sys
import tempfile
import zipfile
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

from PIL import Image

from autonl_core.dataset_check.check import check_dataset
from autonl_core.datasets.scan import list_items
from benchmarks.harness import say

BY = Image.Resampling
Change = Callable[[Image.Image], bytes]


def encoded(image: Image.Image, kind: str = "PNG", quality: int = 75) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **({} if kind == "PNG" else {"quality": quality}))
    return buffer.getvalue()


def compressed(quality: int, kind: str = "JPEG") -> Change:
    return lambda image: encoded(image, kind, quality)


def there_and_back(factor: float, by: Image.Resampling = BY.BILINEAR) -> Change:
    def change(image: Image.Image) -> bytes:
        size = round(image.width * factor), round(image.height * factor)
        return encoded(image.resize(size, by).resize(image.size, by))

    return change


def cropped(image: Image.Image) -> bytes:
    return encoded(image.crop((1, 1, image.width - 1, image.height - 1)))


CHANGES: Mapping[str, Change] = {
    **{f"JPEG of quality {quality}": compressed(quality) for quality in (50, 60, 75, 90)},
    **{f"times {factor:g} and back": there_and_back(factor) for factor in (0.5, 0.75, 1.5, 2)},
    "halved and back, box": there_and_back(0.5, BY.BOX),
    "halved and back, Lanczos": there_and_back(0.5, BY.LANCZOS),
    "halved and back, nearest": there_and_back(0.5, BY.NEAREST),
    "cropped by one pixel": cropped,
    "WebP of quality 60": compressed(60, "WEBP"),
}
EXACT = "the same bytes"


def plant(source: Path, target: Path, each: int) -> dict[str, str]:
    """Write the archive with copies planted; returns what was done to each of them."""
    planted: dict[str, str] = {}
    with zipfile.ZipFile(source) as files, zipfile.ZipFile(target, "w") as written:
        names = [info.filename for info in files.infolist() if not info.is_dir()]
        for name in names:
            written.writestr(name, files.read(name))
        tested = [name for name in names if "test/" in name]
        kinds = [EXACT, *CHANGES]
        if len(tested) < each * len(kinds):
            raise SystemExit(
                f"{source}: {len(tested)} test images do not suffice for {each} of {len(kinds)} kinds each"
            )
        for number, name in enumerate(tested[:: len(tested) // (each * len(kinds))][: each * len(kinds)]):
            kind = kinds[number % len(kinds)]
            data = files.read(name)
            copy = name.replace("test/", "train/", 1).rpartition("/")[0] + f"/planted-{number}.png"
            change = CHANGES.get(kind)
            written.writestr(copy, data if change is None else change(Image.open(io.BytesIO(data)).convert("RGB")))
            planted[copy] = kind
    return planted


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("archive", type=Path)
    parser.add_argument("--each", type=int, default=80)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "planted.zip"
        planted = plant(options.archive, target, options.each)
        checked = check_dataset("planted", target, Path(folder))
        assert checked.spec is not None
        used = {item.member for item in list_items(checked.spec)}
    found = Counter(kind for name, kind in planted.items() if name not in used)
    for kind in (EXACT, *CHANGES):
        say(f"{kind:<28}{found[kind]:>4} of {options.each}")
    say(
        f"left out besides: {checked.report.duplicates['left_out'] - found.total()} images; {checked.report.duplicates}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
