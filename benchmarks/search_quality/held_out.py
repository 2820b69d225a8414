"""A dataset whose test split was training images: what is tried often must not be judged on the test split."""

from __future__ import annotations

import zipfile
from collections import defaultdict
from pathlib import Path, PurePosixPath

from autonl_core.files import write_atomically

SHARE = 0.2  # of the training images of every class


def without_test(path: Path, folder: Path) -> Path:
    """A zip of the training images below `train/` in the zip `path`, every fifth of each class, by name, in `test/`.

    Returns the file, in `folder`; it is made only once.
    """
    made = folder / path.name
    if not made.exists():
        write_atomically(made, lambda target: _split(path, target))
    return made


def _split(path: Path, target: Path) -> None:
    with zipfile.ZipFile(path) as whole, zipfile.ZipFile(target, "w") as parts:
        by_class: dict[str, list[str]] = defaultdict(list)
        for name in sorted(whole.namelist()):
            split, *within = PurePosixPath(name).parts
            if split == "train" and len(within) > 1 and not name.endswith("/"):
                by_class[within[0]].append(name)
        if not by_class:
            raise ValueError(f"{path} has no images in train/CLASS/; only such zips can be split")
        for names in by_class.values():
            for place, name in enumerate(names):
                split = "test" if place % round(1 / SHARE) == 0 else "train"
                parts.writestr(f"{split}/{name.removeprefix('train/')}", whole.read(name))
