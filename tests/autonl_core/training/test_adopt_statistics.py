"""Batch norms take over the statistics of the data, and their network answers as before."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from autonl_core.nn.network import Network, build_network
from autonl_core.spec.space_families import get_space
from autonl_core.training.adopt_statistics import adopt_statistics
from autonl_core.training.evaluate import recalibrate_batch_norm


@pytest.fixture
def network() -> Network:
    """With LightNL, and with statistics, scales and shifts as of some other data."""
    space = get_space("tiny", 16, 10)
    network = build_network(space.largest(), seed=1)
    assert any(block.light_nl for block in network.arch.blocks)
    generator = torch.Generator().manual_seed(2)
    for norm in (module for module in network.modules() if isinstance(module, nn.BatchNorm2d)):
        assert norm.running_mean is not None
        assert norm.running_var is not None
        for values, low in ((norm.running_mean, -0.5), (norm.running_var, 1.0), (norm.bias, -0.5)):
            nn.init.uniform_(values, low, low + 1, generator=generator)
        with torch.no_grad():
            norm.weight.clamp_min_(0.1)  # that of LightNL begins at 0
    return network.eval()


@pytest.fixture
def batch() -> tuple[Tensor, Tensor]:
    return torch.randn(40, 3, 16, 16, generator=torch.Generator().manual_seed(3)) + 1, torch.zeros(40)


def test_scale_and_shift_make_up_for_the_change_by_hand() -> None:
    norm = nn.BatchNorm2d(1, eps=1e-12).eval()
    norm.weight.data, norm.bias.data = torch.tensor([2.0]), torch.tensor([1.0])
    data = torch.tensor([2.0, 6.0]).view(2, 1, 1, 1)  # mean 4, variance 4; the norm has 0 and 1
    adopt_statistics(nn.Sequential(norm), [(data, torch.zeros(2))])
    assert (norm.running_mean, norm.running_var) == (torch.tensor([4.0]), torch.tensor([4.0]))
    assert (norm.weight.item(), norm.bias.item()) == pytest.approx((4.0, 9.0))  # 2 x 2, and 1 + 2 x 4
    assert norm(data).flatten().tolist() == pytest.approx([5.0, 13.0])  # as before: 2 x + 1


def test_the_network_answers_as_before(network: Network, batch: tuple[Tensor, Tensor]) -> None:
    layers, before = [type(module) for module in network.modules()], network(batch[0])
    adopt_statistics(network, [batch])
    torch.testing.assert_close(network(batch[0]), before, rtol=1e-4, atol=1e-5)
    assert [type(module) for module in network.modules()] == layers
    assert not network.training


def test_recalibrating_changes_it_no_more(network: Network, batch: tuple[Tensor, Tensor]) -> None:
    before = network(batch[0]).detach()
    adopt_statistics(network, [batch])
    assert change_by_recalibrating(network, batch, before) < 0.02


def test_recalibrating_without_adoption_makes_another_network(network: Network, batch: tuple[Tensor, Tensor]) -> None:
    assert change_by_recalibrating(network, batch, network(batch[0]).detach()) > 0.5


def change_by_recalibrating(network: Network, batch: tuple[Tensor, Tensor], before: Tensor) -> float:
    """The largest change of a logit, in standard deviations of the logits."""
    recalibrate_batch_norm(network, [batch])
    return float((network(batch[0]).detach() - before).abs().max() / before.std())
