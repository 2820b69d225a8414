"""The files of a bundle beside the network: how to prepare its input, read its output, and what it was tested on."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np

from autonl_core.bundle.files import model, pixels
from autonl_core.bundle.one_module import one_module
from autonl_core.bundle.preprocessing import preprocessing
from autonl_core.data.prepare import ImageSet, PreparedData
from autonl_core.datasets.limits import Limits
from autonl_core.datasets.scan import list_items
from autonl_core.datasets.spec import DatasetSpec
from autonl_core.files import sha256_of
from autonl_core.nn.network import Network

MAX_TEST_BYTES = 64 << 20  # of pixels; a bundle with more lists the test images instead of including them
SUMS = "SHA256SUMS"
_VERBATIM = Path(model.__file__).parent
_READ_BY_VERIFY = ("folder", "zip")  # data sources that verify.py, which imports nothing of ours, can read


def write_contents(folder: Path, network: Network, dataset: DatasetSpec, data: PreparedData) -> None:
    """Write arch.json, preprocess.json, labels.txt, the programs, and the test images or a list of them."""
    for name in ("model.py", "predict.py", "verify.py"):
        shutil.copyfile(_VERBATIM / name, folder / name)
    (folder / "pixels.py").write_text(one_module(pixels.__name__), encoding="utf-8")
    (folder / "arch.json").write_text(json.dumps(network.arch.to_json(), indent=1) + "\n", encoding="utf-8")
    (folder / "labels.txt").write_text("\n".join(dataset.classes) + "\n", encoding="utf-8")
    (folder / "preprocess.json").write_text(json.dumps(preprocessing(data), indent=1) + "\n", encoding="utf-8")
    if len(data.test) * data.resolution**2 * 3 <= MAX_TEST_BYTES or dataset.kind not in _READ_BY_VERIFY:
        _write_test_images(folder / "test.npz", data.test)
    else:
        _write_test_list(folder / "test_files.csv", dataset, data.report.limits)


def write_sums(folder: Path) -> dict[str, str]:
    """Write SHA256SUMS, as `sha256sum -c` reads it; returns the digest of every file, including SHA256SUMS."""
    sums = {file.name: sha256_of(file) for file in sorted(folder.iterdir()) if file.name != SUMS}
    lines = (f"{digest}  {name}\n" for name, digest in sums.items())
    (folder / SUMS).write_text("".join(lines), encoding="utf-8")
    return sums | {SUMS: sha256_of(folder / SUMS)}


def _write_test_images(path: Path, test: ImageSet) -> None:
    """`images` (N, R, R, 3) uint8 and `labels` (N,) int64."""
    images, labels = test.take(np.arange(len(test)))
    np.savez(path, images=images.numpy(), labels=labels.numpy())


def _write_test_list(path: Path, dataset: DatasetSpec, limits: Limits) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("member", "label", "class"))
        for item in list_items(dataset, limits):
            if item.split == "test":
                writer.writerow((item.member, item.label, dataset.classes[item.label]))
