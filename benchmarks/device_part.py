"""What the parts of `cuda_path` are given, and what they give back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Setting:
    """Where a part runs, and a folder that all parts share."""

    device: str  # "cuda" or "cpu"
    folder: Path

    @property
    def small(self) -> bool:
        """Whether to measure little: a CPU only shows that the part itself works."""
        return self.device == "cpu"


@dataclass(frozen=True)
class Found:
    """What a part measured, as JSON, and what is wrong."""

    facts: Mapping[str, object]
    problems: tuple[str, ...] = ()


Part = Callable[[Setting], Found]
