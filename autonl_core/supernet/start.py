"""Any network of a space as the start of its supernet: the inverse of `Supernet.derive`.

What the network computes stays what it is. Whatever the supernet has beyond it adds nothing at first: further expanded
channels are projected by zeros, a smaller kernel lies in a ring of zeros, a LightNL that the network does not have
starts with a scale of zero, and so does the projection of a layer that it does not have.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import torch
from torch import nn

from autonl_core.errors import SpaceError
from autonl_core.nn.blocks.conv import SqueezeExcite
from autonl_core.nn.blocks.mbconv import MBConv
from autonl_core.nn.network import Network, build_network
from autonl_core.spec.arch import ArchSpec, BlockSpec
from autonl_core.spec.macs import out_size
from autonl_core.spec.published_net import adapt
from autonl_core.spec.search_space import SearchSpace
from autonl_core.spec.weight_spaces import divided_by_positions
from autonl_core.supernet.gates import GateTable
from autonl_core.supernet.option_costs import Choice
from autonl_core.supernet.super_block import SuperBlock, copy_norm
from autonl_core.supernet.supernet import Supernet


def started_supernet(table: GateTable, network: Network, seed: int) -> Supernet:
    """A supernet that computes what `network` does; `seed` draws the weights that belong to nothing in it."""
    supernet = Supernet(table, seed=seed)
    start_from(supernet, network)
    return supernet


@torch.no_grad()
def start_from(supernet: Supernet, network: Network) -> Choice:
    """Give `supernet` the weights of `network`, and return the choice that derives it again, bit for bit.

    The resolution of `network` may be another one. Weights that belong to nothing in it stay as they were, but for
    those that have to be zero.

    Raises:
        SpaceError: it is no network of the supernet's space.
    """
    network = as_in_space(network, supernet.table.space)
    choice = choice_of(supernet.table, network.arch)
    supernet.stem.load_state_dict(network.stem.state_dict())
    supernet.head.load_state_dict(network.head.state_dict())
    supernet.classifier.load_state_dict(network.classifier.state_dict())
    sources = iter(network.blocks)
    for block, options, index in zip(supernet.super_blocks(), supernet.table.options, choice, strict=True):
        option = options[index]
        if option is None:
            _silence(block.block.project.norm)
        else:
            source = next(sources)
            assert isinstance(source, MBConv)
            _fill(block, option, source)
    return choice


def choice_of(table: GateTable, arch: ArchSpec) -> Choice:
    """The choice that builds `arch`; of several that skip different layers, the one that keeps the first ones.

    Raises:
        SpaceError: no choice does.
    """
    space, count = table.space, len(arch.blocks)
    indices = [{option: index for index, option in enumerate(options)} for options in table.options]

    @cache
    def rest(position: int, taken: int) -> Choice | None:
        """Choices from `position` on that build the blocks after the first `taken`."""
        if position == len(indices):
            return () if taken == count else None
        kept = indices[position].get(arch.blocks[taken]) if taken < count else None
        skipped = indices[position].get(None)
        for index, following in ((kept, taken + 1), (skipped, taken)):
            after = None if index is None else rest(position + 1, following)
            if index is not None and after is not None:
                return (index, *after)
        return None

    found = rest(0, 0) if space.contains(adapt(arch, resolution=space.resolution)) else None
    if found is None:
        raise SpaceError(
            f"the network {arch.arch_id}, of {count} blocks and {arch.num_classes} classes, is none of the space "
            f"{space.name!r} with {space.num_classes} classes; choose another space, or weights made for this one"
        )
    return found


def as_in_space(network: Network, space: SearchSpace) -> Network:
    """The same network at the resolution of `space`, written as a network of the space is; logits are the same.

    Every LightNL is divided by positions. Weights of the PyTorch port are divided by the aspect of the map instead;
    the depthwise convolution that follows is linear, so its kernel takes up the difference, the square of the map's
    width. Where maps are so small that the rim of a kernel meets nothing but padding, the kernel loses its rim.
    """
    arch = adapt(divided_by_positions(network.arch), resolution=space.resolution)
    state, size, blocks = dict(network.state_dict()), out_size(space.resolution, arch.stem_stride), []
    for index, (block, given) in enumerate(zip(arch.blocks, network.arch.blocks, strict=True)):
        useful = max(2 * size - 1, min(space.kernel_sizes))
        size = out_size(size, block.stride)
        if given.light_nl is not None and given.light_nl.divisor == "aspect":
            name = f"blocks.{index}.light_nl.depthwise.weight"
            state[name] = state[name] * size**2
        kernel = max(k for k in space.kernel_sizes if k <= useful)
        if block.kernel_size > kernel:
            name, margin = f"blocks.{index}.depthwise.conv.weight", (block.kernel_size - kernel) // 2
            state[name] = state[name][:, :, margin:-margin, margin:-margin]
        blocks.append(replace(block, kernel_size=min(kernel, block.kernel_size)))
    other = build_network(replace(arch, blocks=tuple(blocks))).train(network.training)
    other.load_state_dict(state)
    return other.to(network.classifier.weight.device)


def _fill(target: SuperBlock, option: BlockSpec, source: MBConv) -> None:
    """Copy the block `source` to where `option` lies in `target`; the counterpart of `copy_option`."""
    block, expanded = target.block, option.expanded_channels
    if block.expand is not None and source.expand is not None:
        block.expand.conv.weight[:expanded] = source.expand.conv.weight
        copy_norm(source.expand.norm, block.expand.norm)
    kernel = block.depthwise.conv.weight[:expanded]
    kernel.zero_()
    target.crop_kernel(kernel, option.kernel_size).copy_(source.depthwise.conv.weight)
    copy_norm(source.depthwise.norm, block.depthwise.norm)
    if block.squeeze_excite is not None and source.squeeze_excite is not None:
        _fill_squeeze_excite(block.squeeze_excite, source.squeeze_excite)
    block.project.conv.weight.zero_()
    block.project.conv.weight[:, :expanded] = source.project.conv.weight
    copy_norm(source.project.norm, block.project.norm)
    if block.light_nl is None:
        return
    if source.light_nl is None:
        _silence(block.light_nl.norm)
    else:
        block.light_nl.depthwise.weight.copy_(source.light_nl.depthwise.weight)
        copy_norm(source.light_nl.norm, block.light_nl.norm)


def _fill_squeeze_excite(target: SqueezeExcite, source: SqueezeExcite) -> None:
    """What is squeezed comes from the channels of `source` alone."""
    channels = source.expand.out_channels
    target.reduce.weight.zero_()
    target.reduce.weight[:, :channels] = source.reduce.weight
    target.expand.weight[:channels] = source.expand.weight
    for mine, given in ((target.reduce.bias, source.reduce.bias), (target.expand.bias, source.expand.bias)):
        assert mine is not None
        assert given is not None
        mine[: len(given)] = given


def _silence(norm: nn.BatchNorm2d) -> None:
    """Let a branch add nothing until it has learned to."""
    norm.weight.zero_()
    norm.bias.zero_()
