"""What leaves the core: errors, progress and results, as others read them."""

from __future__ import annotations

import json
import re
import typing
from pathlib import Path

from autonl_core import errors
from autonl_core.errors import AutonlError, BudgetError, Interrupted
from autonl_core.spec import progress
from autonl_core.spec.arch_string import decode, encode
from autonl_core.spec.macs import count_macs, count_params
from autonl_core.spec.progress import ArchitectureRecord
from autonl_core.spec.result import ResultFile, SearchResult
from tests.autonl_core.sample_architectures import AUTONL_S


def test_the_tree_of_errors_is_drawn_as_it_is() -> None:
    lines = re.findall(r"^([│ ]*)[├└]── (\w+)", errors.__doc__ or "", re.MULTILINE)
    assert [name for indent, name in lines if not indent] == [kind.__name__ for kind in AutonlError.__subclasses__()]
    below = [name for indent, name in lines if indent]
    assert below == [kind.__name__ for parent in AutonlError.__subclasses__() for kind in parent.__subclasses__()]


def test_errors_carry_what_a_program_needs_beside_the_message() -> None:
    assert BudgetError("too small", feasible_macs=(1, 2)).feasible_macs == (1, 2)
    stopped = Interrupted("drain")
    assert (stopped.reason, str(stopped)) == ("drain", "stopped on request: drain")


def test_phases_are_listed_in_the_order_they_are_passed_through() -> None:
    assert typing.get_args(progress.Phase) == progress.PHASES
    assert progress.PHASES[0] == "preparing"


def test_a_result_is_plain_json_and_names_the_checkpoint_without_its_folder(tmp_path: Path) -> None:
    arch = decode(AUTONL_S)
    record = ArchitectureRecord(
        arch_id=arch.arch_id,
        arch=arch.to_json(),
        arch_string=encode(arch),
        macs=count_macs(arch).total,
        params=count_params(arch),
        test_top1_pct=76.5,
        trained=True,
    )
    result = SearchResult(
        architecture=record,
        flops_budget=270_000_000,
        slack_pct=1.16,
        test_correct=765,
        test_images=1000,
        checkpoint=tmp_path / "network.safetensors",
        checkpoint_sha256="a" * 64,
        weights_sha256="b" * 64,
        seconds_by_phase={"searching": 12.5},
        comparison={},
        stop_reason="converged",
        exact=True,
        notes=("the space is coarse here",),
        files={"safetensors": ResultFile(tmp_path / "network.safetensors", "a" * 64, 12)},
    )
    stored = json.loads(json.dumps(result.to_json()))
    assert stored == result.to_json()
    assert stored["checkpoint"] == "network.safetensors"
    assert stored["files"] == {"safetensors": {"name": "network.safetensors", "sha256": "a" * 64, "size_bytes": 12}}
    assert stored["architecture"]["arch"] == arch.to_json()
    assert str(tmp_path) not in json.dumps(stored)
