"""What the confined process of a dataset check is to do."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from autonl_core.datasets.limits import Limits
from autonl_core.datasets.spec import DuplicatesRule


@dataclass(frozen=True)
class CheckTask:
    """What to check; as the arguments of `check_dataset`."""

    name: str
    path: str
    work_dir: str
    saved_dir: str
    limits: Limits
    within: tuple[str, ...]
    layout: str
    duplicates: DuplicatesRule

    def to_line(self) -> bytes:
        return json.dumps(asdict(self)).encode() + b"\n"

    @staticmethod
    def from_line(line: bytes) -> CheckTask:
        data = json.loads(line)
        return CheckTask(**{**data, "limits": Limits(**data["limits"]), "within": tuple(data["within"])})
