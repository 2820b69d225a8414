"""A few photos of clothes: enough to go through every phase of a search from pretrained weights."""

from __future__ import annotations

import zipfile
from pathlib import Path

CLOTHING_ZIP = Path(__file__).parents[2] / "examples" / "clothing.zip"


def few_clothes(path: Path) -> Path:
    """Write a zip with eight training and two test photos of each of three classes to `path`, and return it."""
    with zipfile.ZipFile(CLOTHING_ZIP) as all_of_them, zipfile.ZipFile(path, "w") as few:
        for split, count in (("train", 8), ("test", 2)):
            for label in ("hat", "pants", "shoes"):
                folder = f"{split}/{label}/"
                names = [name for name in all_of_them.namelist() if name.startswith(folder) and name != folder]
                for name in sorted(names)[:count]:
                    few.writestr(zipfile.ZipInfo(name), all_of_them.read(name))
    return path
