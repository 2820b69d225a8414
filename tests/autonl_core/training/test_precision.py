"""Training in bfloat16 goes where training in float32 goes."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import Tensor, nn

from autonl_core.nn.blocks.light_nl import LightNL
from autonl_core.nn.blocks.mbconv import MBConv
from autonl_core.nn.network import build_network
from autonl_core.run.environment import environment, repeats_exactly
from autonl_core.spec.config import SearchConfig
from autonl_core.spec.config_sections import Precision
from autonl_core.spec.space_families import get_space
from autonl_core.supernet.gates import GateTable
from autonl_core.supernet.supernet import Supernet
from autonl_core.training.parts import BatchParts
from autonl_core.training.precision import float32_as, forward_in

CPU = torch.device("cpu")
SPACE = get_space("tiny", 8, 10)
LEAST_COSINE = 0.999


def digits(count: int) -> tuple[Tensor, Tensor]:
    images, labels = load_digits(return_X_y=True)
    x = torch.from_numpy(images[:count]).float().reshape(-1, 1, 8, 8).expand(-1, 3, -1, -1)
    return ((x - x.mean()) / x.std()).contiguous(memory_format=torch.channels_last), torch.from_numpy(labels[:count])


def gradients(module: nn.Module, forward: nn.Module, precision: Precision) -> list[Tensor]:
    """Of all weights of `module`, by the loss of what `forward` answers."""
    module.zero_grad()
    x, y = digits(256)
    with forward_in(precision, CPU):
        loss = F.cross_entropy(forward(x).float(), y)
    loss.backward()
    return [p.grad for p in module.parameters() if p.grad is not None]


def cosine(one: list[Tensor], other: list[Tensor]) -> float:
    a, b = (torch.cat([gradient.double().flatten() for gradient in each]) for each in (one, other))
    return float(a @ b / a.norm() / b.norm())


class Gated(nn.Module):
    """The whole supernet, every gate halfway open."""

    def __init__(self) -> None:
        super().__init__()
        self.supernet = Supernet(GateTable(SPACE), seed=0)

    def forward(self, x: Tensor) -> Tensor:
        return self.supernet.forward_gated(x, torch.full((len(self.supernet.table.gates),), 0.5))


class Subnet(Gated):
    """The largest network on the weights of the supernet."""

    def forward(self, x: Tensor) -> Tensor:
        return self.supernet.forward_choice(x, tuple(len(options) - 1 for options in self.supernet.table.options))


def network() -> nn.Module:
    made = build_network(SPACE.largest(), seed=0).train()
    for block in made.modules():
        if isinstance(block, LightNL):
            nn.init.constant_(block.norm.weight, 0.1)
    return made


@pytest.mark.long
@pytest.mark.parametrize("make", [network, Subnet, Gated])
def test_gradients_in_bfloat16_point_where_those_of_float32_do(make: type[nn.Module]) -> None:
    module = make()
    full, short = ([g.clone() for g in gradients(module, module, precision)] for precision in ("fp32", "bf16"))
    assert all(gradient.dtype == torch.float32 for gradient in short)
    assert not all(torch.equal(one, other) for one, other in zip(full, short, strict=True))
    assert cosine(full, short) >= LEAST_COSINE


@pytest.mark.parametrize(
    ("precision", "dtype"), [("fp32", torch.float32), ("tf32", torch.float32), ("bf16", torch.bfloat16)]
)
def test_maps_are_in_it_and_weights_are_not(precision: Precision, dtype: torch.dtype) -> None:
    made = network()
    seen: list[torch.dtype] = []
    for block in (module for module in made.modules() if isinstance(module, MBConv)):
        block.register_forward_hook(lambda block, given, out: seen.append(out.dtype))
    gradients(made, made, precision)
    assert set(seen) == {dtype}
    assert {p.dtype for p in made.parameters()} == {torch.float32}


@pytest.mark.parametrize(("precision", "allowed"), [("fp32", False), ("tf32", True), ("bf16", True)])
def test_only_fp32_keeps_a_gpu_from_rounding_to_tf32(precision: Precision, allowed: bool) -> None:
    assert torch.backends.cudnn.allow_tf32
    with float32_as(precision):
        assert torch.backends.cudnn.allow_tf32 == allowed
    assert torch.backends.cudnn.allow_tf32


def test_what_repetition_depends_on_names_it() -> None:
    assert SearchConfig(dataset="digits", flops_budget=400_000).precision == "tf32"
    config = SearchConfig(dataset="digits", flops_budget=400_000)
    configs = [config, config.model_copy(update={"precision": "bf16"})]
    found = [environment(CPU, 1, each, BatchParts()) for each in configs]
    assert [each["precision"] for each in found] == ["tf32", "bf16"]


def test_only_a_cpu_repeats_a_search_exactly_unless_pytorch_is_held_to_it() -> None:
    assert repeats_exactly(CPU)
    assert not repeats_exactly(torch.device("cuda"))
