"""A supernet that starts from a network computes what the network does, and gives it back bit for bit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from autonl_core.errors import SpaceError
from autonl_core.nn.network import Network, build_network
from autonl_core.nn.weights import load_weights
from autonl_core.spec.arch import LightNLSpec
from autonl_core.spec.published_net import adapt
from autonl_core.spec.search_space import Option
from autonl_core.spec.space_families import get_space
from autonl_core.spec.zoo import ZOO
from autonl_core.supernet.gates import GateTable
from autonl_core.supernet.option_costs import Choice
from autonl_core.supernet.start import as_in_space, choice_of, start_from
from autonl_core.supernet.supernet import Supernet
from tests.autonl_core.bundle.small_bundle import lively
from tests.autonl_core.reference_vectors import images as port_images
from tests.autonl_core.reference_vectors import port_logits, port_state

SPACES = [("tiny", 8), ("tiny", 11), ("mobile-32", 32), ("lite", 64)]


@pytest.fixture(params=SPACES, ids=[f"{name}-{resolution}" for name, resolution in SPACES])
def table(request: pytest.FixtureRequest) -> GateTable:
    name, resolution = request.param
    return GateTable(get_space(name, resolution, 10))


def trained(table: GateTable, choice: Choice) -> Network:
    """A network whose every number has a life of its own, running statistics too."""
    network = lively(table.arch(choice))
    generator = torch.Generator().manual_seed(4)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_mean is not None
            assert module.running_var is not None
            module.running_mean.normal_(generator=generator)
            module.running_var.uniform_(0.5, 2, generator=generator)
    return network


def some_choices(table: GateTable, count: int = 4) -> list[Choice]:
    generator = torch.Generator().manual_seed(1)
    sizes = [len(options) for options in table.options]
    return [tuple(int(torch.randint(size, (), generator=generator)) for size in sizes) for _ in range(count)]


def images(table: GateTable) -> Tensor:
    size = table.space.resolution
    return torch.randn(8, 3, size, size, generator=torch.Generator().manual_seed(2))


def test_a_network_comes_out_as_it_went_in(table: GateTable) -> None:
    for choice in some_choices(table):
        network, supernet = trained(table, choice), Supernet(table, seed=1)
        out = supernet.derive(start_from(supernet, network))
        assert out.arch == network.arch
        expected = network.state_dict()
        assert out.state_dict().keys() == expected.keys()
        assert [name for name, value in out.state_dict().items() if not torch.equal(value, expected[name])] == []


def larger(option: Option, options: list[Option]) -> int:
    """The largest option of a position that has LightNL as `option` has, or, beside none, any LightNL."""
    light_nl = option.light_nl if option is not None else None
    fitting = [i for i, o in enumerate(options) if o is not None and (light_nl is None or o.light_nl == light_nl)]
    return fitting[-1]


def test_every_larger_network_computes_the_same_at_first(table: GateTable) -> None:
    """Wider, with larger kernels, with layers and LightNL that the network does not have."""
    x = images(table)
    for choice in some_choices(table):
        network, supernet = trained(table, choice).train(), Supernet(table, seed=1)
        given = start_from(supernet, network)
        chosen = [options[index] for options, index in zip(table.options, given, strict=True)]
        large = tuple(larger(option, options) for option, options in zip(chosen, table.options, strict=True))
        assert table.macs(large) > table.macs(given)
        with torch.no_grad():
            expected = network(x)
            torch.testing.assert_close(supernet.forward_choice(x, large), expected, rtol=1e-4, atol=1e-4)


def test_what_is_new_can_learn() -> None:
    """Zeros stand on one side of every new product only, so that gradients reach it."""
    table = GateTable(get_space("tiny", 8, 10))
    smallest = tuple(next(i for i, o in enumerate(options) if o is not None) for options in table.options)
    supernet = Supernet(table, seed=1)
    start_from(supernet, trained(table, smallest))
    largest = tuple(len(options) - 1 for options in table.options)
    supernet.forward_choice(images(table), largest).square().sum().backward()
    block = supernet.super_blocks()[1]
    small = block.widths["expand"].start
    gradient = block.block.project.conv.weight.grad
    kernel = block.block.depthwise.conv.weight.grad
    assert block.block.light_nl is not None
    scale = block.block.light_nl.norm.weight.grad
    for found in (gradient[:, small:], kernel[:small] * (1 - block.core), scale):  # type: ignore[index]
        assert found is not None
        assert found.abs().max() > 0


def test_of_two_ways_to_skip_the_one_that_keeps_the_first_layers_is_taken() -> None:
    table = GateTable(get_space("mobile-32", 32, 10))
    smallest = tuple(0 for _ in table.options)  # at positions 2 and 3, layers that are skipped
    assert table.options[2][0] is table.options[3][0] is None
    kept_last = (*smallest[:3], 1, *smallest[4:])
    found = choice_of(table, table.arch(kept_last))
    assert table.arch(found) == table.arch(kept_last)
    assert (found[2], found[3]) == (1, 0)


@pytest.mark.parametrize("changes", [{"num_classes": 11}, {"head_channels": 64}, {"padding": "same"}])
def test_a_network_of_another_space_is_refused_and_named(changes: dict[str, object]) -> None:
    table = GateTable(get_space("tiny", 8, 10))
    arch = replace(table.space.largest(), **changes)  # type: ignore[arg-type]  # each is of its field's type
    with pytest.raises(SpaceError, match=f"the network {arch.arch_id}, of .* is none of the space 'tiny' with 10"):
        start_from(Supernet(table, seed=0), build_network(arch))


def test_autonl_s_of_the_port_starts_the_space_of_its_paper(tmp_path: Path) -> None:
    """Its weights were trained with LightNL divided by the aspect of the map, those of the space are by positions."""
    torch.save(port_state("autonl_s"), tmp_path / "autonl_s.pt")
    network = load_weights(tmp_path / "autonl_s.pt", ZOO["autonl_s"].arch)
    table = GateTable(get_space("mobile-224", 224, 1000))
    supernet = Supernet(table, seed=0)
    given = start_from(supernet, network)
    chosen = [options[index] for options, index in zip(table.options, given, strict=True)]
    large = tuple(larger(option, options) for option, options in zip(chosen, table.options, strict=True))
    expected = port_logits("autonl_s")
    for choice in (given, large):
        with torch.no_grad():
            logits = supernet.derive(choice).eval()(port_images(2, 224)).double()
        assert (logits - expected).abs().max() <= 1e-4 * expected.abs().max()


def test_a_division_by_the_aspect_becomes_one_by_positions_at_any_resolution() -> None:
    light_nl = LightNLSpec(0.25, 1, "aspect")
    arch = get_space("tiny", 8, 10).largest()
    arch = replace(arch, blocks=tuple(replace(b, light_nl=b.light_nl and light_nl) for b in arch.blocks))
    network = lively(arch)
    for size in (8, 11):
        x = torch.randn(4, 3, size, size)
        other = as_in_space(network, get_space("tiny", size, 10))
        assert other.arch.resolution == size
        assert {b.light_nl.divisor for b in other.arch.blocks if b.light_nl} == {"positions"}
        torch.testing.assert_close(other(x), network(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("size", [64, 96, 160])
def test_a_network_trained_on_larger_images_starts_the_space_of_smaller_ones(size: int) -> None:
    """At 64 pixels the last maps have 2 x 2 positions: the rim of a 5x5 kernel meets padding alone, and is cut off."""
    network = lively(adapt(ZOO["efficientnet_lite0"].arch, resolution=128, num_classes=7))
    space = get_space("lite", size, 7)
    other = as_in_space(network, space)
    kernels = [
        (given.kernel_size, ours.kernel_size)
        for given, ours in zip(network.arch.blocks, other.arch.blocks, strict=True)
    ]
    assert [pair for pair in kernels if pair[0] != pair[1]] == ([(5, 3)] * 3 if size == 64 else [])
    x = torch.randn(2, 3, size, size)
    torch.testing.assert_close(other(x), network(x), rtol=1e-4, atol=1e-5)
    supernet = Supernet(GateTable(space), seed=0)
    derived = supernet.derive(start_from(supernet, network)).eval()
    torch.testing.assert_close(derived(x), other(x), rtol=0, atol=0)
