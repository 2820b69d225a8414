"""Fused networks in bfloat16: refused where it would be slow, and close to float32 where it is forced."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from autonl_core.errors import PrecisionError
from autonl_core.nn.bfloat16 import compare
from autonl_core.nn.network import Network, build_network
from autonl_core.spec.zoo import ZOO

RESOLUTION = 32


def network() -> Network:
    """AutoNL-S has every kind of layer. Statistics of real passes, or its maps would vanish."""
    made = build_network(ZOO["autonl_s"].arch, seed=0)
    with torch.no_grad():
        for x in batches():
            made(x)
    return made.eval()


def batches() -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(8, 3, RESOLUTION, RESOLUTION, generator=generator) for _ in range(3)]


def test_a_forced_network_keeps_weights_and_maps_in_bfloat16_and_logits_in_float32() -> None:
    fused, kinds = network().fuse(torch.bfloat16, force=True), []
    for layer in (fused.stem, *fused.blocks, fused.head):
        layer.register_forward_hook(lambda _, __, out: kinds.append(out.dtype))
        assert all(p.dtype == torch.bfloat16 for p in layer.parameters())
    with torch.no_grad():
        assert fused(batches()[0]).dtype == torch.float32
    assert set(kinds) == {torch.bfloat16}


def test_its_logits_are_those_of_float32_to_the_precision_of_bfloat16() -> None:
    made = network()
    plain, short = made.fuse(), made.fuse(torch.bfloat16, force=True)
    scale = max(float(plain(x).abs().max()) for x in batches())
    parity = compare(plain, short, batches())
    assert 0 < parity.logit_difference < 0.05 * scale
    assert parity.same_class > 0.5  # of a thousand classes that an untrained network hardly distinguishes
    assert compare(plain, plain, batches()) == (1, 0)


@pytest.mark.parametrize("has", [False, True])
def test_a_processor_without_the_instructions_is_refused(monkeypatch: pytest.MonkeyPatch, has: bool) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx2": True, "avx512_bf16": has})
    if has:
        assert network().fuse(torch.bfloat16).map_dtype == torch.bfloat16
    else:
        with pytest.raises(PrecisionError, match=r"no instructions for bfloat16.*force=True"):
            network().fuse(torch.bfloat16)


def test_other_precisions_are_refused() -> None:
    with pytest.raises(PrecisionError, match="float16"):
        network().fuse(torch.float16, force=True)
