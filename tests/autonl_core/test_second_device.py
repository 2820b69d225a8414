"""A search on a device whose tensors refuse to meet the CPU's, as those of a GPU do: see `second_device.py`."""

from __future__ import annotations

import functools
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.autonl_core.small_searches import QUICK

ROOT = Path(__file__).parents[2]
NAME = "second"  # of the device; its module would make it one of this process
READS_PER_STEP = 0.1
ASKED: dict[str, Any] = {  # 18 steps in an epoch of the search, 20 in one of the training
    "supernet": {**QUICK["supernet"], "batch_size": 16},
    "train": {**QUICK["train"], "batch_size": 16, "epochs": 2},
    "augment": {"policy": "trivialaugment", "color_jitter": 0.2, "erase": 0.2},
}


def answer_of(module: str, *arguments: str) -> dict[str, Any]:
    """What a process of `tests.autonl_core.MODULE` prints."""
    command = [sys.executable, "-m", f"tests.autonl_core.{module}", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@functools.cache
def searched(part: str, algorithm: str, **arguments: Any) -> dict[str, Any]:
    asked = {"algorithm": algorithm, **ASKED, **arguments}
    return answer_of("second_device_searches", part, json.dumps(asked))


@pytest.mark.long
def test_steps_there_are_those_of_the_cpu_and_are_read_every_few_of_them() -> None:
    """One of the steps is lost, which changes nothing but the count, on either."""
    found = answer_of("second_device_steps")
    assert all("expected all tensors to be on the same device" in said for said in found["mixed"].values())
    assert found["allowed"] == [6.0, 3.0]  # scalars and copies
    assert "found at least two, second:0 and cpu" in found["planted"]
    there, here = found["there"], found["here"]
    assert (there["device"], here["device"]) == (f"{NAME}:0", "cpu")
    assert there["images"] == here["images"] == 9 * 16
    assert there["averaged_steps"] == here["averaged_steps"] == 9
    assert there["loss"] == pytest.approx(here["loss"], rel=1e-5)
    assert there["average"] == pytest.approx(here["average"], rel=1e-4, abs=1e-6)
    assert 0 < there["reads"] <= READS_PER_STEP * there["steps"], there["by_line"]


@pytest.mark.long
@pytest.mark.parametrize("algorithm", ["autonl", "autonl-paper"])
class TestSearch:
    def test_a_whole_search_ends_with_a_report_and_is_read_every_few_steps(self, algorithm: str) -> None:
        there = searched("whole", algorithm, device=NAME, report=True)
        assert there["device"] == "second device"
        assert there["phases"] == ["preparing", "searching", "deriving", "training", "evaluating", "exporting"]
        assert there["left"]["evaluating"] > 0
        assert there["left"]["exporting"] == 0  # another search may use the device meanwhile
        assert there["macs"] <= QUICK["flops_budget"]
        assert {"report-html", "report-md"} <= set(there["files"])
        assert 0 < there["reads"] <= READS_PER_STEP * there["steps"], there["by_line"]

    def test_it_learns_as_on_the_cpu(self, algorithm: str) -> None:
        there, here = (searched("whole", algorithm, device=device, report=True) for device in (NAME, "cpu"))
        assert there["losses"][0] == pytest.approx(here["losses"][0], rel=0.01)
        assert there["losses"] == pytest.approx(here["losses"], rel=0.1)
        assert there["top1_pct"] == pytest.approx(here["top1_pct"], abs=15)  # 12 of 80 images

    @pytest.mark.parametrize(("stop_at", "request_name"), [(13, "cancel"), (30, "drain"), (60, "pause")])
    def test_one_that_was_stopped_goes_on_to_the_same_weights(
        self, algorithm: str, stop_at: int, request_name: str
    ) -> None:
        found = searched("interrupted", algorithm, stop_at=stop_at, request=request_name)
        assert found["reason"] == request_name
        assert found["kept"] == ([] if request_name == "drain" else [True])
        assert found["devices"] == ["cpu"]  # a run state is read anywhere
        assert found["weights"] == searched("whole", algorithm, device=NAME, report=True)["weights"]


@pytest.mark.long
@pytest.mark.parametrize("what", ["labels", "tables of gates", "masks of kernels"])
def test_a_tensor_left_on_the_cpu_fails_the_search(what: str) -> None:
    said = searched("planted", "autonl-paper", what=what)["said"]
    assert "found at least two, second:0 and cpu" in said
