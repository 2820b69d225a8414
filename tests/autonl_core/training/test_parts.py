"""A batch in parts: one order of additions, whichever process computes them."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from autonl_core.errors import RanksError
from autonl_core.parallel.ranks import Ranks
from autonl_core.run.environment import environment
from autonl_core.spec.config import SearchConfig
from autonl_core.spec.config_sections import BatchStatistics
from autonl_core.training.micro_batches import MicroBatches
from autonl_core.training.parts import BatchParts, Part, parts_of

X, LABELS = torch.randn(10, 3, 2, 2, generator=torch.Generator().manual_seed(0)), torch.arange(10) % 4


def network() -> nn.Sequential:
    torch.manual_seed(1)
    return nn.Sequential(nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(12, 4))


def step(model: nn.Sequential, parts: BatchParts) -> Tensor:
    def compute(part: Part, micro_batches: int) -> Tensor:
        loss = part.share * F.cross_entropy(model(part.x), part.labels)
        loss.backward()
        return loss.detach().double().view(1)

    return parts.differentiate(X, LABELS, compute, lambda: list(model.buffers()))


def test_one_part_is_the_whole_batch() -> None:
    whole, model = network(), network()
    loss = F.cross_entropy(whole(X), LABELS)
    loss.backward()
    assert torch.equal(step(model, BatchParts(parameters=list(model.parameters()))), loss.detach().double().view(1))
    for ours, theirs in zip(model.parameters(), whole.parameters(), strict=True):
        assert ours.grad is not None
        assert theirs.grad is not None
        assert torch.equal(ours.grad, theirs.grad)


def test_gradients_of_parts_are_added_in_order_and_each_has_its_own_batch_statistics() -> None:
    model, alone = network(), [network(), network()]
    step(model, BatchParts(2, parameters=list(model.parameters())))
    for part, (x, labels) in zip(alone, ((X[:5], LABELS[:5]), (X[5:], LABELS[5:])), strict=True):
        (0.5 * F.cross_entropy(part(x), labels)).backward()
    for ours, first, second in zip(*(each.parameters() for each in (model, *alone)), strict=True):
        assert ours.grad is not None
        assert first.grad is not None
        assert second.grad is not None
        assert torch.equal(ours.grad, first.grad + second.grad)


def test_running_statistics_move_once_towards_the_mean_of_the_parts() -> None:
    model, alone = network(), [network(), network()]
    step(model, BatchParts(2, parameters=list(model.parameters())))
    for part, x in zip(alone, (X[:5], X[5:]), strict=True):
        part(x)
    norm, first, second = (dict(each[0].named_buffers()) for each in (model, *alone))
    assert torch.equal(norm["running_mean"], (first["running_mean"] + second["running_mean"]) / 2)
    assert int(norm["num_batches_tracked"]) == 1


def test_a_batch_of_fewer_images_than_parts_need_is_computed_by_every_rank() -> None:
    parts = BatchParts(8, Ranks(1, 2))  # no rank is asked, or this would not return
    seen: list[int] = []

    def compute(part: Part, micro_batches: int) -> Tensor:
        seen.append(len(part.labels))
        return part.labels.sum().double().view(1)

    assert float(parts.sum(X, LABELS, compute)) == float(LABELS.sum())
    assert seen == [2, 2, 2, 2, 2]


def test_as_many_ranks_share_a_search_as_divide_its_parts() -> None:
    config = SearchConfig(dataset="digits", flops_budget=400_000, batch_parts=4)
    assert parts_of(config, Ranks(0, 2), MicroBatches()).count == 4
    with pytest.raises(RanksError):
        parts_of(config, Ranks(0, 3), MicroBatches())


def test_where_batch_norms_see_the_whole_batch_every_rank_has_one_part_of_it() -> None:
    config = SearchConfig(dataset="digits", flops_budget=400_000, batch_parts=4, batch_statistics="batch")
    counts = {size: parts_of(config, Ranks(0, size), MicroBatches()).count for size in (1, 2, 4)}
    assert counts == {1: 1, 2: 2, 4: 4}
    with pytest.raises(RanksError):
        parts_of(config, Ranks(0, 3), MicroBatches())


@pytest.mark.parametrize(("statistics", "ranks"), [("part", 1), ("batch", 2)])
def test_only_where_batch_norms_see_the_whole_batch_bits_depend_on_the_number_of_ranks(
    statistics: BatchStatistics, ranks: int
) -> None:
    config = SearchConfig(dataset="digits", flops_budget=400_000, batch_parts=2, batch_statistics=statistics)
    parts = parts_of(config, Ranks(0, 2), MicroBatches())
    assert parts.ranks_that_matter == ranks
    assert ("ranks" in environment(torch.device("cpu"), 1, config, parts)) == (ranks == 2)


def test_one_process_that_shares_statistics_with_nobody_computes_the_batch_at_once() -> None:
    whole, model = network(), network()
    F.cross_entropy(whole(X), LABELS).backward()
    step(model, BatchParts(parameters=list(model.parameters()), shares_statistics=True))
    for ours, theirs in zip(model.buffers(), whole.buffers(), strict=True):
        assert torch.equal(ours, theirs)
