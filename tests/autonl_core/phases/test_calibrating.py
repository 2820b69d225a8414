"""A temperature is folded into the delivered network: other probabilities, the same answers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from autonl_core.nn.network import Network
from autonl_core.phases.calibrating import calibrate
from autonl_core.run.search_run import SearchRun
from autonl_core.spec.probability_calibration import MIN_IMAGES
from autonl_core.spec.space_families import get_space
from autonl_core.training.evaluate import Marks, evaluate
from tests.autonl_core.bundle.small_bundle import lively, start


@pytest.fixture
def network() -> Network:
    return lively(get_space("tiny", 8, 10).smallest())


@pytest.fixture
def run(network: Network, tmp_path: Path) -> SearchRun:
    """A search that is about to export it, on digits."""
    return start(tmp_path, network.arch)


def test_an_untrained_network_learns_to_doubt_and_answers_as_before(run: SearchRun, network: Network) -> None:
    before, after = Marks(), Marks()
    weight, bias = (value.clone() for value in (network.classifier.weight, network.classifier.bias))
    first = evaluate(network, run.loader.plain(run.data.test), before)
    found = calibrate(run, network)
    second = evaluate(network, run.loader.plain(run.data.test), after)
    assert found is not None
    assert found.temperature > 1
    assert found.test_images == len(run.data.test)
    assert found.error_after < found.error_before
    torch.testing.assert_close(network.classifier.weight, weight / found.temperature)
    torch.testing.assert_close(network.classifier.bias, bias / found.temperature)
    assert torch.equal(before.predicted(), after.predicted())
    assert (second.correct, second.correct_top5) == (first.correct, first.correct_top5)
    assert second.loss < first.loss


def test_with_few_test_images_it_stays_as_it_is(run: SearchRun, network: Network) -> None:
    few = replace(run.data, test=run.data.test.subset(np.arange(MIN_IMAGES - 1)))
    weights = {name: value.clone() for name, value in network.state_dict().items()}
    assert calibrate(replace(run, data=few), network) is None
    assert all(torch.equal(value, weights[name]) for name, value in network.state_dict().items())


def test_a_network_whose_logits_are_no_numbers_is_left_to_its_score(run: SearchRun, network: Network) -> None:
    with torch.no_grad():
        network.classifier.bias.fill_(torch.nan)
    assert calibrate(run, network) is None
