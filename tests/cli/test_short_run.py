"""How long a search would take, from what a short one took."""

from __future__ import annotations

from pathlib import Path

import pytest

from autonl_core.datasets.scan import find_dataset
from autonl_core.errors import SpaceError
from autonl_core.spec.config import SearchConfig
from autonl_core.spec.config_sections import ExportConfig, SupernetConfig, TrainConfig
from cli.short_run import COMPUTING, PhaseEstimate, Size, estimate, plan_of, scaled_up, short_form, write_images

CONFIG = SearchConfig(
    dataset="digits",
    flops_budget=400_000,
    search_space="tiny",
    resolution=8,
    supernet=SupernetConfig(epochs=2, candidates=8, generations=1, finalists=2),
    train=TrainConfig(epochs=10),
    export=ExportConfig(formats=("onnx",)),
)
SECONDS = {"preparing": 2.0, "searching": 10.0, "deriving": 4.0, "training": 5.0, "evaluating": 1.0, "exporting": 20.0}


def by_phase(found: tuple[PhaseEstimate, ...]) -> dict[str, PhaseEstimate]:
    return {one.phase: one for one in found}


def test_ten_times_the_epochs_on_twice_the_images_take_twenty_times_as_long() -> None:
    """Of 100 images 80 fit weights, of 200 images 160; ten epochs of training instead of one."""
    short = short_form(CONFIG, 100)
    measured, whole = Size(100, 10, 10), Size(200, 30, 10)
    config = CONFIG.model_copy(update={"val_fraction": short.val_fraction})
    found = by_phase(scaled_up(SECONDS, plan_of(short, measured, 1_000_000), measured, config, whole))
    assert found["training"].seconds == pytest.approx(20 * 5.0)
    assert found["training"].macs == 3 * 400_000 * 200 * 10
    assert found["training"].macs_per_s == 3 * 400_000 * 100 / 5.0
    assert found["preparing"].seconds == pytest.approx(2.0 * 230 / 110)
    assert found["evaluating"].seconds == pytest.approx(3.0)
    assert found["exporting"].seconds == pytest.approx(20.0 + 2 * 2.0)  # safetensors and ONNX score 20 images more


def test_a_search_whose_plan_cannot_be_known_is_refused() -> None:
    with pytest.raises(SpaceError, match="an estimate needs a search with a `resolution`"):
        estimate(CONFIG.model_copy(update={"resolution": None}), Size(100, 10, 10), 40)


def test_generated_images_are_a_dataset_and_the_short_form_one_epoch_of_the_same(tmp_path: Path) -> None:
    write_images(tmp_path, 40, 8)
    assert len(find_dataset(str(tmp_path)).classes) == 2
    short = short_form(CONFIG, 40)
    assert (short.train.epochs, short.supernet.epochs, short.train.batch_size) == (1, 1, 5)
    assert short.train.optimizer == CONFIG.train.optimizer


@pytest.mark.long
def test_an_estimate_names_every_phase_with_its_rate() -> None:
    found = by_phase(estimate(CONFIG, Size(1000, 100, 10), 40))
    assert list(found) == ["preparing", *COMPUTING, "evaluating", "exporting"]
    assert all(found[phase].seconds > 0 for phase in COMPUTING)
    assert found["training"].macs == 3 * 400_000 * 1000 * 10
