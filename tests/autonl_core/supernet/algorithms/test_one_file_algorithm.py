"""An algorithm is one file: with it the API and the command line offer the algorithm, and a search runs by it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from autonl_core.supernet.learner import ALGORITHMS
from tests.one_file_additions import output_of, tree_with

PATH = "autonl_core/supernet/algorithms/coin_toss.py"
COIN_TOSS = '''
"""`coin-toss`: every gate is as likely open as closed, and stays so; only the weights learn."""

from __future__ import annotations

import numpy as np
import torch.nn.functional as F

from autonl_core.supernet.budget import BandSampler, band
from autonl_core.supernet.learner import Algorithm


class CoinToss:
    slope_interval = 0

    def __init__(self, supernet, config):
        self.supernet, self.table = supernet, supernet.table
        _, high = band(config.flops_budget)
        options = self.table.option_probabilities(self.probabilities())
        self.sampler = BandSampler(self.table, options, 0, high)

    def extra_parameters(self):
        return []

    def weight_step(self, x, y, rng, progress, parts):
        loss = F.cross_entropy(self.supernet.forward_choice(x, self.sampler.draw(rng)), y)
        loss.backward()
        return float(loss.detach())

    def slope_step(self, x, y, rng, progress, parts):
        raise AssertionError

    def probabilities(self):
        return np.full(len(self.table.gates), 0.5)

    def metrics(self):
        return {"tosses": 1.0}

    def state_dict(self):
        return {}

    def load_state_dict(self, state):
        pass


MEMBER = Algorithm("coin-toss", CoinToss, lambda config, largest_macs: 3.0 * config.flops_budget)
'''


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The code with one more file."""
    return tree_with(tmp_path_factory.mktemp("coin_toss"), {PATH: COIN_TOSS})


@pytest.mark.long
def test_the_api_offers_it_without_loading_it(tree: Path) -> None:
    code = (
        "import json, sys; from api.app import create_app; described = create_app().openapi(); "
        "print(json.dumps([described['components']['schemas']['SearchRequest']['properties']['algorithm'], "
        "sorted({'torch', 'autonl_core.supernet.algorithms.coin_toss'} & sys.modules.keys())]))"
    )
    offered, loaded = json.loads(output_of(tree, code))
    assert offered["enum"] == sorted([*ALGORITHMS.names(), "coin-toss"])
    assert {"autonl", "autonl-paper"} < set(offered["enum"])
    assert offered["default"] == "autonl"
    assert loaded == []


def test_the_command_line_offers_it(tree: Path) -> None:
    assert "coin-toss" in output_of(tree, ["-m", "cli.main", "search", "--help"], env={"COLUMNS": "200"})
