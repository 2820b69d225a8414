"""Named search spaces, and the one that is made for a resolution.

A family is a skeleton and the resolutions it serves; bound to an input and a class count it is a `SearchSpace`. The
families are the files of `autonl_core/spec/spaces/`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from autonl_core.errors import SpaceError
from autonl_core.registry import Registry
from autonl_core.spec.arch import Activation, Padding
from autonl_core.spec.search_space import SearchSpace, StageSpec

# The published rule for squeeze-excite: a quarter in the first block of a late stage, half in the others.
LATE_STAGE_SE = (0.25, 0.5)


@dataclass(frozen=True)
class SpaceFamily:
    """A named skeleton, and the resolutions in pixels that it is made for.

    One that is `on_request` is never chosen by its resolution alone. `narrower_heads`: widths that a result
    from pretrained weights may have instead of `head_channels`, descending (`head_width.py`).
    """

    name: str
    summary: str
    resolutions: range
    stem_channels: int
    stem_stride: int
    head_channels: int
    stages: tuple[StageSpec, ...]
    expand_ratios: tuple[int, ...] = (3, 6)
    padding: Padding = "symmetric"
    activation: Activation = "swish"
    on_request: bool = False
    narrower_heads: tuple[int, ...] = ()

    def bind(self, resolution: int, num_classes: int, head_channels: int | None = None) -> SearchSpace:
        """The space for images of `resolution` pixels and `num_classes` classes.

        Args:
            head_channels: width of the head; None: that of the family.

        Raises:
            SpaceError: the family is not made for this resolution.
        """
        if resolution not in self.resolutions:
            raise SpaceError(f"search space {self.name!r} does not serve {resolution} pixels; {_served()}")
        return _bind(self, resolution, num_classes, head_channels or self.head_channels)

    def with_every_head(self, resolution: int, num_classes: int) -> list[SearchSpace]:
        """The same with each head that a result may have, the widest first. Raises SpaceError as `bind` does."""
        heads = (self.head_channels, *self.narrower_heads)
        return [self.bind(resolution, num_classes, head_channels) for head_channels in heads]


@lru_cache(maxsize=256)  # what it costs to count MACs over all options is then paid once
def _bind(family: SpaceFamily, resolution: int, num_classes: int, head_channels: int) -> SearchSpace:
    return SearchSpace(
        name=family.name,
        resolution=resolution,
        num_classes=num_classes,
        stem_channels=family.stem_channels,
        stem_stride=family.stem_stride,
        stages=family.stages,
        head_channels=head_channels,
        expand_ratios=family.expand_ratios,
        padding=family.padding,
        activation=family.activation,
    )


SPACES = Registry[SpaceFamily]("autonl_core.spec.spaces", "search space")


def space_families() -> tuple[SpaceFamily, ...]:
    """All families, those for the largest images first."""
    return tuple(sorted(SPACES.members(), key=lambda family: (-family.resolutions[0], family.name)))


def spaces_made_for(resolution: int) -> tuple[SpaceFamily, ...]:
    """The families that serve `resolution` without being asked for, the usual one first.

    Raises:
        SpaceError: there is none.
    """
    fitting = tuple(f for f in space_families() if resolution in f.resolutions and not f.on_request)
    if not fitting:
        raise SpaceError(f"no search space serves {resolution} pixels; {_served()}")
    return fitting


def get_space(name: str | None, resolution: int, num_classes: int) -> SearchSpace:
    """The named space, or the usual one for `resolution` when `name` is None, bound to this input.

    Raises:
        SpaceError: the name is unknown, or the space is not made for this resolution.
    """
    if name is None:
        return spaces_made_for(resolution)[0].bind(resolution, num_classes)
    return require_space(name).bind(resolution, num_classes)


def require_space(name: str) -> SpaceFamily:
    """The family of this name. Raises SpaceError if there is none."""
    if name not in SPACES.names():
        known = ", ".join(family.name for family in space_families())
        raise SpaceError(f"search space {name!r} is unknown; known are {known}")
    return SPACES.get(name)


def _served() -> str:
    spans = (f"{family.name}: {family.resolutions[0]} to {family.resolutions[-1]}" for family in space_families())
    return "pixels served: " + ", ".join(spans)
