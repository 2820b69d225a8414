"""Blocks that are left out in training, drawn for every image."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from autonl_core.nn.blocks.mbconv import MBConv
from autonl_core.nn.network import build_network
from autonl_core.spec.arch import BlockSpec
from autonl_core.spec.space_families import get_space


def test_an_image_takes_the_shortcut_alone_or_the_block_scaled_up() -> None:
    """With a chance of 1/4, what stays is 4/3 of what the block adds."""
    torch.manual_seed(0)
    block = MBConv(BlockSpec(4, 4, 1, 3, 1)).train()
    assert block.residual
    x = torch.randn(400, 4, 3, 3)
    added = block(x) - x
    block.skip_chance = 0.25
    seen = block(x) - x
    skipped = seen.flatten(1).abs().amax(1) == 0
    torch.testing.assert_close(seen[~skipped], added[~skipped] * 4 / 3, rtol=1e-4, atol=1e-5)
    assert 0.15 < skipped.float().mean() < 0.35
    block.eval()
    torch.testing.assert_close(block(x), block(x))


def test_later_blocks_are_skipped_more_often_and_batch_norms_move_as_slowly_as_asked() -> None:
    network = build_network(get_space("tiny", 8, 10).smallest(), seed=0)
    network.train_with(0.2, 0.01)
    count = len(network.blocks)
    chances = [block.skip_chance for block in network.blocks if isinstance(block, MBConv)]
    assert chances == pytest.approx([0.2 * place / count for place in range(count)])
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    assert {norm.momentum for norm in norms} == {0.01}
    network.train()
    network(torch.ones(2, 3, 8, 8))
    stem = network.stem.norm
    assert stem.running_var is not None
    torch.testing.assert_close(stem.running_var, torch.full_like(stem.running_var, 0.99), rtol=0.02, atol=0)
