"""A search that goes on from a finished one: at another budget, without training a teacher again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from autonl_core.datasets.scan import scan
from autonl_core.datasets.spec import DatasetSpec
from autonl_core.errors import Interrupted, ParentError
from autonl_core.run.kept_supernet import KeptSupernet
from autonl_core.search import run_search
from autonl_core.spec.builtin_weights import installed_weights
from autonl_core.spec.config import SearchConfig
from autonl_core.spec.parent_search import ParentSearch
from autonl_core.spec.progress import Silent
from autonl_core.spec.recipe import settle
from autonl_core.spec.result import SearchResult
from autonl_core.spec.several_budgets import for_budget
from tests.autonl_core.digit_archives import few_digits
from tests.autonl_core.few_clothes import few_clothes
from tests.autonl_core.small_searches import QUICK, SHORT_TRAINING, LeftBehind, Recorder, search

pytestmark = pytest.mark.long  # whole searches on photos


SMALL: dict[str, Any] = {
    "init": "efficientnet-lite0",
    "val_fraction": 0.25,
    "teacher": {"epochs": 1, "resolution": 64, "batch_size": 8},
    "supernet": {"epochs": 1, "batch_size": 8, "candidates": 2, "generations": 0, "finalists": 1},
    "train": {"epochs": 1, "batch_size": 8, "warmup_epochs": 0},
}
SUCCESSOR: dict[str, Any] = {name: SMALL[name] for name in ("supernet", "train")} | {"init": "search:parent"}


@pytest.fixture(scope="module")
def clothes(tmp_path_factory: pytest.TempPathFactory) -> DatasetSpec:
    """Eight training and two test photos of each of three classes."""
    return scan("clothes", few_clothes(tmp_path_factory.mktemp("clothes") / "clothes.zip"))


def left_behind(folder: Path, cache: Path, dataset: DatasetSpec, **fields: Any) -> LeftBehind:
    """A finished search with the id `parent`."""
    recorder = Recorder()
    result = search(folder, cache, dataset, recorder, **fields)
    config = settle(
        SearchConfig.model_validate({"dataset": dataset.name, **QUICK, **fields}), dataset, installed_weights()
    )
    (supernet,) = recorder.supernets
    teacher = result.init.teacher_resolution if result.init is not None else None
    return LeftBehind(ParentSearch("parent", config, dataset.fingerprint, teacher), supernet)


@pytest.fixture(scope="module")
def of_clothes(tmp_path_factory: pytest.TempPathFactory, cache: Path, clothes: DatasetSpec) -> LeftBehind:
    return left_behind(tmp_path_factory.mktemp("parent"), cache, clothes, **SMALL, flops_budget=28_000_000)


@pytest.fixture(scope="module")
def successor(
    tmp_path_factory: pytest.TempPathFactory, cache: Path, clothes: DatasetSpec, of_clothes: LeftBehind
) -> tuple[SearchResult, Recorder]:
    """A search at a smaller budget that went on from `of_clothes` without interruption."""
    recorder, folder = Recorder(), tmp_path_factory.mktemp("successor")
    return search(folder, cache, clothes, recorder, parent=of_clothes, flops_budget=26_000_000, **SUCCESSOR), recorder


def test_the_teacher_is_the_one_of_before_and_only_resolutions_are_tried(
    successor: tuple[SearchResult, Recorder], of_clothes: LeftBehind
) -> None:
    result, recorder = successor
    kinds = [kind for kind, _ in recorder.events]
    assert "teacher_adapted" not in kinds
    assert kinds.count("resolution_tried") > 1
    before = KeptSupernet.load(of_clothes.supernet).teacher
    after = KeptSupernet.load(recorder.supernets[0]).teacher
    assert before is not None
    assert after is not None
    assert before.arch == after.arch
    assert all(torch.equal(before.weights[name], after.weights[name]) for name in before.weights)
    assert result.init is not None
    assert result.init.teacher_val_top1_pct == before.val_top1_pct


def test_the_result_names_its_parent_and_keeps_its_own_budget(successor: tuple[SearchResult, Recorder]) -> None:
    result, _ = successor
    assert result.parent == "parent"
    assert 0.97 * 26_000_000 <= result.architecture.macs <= 26_000_000
    assert result.exact


@pytest.mark.long
def test_stopped_while_it_tries_resolutions_it_ends_as_if_it_had_not_been(
    successor: tuple[SearchResult, Recorder], tmp_path: Path, cache: Path, clothes: DatasetSpec, of_clothes: LeftBehind
) -> None:
    fields: dict[str, Any] = {"parent": of_clothes, "flops_budget": 26_000_000, **SUCCESSOR}
    stopped = Recorder(1, "drain", "adapting")
    with pytest.raises(Interrupted, match="drain"):
        search(tmp_path / "first", cache, clothes, stopped, **fields)
    result = search(tmp_path / "last", cache, clothes, resume_from=stopped.states, **fields)
    assert result.weights_sha256 == successor[0].weights_sha256


def test_from_a_search_at_random_the_supernet_goes_on_where_it_was(tmp_path: Path, cache: Path) -> None:
    """At a rate of next to nothing, what the first search shared is what the second one shares."""
    digits = few_digits()
    parent = left_behind(tmp_path / "parent", cache, digits, train={"epochs": 1, "warmup_epochs": 0})
    still = {**QUICK["supernet"], "epochs": 1, "lr": 1e-12}
    recorder = Recorder()
    fields: dict[str, Any] = {"supernet": still, "train": {"epochs": 1, "warmup_epochs": 0}, "init": "search:parent"}
    search(tmp_path / "successor", cache, digits, recorder, parent=parent, flops_budget=300_000, **fields)
    before = KeptSupernet.load(parent.supernet)
    after = KeptSupernet.load(recorder.supernets[0])
    assert before.teacher is after.teacher is None
    for name, value in before.weights.items():
        torch.testing.assert_close(after.weights[name], value, rtol=1e-5, atol=1e-6)


def test_without_an_epoch_of_its_own_it_derives_from_what_was_learned_bit_for_bit(tmp_path: Path, cache: Path) -> None:
    """As the searches for further budgets do; stopped in the final, such a search ends the same too."""
    digits = few_digits()
    searched = {**QUICK["supernet"], "batch_size": 8}  # steps enough for gates to differ
    asked: dict[str, Any] = {"flops_budgets": [400_000, 300_000], "supernet": searched, "train": SHORT_TRAINING}
    parent = left_behind(tmp_path / "parent", cache, digits, **asked)
    other = for_budget(parent.search.config, "parent", 300_000)
    fields = {**other.to_json(), "keep_supernet": True, "init": "search:parent"}
    fields = {name: value for name, value in fields.items() if name not in ("dataset", "parent")}  # said otherwise
    recorder = Recorder()
    whole = search(tmp_path / "whole", cache, digits, recorder, parent=parent, **fields)
    assert 0.97 * 300_000 <= whole.architecture.macs <= 300_000
    before, after = KeptSupernet.load(parent.supernet), KeptSupernet.load(recorder.supernets[0])
    assert before.gates == after.gates
    assert len(set(before.gates.values())) > 2
    assert all(torch.equal(after.weights[name], value) for name, value in before.weights.items())
    assert not [point for point in recorder.points if point[0] == "searching"]
    stopped = Recorder(2, "drain", "deriving")
    with pytest.raises(Interrupted, match="drain"):
        search(tmp_path / "first", cache, digits, stopped, parent=parent, **fields)
    result = search(tmp_path / "last", cache, digits, parent=parent, resume_from=stopped.states, **fields)
    assert result.weights_sha256 == whole.weights_sha256
    assert result.networks == whole.networks


@pytest.mark.parametrize(
    ("fields", "kept", "reported"),
    [
        ({"keep_supernet": False}, 0, 0),
        ({"supernet_limit_bytes": 1_000, "flops_budgets": [400_000, 300_000]}, 1, 0),
        ({"supernet_limit_bytes": 1_000}, 0, 1),
        ({"supernet_limit_bytes": 1_000, "keep_supernet": True}, 1, 0),
    ],
    ids=["not wanted", "other budgets need it", "too large", "wanted although it is large"],
)
def test_a_supernet_is_kept_if_it_is_wanted_or_small(
    fields: dict[str, Any], kept: int, reported: int, tmp_path: Path, cache: Path
) -> None:
    recorder = Recorder(1, "drain", "deriving")
    with pytest.raises(Interrupted, match="drain"):
        search(tmp_path, cache, few_digits(), recorder, **fields)
    assert len(recorder.supernets) == kept
    details = [detail for kind, detail in recorder.events if kind == "supernet_not_kept"]
    assert len(details) == reported
    assert all(detail["size_bytes"] > detail["limit_bytes"] == 1_000 for detail in details)


def test_without_the_file_of_its_parent_a_search_does_not_begin(tmp_path: Path) -> None:
    digits = few_digits()
    config = SearchConfig.model_validate({"dataset": digits.name, **QUICK, "parent": "gone"})
    with pytest.raises(ParentError, match="goes on from search 'gone', whose supernet is not here"):
        run_search(config, digits, tmp_path, sink=Silent(), stop=Silent())
