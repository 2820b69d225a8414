"""Search spaces as data: a skeleton of stages, and the choices of every block in it.

A space is a stem, stages of (out_channels, max_blocks, stride, se_ratio) and a head. Per MBConv the search decides
kernel size, expansion, whether a residual layer is there at all (skip), and LightNL: off, or a channel ratio and a
stride. All choices are nested, small inside large, which is what lets one set of supernet weights serve them all.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from autonl_core.spec.arch import Activation, ArchSpec, BlockSpec, LightNLSpec, Padding
from autonl_core.spec.macs import block_macs, count_macs, head_macs, out_size, stem_macs

Option = BlockSpec | None  # None: the layer is skipped


@dataclass(frozen=True)
class StageSpec:
    """Up to `max_blocks` blocks of one width; the first has the stride and cannot be skipped.

    `se_ratio` is that of the first block and of the others. A `fixed` stage offers no choice: expansion 1, kernel 3.
    """

    out_channels: int
    max_blocks: int
    stride: int
    se_ratio: tuple[float, float] = (0.0, 0.0)
    fixed: bool = False


@dataclass(frozen=True)
class BlockChoices:
    """What one position of the supernet may become. Tuples are ordered small to large; one entry means no choice."""

    in_channels: int
    out_channels: int
    stride: int
    se_ratio: float
    kernel_sizes: tuple[int, ...]
    expand_ratios: tuple[int, ...]
    can_skip: bool
    nl_ratios: tuple[float, ...]  # empty: LightNL is not offered here
    nl_strides: tuple[int, ...]  # large to small: a smaller stride is the larger network
    activation: Activation = "swish"

    def options(self) -> list[Option]:
        """Every concrete block, the smallest kernel and expansion without LightNL first; skip, if offered, before."""
        light_nls: list[LightNLSpec | None] = [None]
        light_nls += [LightNLSpec(r, s) for r, s in itertools.product(self.nl_ratios, self.nl_strides)]
        blocks: list[Option] = [None] if self.can_skip else []
        for expand, kernel, light_nl in itertools.product(self.expand_ratios, self.kernel_sizes, light_nls):
            shape = self.in_channels, self.out_channels, self.stride, kernel, expand
            blocks.append(BlockSpec(*shape, self.se_ratio, light_nl, activation=self.activation))
        return blocks


@dataclass(frozen=True)
class SearchSpace:
    """A skeleton bound to an input resolution and a class count: everything the supernet and the counters need."""

    name: str
    resolution: int
    num_classes: int
    stem_channels: int
    stem_stride: int
    stages: tuple[StageSpec, ...]
    head_channels: int
    kernel_sizes: tuple[int, ...] = (3, 5)
    expand_ratios: tuple[int, ...] = (3, 6)
    nl_ratios: tuple[float, ...] = (0.125, 0.25)
    nl_strides: tuple[int, ...] = (2, 1)
    padding: Padding = "symmetric"
    activation: Activation = "swish"

    @cached_property
    def blocks(self) -> tuple[BlockChoices, ...]:
        """The positions of the supernet, first to last."""
        return tuple(self._positions())

    @cached_property
    def sizes(self) -> tuple[int, ...]:
        """Input size in pixels of every position, then of the head."""
        sizes = [out_size(self.resolution, self.stem_stride)]
        for choices in self.blocks:
            sizes.append(out_size(sizes[-1], choices.stride))
        return tuple(sizes)

    @cached_property
    def fixed_macs(self) -> int:
        """MACs of stem and head, which are in every network of the space."""
        head = head_macs(self.stages[-1].out_channels, self.head_channels, self.num_classes, self.sizes[-1])
        return stem_macs(self.stem_channels, self.stem_stride, self.resolution).total + head.total

    def option_macs(self, position: int, option: Option) -> int:
        """MACs that `option` costs at `position`."""
        return 0 if option is None else block_macs(option, self.sizes[position]).total

    def build(self, options: list[Option]) -> ArchSpec:
        """The architecture with one option per position, skipped layers left out."""
        return ArchSpec(
            resolution=self.resolution,
            num_classes=self.num_classes,
            stem_channels=self.stem_channels,
            stem_stride=self.stem_stride,
            blocks=tuple(option for option in options if option is not None),
            head_channels=self.head_channels,
            padding=self.padding,
            activation=self.activation,
        )

    def smallest_options(self) -> list[Option]:
        """Those with the fewest MACs, which also have the fewest weights and the smallest maps."""
        return [min(c.options(), key=lambda o: self.option_macs(i, o)) for i, c in enumerate(self.blocks)]

    def smallest(self) -> ArchSpec:
        return self.build(self.smallest_options())

    def largest(self) -> ArchSpec:
        return self.build([max(c.options(), key=lambda o: self.option_macs(i, o)) for i, c in enumerate(self.blocks)])

    def macs_range(self) -> tuple[int, int]:
        """MACs of the smallest and of the largest network."""
        return self._macs_range

    @cached_property
    def _macs_range(self) -> tuple[int, int]:
        return count_macs(self.smallest()).total, count_macs(self.largest()).total

    def sample(self, rng: random.Random) -> ArchSpec:
        """A network with every option of every position equally likely."""
        return self.build([rng.choice(choices.options()) for choices in self.blocks])

    def contains(self, arch: ArchSpec) -> bool:
        """Whether some choice of options builds `arch`."""
        ours = (self.resolution, self.num_classes, self.stem_channels, self.stem_stride, self.head_channels)
        given = (arch.resolution, arch.num_classes, arch.stem_channels, arch.stem_stride, arch.head_channels)
        alike = ours == given and (self.padding, self.activation) == (arch.padding, arch.activation)
        reached = {0}  # how many of its blocks the positions so far can have built; skips leave several possibilities
        for choices in self.blocks:
            options = set(choices.options())
            taken = {count + 1 for count in reached if count < len(arch.blocks) and arch.blocks[count] in options}
            reached = taken | reached if choices.can_skip else taken
        return alike and len(arch.blocks) in reached

    def _positions(self) -> Iterator[BlockChoices]:
        channels, size = self.stem_channels, out_size(self.resolution, self.stem_stride)
        for stage in self.stages:
            for index in range(stage.max_blocks):
                first = index == 0
                kernels = [k for k in self.kernel_sizes if k <= max(2 * size - 1, self.kernel_sizes[0])]
                yield BlockChoices(
                    in_channels=channels,
                    out_channels=stage.out_channels,
                    stride=stage.stride if first else 1,
                    se_ratio=stage.se_ratio[0 if first else 1],
                    # a kernel wider than 2 * size - 1 would multiply nothing but padding at its rim
                    kernel_sizes=(3,) if stage.fixed else tuple(kernels),
                    expand_ratios=(1,) if stage.fixed else self.expand_ratios,
                    can_skip=not first,
                    nl_ratios=() if stage.fixed else self.nl_ratios,
                    nl_strides=() if stage.fixed else self.nl_strides,
                    activation=self.activation,
                )
                channels, size = stage.out_channels, out_size(size, stage.stride if first else 1)
