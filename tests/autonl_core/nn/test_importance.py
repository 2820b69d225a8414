"""Channels in the order of their importance: by hand, and without a change of what the network computes."""

from __future__ import annotations

import pytest
import torch

from autonl_core.nn.blocks.mbconv import MBConv
from autonl_core.nn.importance import importance_of, order_channels, with_narrower_head
from autonl_core.spec.arch import BlockSpec
from autonl_core.spec.space_families import get_space
from tests.autonl_core.bundle.small_bundle import lively


def test_importance_by_hand() -> None:
    # two channels that expand to four; projections (1, -2), (3, 0), (0, 0), (1, 1): sums 3, 3, 0, 2; scales 1, -2, 5, 1
    block = MBConv(BlockSpec(2, 2, 1, 3, 2))
    with torch.no_grad():
        block.project.conv.weight.copy_(torch.tensor([[1.0, 3, 0, 1], [-2, 0, 0, 1]]).view(2, 4, 1, 1))
        block.depthwise.norm.weight.copy_(torch.tensor([1.0, -2, 5, 1]))
    assert importance_of(block).tolist() == [3, 6, 0, 2]


@pytest.mark.parametrize(("name", "resolution"), [("tiny", 11), ("mobile-32", 32), ("lite", 64)])
def test_ordered_channels_change_logits_by_rounding_only(name: str, resolution: int) -> None:
    network = lively(get_space(name, resolution, 10).largest()).double()  # LightNL in every block magnifies rounding
    x = torch.randn(4, 3, resolution, resolution, dtype=torch.float64)
    before = network(x)
    order_channels(network)
    assert (network(x) - before).abs().max() <= 1e-11 * before.abs().max()
    expanding = [block for block in network.blocks if isinstance(block, MBConv) and block.expand is not None]
    assert expanding
    for block in expanding:
        importance = importance_of(block)
        assert importance.tolist() == sorted(importance.tolist(), reverse=True)


def test_a_narrower_head_has_the_most_important_channels() -> None:
    network = lively(get_space("tiny", 8, 10).largest()).double()
    whole = with_narrower_head(network, network.arch.head_channels).state_dict()
    for name, value in network.state_dict().items():
        torch.testing.assert_close(whole[name].double(), value.double(), rtol=1e-6, atol=1e-7)
    with torch.no_grad():
        network.classifier.weight[:, 3::8] *= 50  # the 16 that matter, wherever they are
        network.head.norm.weight.fill_(1.0)
        narrow = with_narrower_head(network, 16).double()
        assert torch.allclose(narrow.classifier.weight, network.classifier.weight[:, 3::8], rtol=1e-6)
        network.classifier.weight.view(10, -1, 8)[:, :, [0, 1, 2, 4, 5, 6, 7]] = 0
        x = torch.randn(3, 3, 8, 8, dtype=torch.float64)
        torch.testing.assert_close(narrow(x), network(x), rtol=1e-5, atol=1e-5)


def test_a_second_time_nothing_moves() -> None:
    network = lively(get_space("tiny", 8, 10).largest())
    order_channels(network)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    order_channels(network)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
