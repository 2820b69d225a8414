"""Built-in weight sets are files of installed packages, found without importing these."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import pytest

from autonl_core.spec.builtin_weights import BuiltinWeights, installed_weights
from tests.autonl_core.spec.test_weight_set import uploaded


def member(package: str) -> BuiltinWeights:
    return BuiltinWeights(uploaded(name="small"), package, "models/small-1.pth")


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package that must not be imported, with a file of weights."""
    folder = tmp_path / "autonl_test_weights"
    (folder / "models").mkdir(parents=True)
    (folder / "__init__.py").write_text("raise AssertionError('imported')")
    (folder / "models" / "small-1.pth").write_bytes(b"weights")
    monkeypatch.syspath_prepend(str(tmp_path))
    return folder


def test_the_file_is_found_without_importing_the_package(package: Path) -> None:
    assert member(package.name).path() == package / "models" / "small-1.pth"
    assert package.name not in sys.modules


def test_without_the_package_or_with_another_version_of_it_there_is_no_file(package: Path) -> None:
    assert member("autonl_no_such_package").path() is None
    (package / "models" / "small-1.pth").rename(package / "models" / "small-2.pth")
    assert member(package.name).path() is None


def test_the_weights_that_the_project_depends_on_are_offered_as_published() -> None:
    weights = installed_weights()["efficientnet-lite0"]
    assert (weights.num_classes, weights.resolution, weights.top1_pct) == (1000, 224, 75.1)
    # (x - 127) / 128 of pixels from 0 to 255, as (x / 255 - mean) / std.
    for pixel in (0, 127, 255):
        (mean, *_), (std, *_) = weights.normalisation.mean, weights.normalisation.std
        assert (pixel / 255 - mean) / std == pytest.approx((pixel - 127) / 128, abs=1e-12)


def test_finding_built_in_weights_reads_no_file(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The service lists them with every request."""
    monkeypatch.setattr(Path, "open", None)
    monkeypatch.setattr(hashlib, "sha256", None)
    assert "efficientnet-lite0" in installed_weights()
