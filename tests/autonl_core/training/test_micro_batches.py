"""Batches in parts: the same gradient, and a search that goes on when memory runs out."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from autonl_core.errors import is_out_of_memory
from autonl_core.spec.config import MIN_PART_IMAGES
from autonl_core.training.micro_batches import MAX_PARTS, MicroBatches, split


@given(images=st.integers(1, 70), parts=st.integers(1, MAX_PARTS))
def test_parts_are_the_whole_batch_in_order_and_no_part_is_a_single_image(images: int, parts: int) -> None:
    x, labels = torch.arange(images * 3.0).reshape(images, 3), torch.arange(images)
    pieces = split(x, labels, parts)
    assert torch.equal(torch.cat([some for some, _, _ in pieces]), x)
    assert torch.equal(torch.cat([theirs for _, theirs, _ in pieces]), labels)
    assert sum(share for _, _, share in pieces) == pytest.approx(1)
    assert len(pieces) <= parts
    assert len(pieces) == 1 or min(len(theirs) for _, theirs, _ in pieces) >= MIN_PART_IMAGES


@pytest.mark.parametrize("parts", [2, 3, 8])
def test_the_gradient_of_the_parts_is_that_of_the_batch(parts: int) -> None:
    torch.manual_seed(0)
    layer = nn.Linear(5, 4).double()
    x, labels = torch.randn(19, 5).double(), torch.randint(0, 4, (19,))
    nn.functional.cross_entropy(layer(x), labels).backward()
    assert layer.weight.grad is not None
    whole = layer.weight.grad.clone()
    layer.zero_grad()
    for part, part_labels, share in split(x, labels, parts):
        (share * nn.functional.cross_entropy(layer(part), part_labels)).backward()
    assert torch.allclose(layer.weight.grad, whole, atol=1e-14)


@pytest.mark.long
def test_parts_double_until_the_batch_fits_and_stay_so() -> None:
    reported: list[int] = []
    micro_batches = MicroBatches(on_split=reported.append)

    def compute(parts: int) -> int:
        if parts < 4:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return parts

    assert micro_batches.step(compute) == 4
    assert reported == [2, 4]
    assert micro_batches.step(compute) == 4
    assert reported == [2, 4]


def test_what_does_not_fit_in_the_smallest_parts_is_an_error() -> None:
    micro_batches = MicroBatches(MAX_PARTS)
    with pytest.raises(MemoryError):
        micro_batches.step(lambda parts: bytearray(1 << 60))


def test_any_other_error_is_none_of_its_business() -> None:
    micro_batches = MicroBatches()
    with pytest.raises(RuntimeError, match="shape"):
        micro_batches.step(lambda parts: torch.ones(2, 3) @ torch.ones(2, 3))
    assert micro_batches.parts == 1


def test_how_the_host_and_a_device_say_it() -> None:
    with pytest.raises(RuntimeError) as host:
        torch.empty(1 << 60)
    assert is_out_of_memory(host.value)
    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory"))
    assert is_out_of_memory(RuntimeError("GET was unable to find an engine to execute this computation"))
    assert is_out_of_memory(MemoryError())
    assert not is_out_of_memory(RuntimeError("shape"))
