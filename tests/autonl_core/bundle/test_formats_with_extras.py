"""Formats that need an extra, in a bundle: scored by the clean process in their own runtime, as users run them."""

from __future__ import annotations

import json
from importlib import metadata
from pathlib import Path

import pytest

from autonl_core.spec.formats import NETWORK_FORMAT_SPECS
from autonl_core.training.evaluate import recalibrate_batch_norm
from tests.autonl_core.bundle.small_bundle import Made, finish, lively

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def made_with_extras(made: Made, tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A bundle of every format whose extra is installed here."""
    extras = {name: spec.extra for name, spec in NETWORK_FORMAT_SPECS.items() if spec.extra is not None}
    installed = tuple(name for name, extra in extras.items() if extra.is_installed())
    if not installed:
        pytest.skip(f"none of the extras {', '.join(extra.name for extra in extras.values())} is installed")
    run = made.start_again(tmp_path_factory.mktemp("extras"), formats=installed, int8_max_drop_points=100.0)
    network = lively(made.network.arch)
    recalibrate_batch_norm(network, run.loader.plain(run.data.train), 500)
    return finish(run, network.eval())


def test_float_files_predict_what_pytorch_does_for_every_image_and_8_bit_files_are_close(
    made_with_extras: Made,
) -> None:
    bundle = made_with_extras.bundle
    for name in made_with_extras.run.config.export.formats:
        parity = bundle.parity[name]
        assert parity.withheld is None
        assert parity.max_logit_diff is not None
        assert parity.disagreeing_images is not None
        if NETWORK_FORMAT_SPECS[name].lossy:
            assert parity.disagreeing_images < 0.5 * bundle.score.images  # of an untrained network; guessing: 0.9
            assert parity.max_logit_diff > 1e-3
        else:
            assert (parity.correct, parity.disagreeing_images) == (made_with_extras.score.correct, 0)
            assert 0 < parity.max_logit_diff < 1e-4


def test_8_bit_files_are_smaller(made_with_extras: Made) -> None:
    folder = made_with_extras.bundle.folder
    for name in made_with_extras.run.config.export.formats:
        spec = NETWORK_FORMAT_SPECS[name]
        if spec.lossy:
            whole = NETWORK_FORMAT_SPECS[name.removesuffix("-int8")]
            assert (folder / spec.file_name).stat().st_size < 0.7 * (folder / whole.file_name).stat().st_size


def test_card_and_parity_say_what_scored_them(made_with_extras: Made) -> None:
    folder, card = made_with_extras.bundle.folder, (made_with_extras.bundle.folder / "README.md").read_text()
    reported = json.loads(Path(folder, "parity.json").read_text())
    for name in made_with_extras.run.config.export.formats:
        spec = NETWORK_FORMAT_SPECS[name]
        assert spec.extra is not None
        for package in spec.extra.runtime:
            assert reported["versions"][package] == metadata.version(package)
            assert f"{package} {metadata.version(package)}" in card
            assert f", for {spec.file_name} {package}" in card
        assert all(app.code in card for app in spec.apps)
