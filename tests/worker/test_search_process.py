"""The real search process with a real search, on the smallest space."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import time
import zipfile
from pathlib import Path

import pytest
from safetensors.torch import save_file

from autonl_core.datasets.scan import scan
from autonl_core.datasets.spec import DIGITS, DatasetSpec
from autonl_core.errors import BudgetError, DatasetError, VerificationError
from autonl_core.host.interpreter import module_command
from autonl_core.nn.checkpoint import load_checkpoint
from autonl_core.nn.weights import load_weights
from autonl_core.spec.builtin_weights import initial_weights
from autonl_core.spec.config import SearchConfig
from autonl_core.spec.device_search import with_device_table
from autonl_core.spec.macs import count_macs
from autonl_core.spec.recipe import settle
from autonl_core.spec.weight_set import EFFICIENTNET_LITE, WeightSetDetails
from store.models import Search
from store.settings import Settings
from store.states import ExitClass, SearchState
from store.stores import Stores
from tests.autonl_core.device_tables import made_up_table
from tests.autonl_core.few_clothes import few_clothes
from tests.store.sample_rows import register
from worker import weight_check_process
from worker.devices.device import CPU
from worker.exit_codes import ExitCode, crash_code, describe_crash
from worker.process import SEARCH_COMMAND
from worker.search_process import error_type
from worker.spare import Spare
from worker.supervisor import Supervisor

SPARE_READY_S = 15

SMALL = {
    "dataset": "digits",
    "flops_budget": "300k",
    "search_space": "tiny",
    "supernet": {"epochs": 1, "candidates": 2, "generations": 0, "finalists": 1, "finalist_epochs": 0},
    "train": {"epochs": 1, "warmup_epochs": 0},
    "export": {"formats": ["onnx"]},
}


@pytest.mark.long
def test_a_search_ends_with_its_files_in_the_store(stores: Stores) -> None:
    config = SearchConfig.model_validate(SMALL)
    search, _ = stores.searches.create(config, DIGITS)
    assert Supervisor(stores, "worker-1").run_until_idle() == 1
    search = stores.searches.get(search.id)
    assert search.state is SearchState.SUCCEEDED, stores.searches.attempts(search.id)[0].log_tail
    assert search.best_arch_id is not None
    assert stores.architectures.get(search.best_arch_id).macs <= config.flops_budget
    assert stores.supernets.get(search.id) is not None
    log = stores.searches.attempts(search.id)[0].log_tail or ""
    phases = [line.rpartition(" ")[2] for line in log.splitlines() if " worker.sink: phase " in line]
    assert phases == ["preparing", "searching", "deriving", "training", "evaluating", "exporting"]
    assert "training, epoch 1: loss " in log
    artifacts = {artifact.kind: artifact for artifact in stores.architectures.artifacts(search.id)}
    assert artifacts.keys() == {"safetensors", "onnx", "bundle", "report-html", "report-md"}
    contents: dict[str, bytes] = {}
    for kind, artifact in artifacts.items():
        with stores.artifacts.open(artifact.key) as file:
            contents[kind] = file.read()
        assert hashlib.sha256(contents[kind]).hexdigest() == artifact.sha256
    assert search.result is not None
    assert {kind: file["sha256"] for kind, file in search.result["files"].items()} == {
        kind: artifact.sha256 for kind, artifact in artifacts.items()
    }
    parity = search.result["parity"]
    assert parity["onnx"]["correct"] == search.result["test_correct"]
    assert {name for name in parity if parity[name]["sha256"].encode() in contents["report-html"]} == set(parity)
    with zipfile.ZipFile(io.BytesIO(contents["bundle"])) as bundle:
        (report,) = (name for name in bundle.namelist() if name.endswith("/report.html"))
        assert bundle.read(report) == contents["report-html"]


@pytest.mark.long
def test_a_search_of_a_later_version_is_left_to_its_workers(stores: Stores) -> None:
    search, _ = stores.searches.create(SearchConfig.model_validate(SMALL), DIGITS)
    with stores.database.session_scope() as session:
        session.get_one(Search, search.id).config = {**search.config, "taste": "sweet"}
    assert Supervisor(stores, "worker-1").run_until_idle() == 1  # it is not due again for a while
    search = stores.searches.get(search.id)
    assert (search.state, search.crash_streak) == (SearchState.QUEUED, 0)
    (attempt,) = stores.searches.attempts(search.id)
    assert attempt.detail == "another version stored settings that this one does not know: taste"


@pytest.mark.long
def test_a_search_goes_on_from_the_supernet_of_another(stores: Stores) -> None:
    parent, _ = stores.searches.create(SearchConfig.model_validate(SMALL), DIGITS)
    assert Supervisor(stores, "worker-1").run_until_idle() == 1
    asked = SearchConfig.model_validate({**SMALL, "flops_budget": "250k", "init": f"search:{parent.id}"})
    config = settle(asked, DIGITS, stores.weight_sets.ready(), stores.supernets.parent)
    successor, _ = stores.searches.create(config, DIGITS)
    assert Supervisor(stores, "worker-1").run_until_idle() == 1
    successor = stores.searches.get(successor.id)
    assert successor.state is SearchState.SUCCEEDED, stores.searches.attempts(successor.id)[0].log_tail
    assert successor.result is not None
    assert successor.result["parent"] == parent.id
    assert 0.97 * 250_000 <= successor.result["architecture"]["macs"] <= 250_000
    assert stores.supernets.get(successor.id) is not None  # and others can go on from it


@pytest.mark.long
@pytest.mark.timeout(400)  # two searches with their bundles
def test_a_search_within_a_latency_finds_the_network_of_one_without_a_service(stores: Stores, tmp_path: Path) -> None:
    table = made_up_table("tiny", 8)
    limits: dict[str, object] = {"constraints": {"latency_ms": 0.17, "device": "pixel"}}
    asked = with_device_table(SearchConfig.model_validate(SMALL | limits), DIGITS, table)
    search, _ = stores.searches.create(settle(asked, DIGITS, stores.weight_sets.ready()), DIGITS)
    assert Supervisor(stores, "worker-1").run_until_idle() == 1
    search = stores.searches.get(search.id)
    assert search.result is not None, stores.searches.attempts(search.id)[0].log_tail
    check = search.result["latency_check"]
    assert check["predicted_ms"] <= 0.17
    assert (check["device_table_sha256"], check["measured_ms"]) == (table.sha256, None)

    (tmp_path / "table.json").write_text(table.to_text())
    (tmp_path / "search.json").write_text(json.dumps(SMALL | limits))
    given = ["--config", str(tmp_path / "search.json"), "--device-table", str(tmp_path / "table.json")]
    command = module_command("autonl_core", "search", *given, "--threads", "1", "--out", str(tmp_path / "out"))
    subprocess.run(command, check=True, timeout=300)
    local = json.loads((tmp_path / "out" / "result.json").read_text())
    for name in ("weights_sha256", "checkpoint_sha256", "latency_check"):
        assert search.result[name] == local[name]


@pytest.mark.long
def test_several_budgets_end_in_a_bundle_for_each(stores: Stores) -> None:
    asked = SearchConfig.model_validate({**SMALL, "flops_budgets": ["300k", "250k", "200k"]})
    search, _ = stores.searches.create(asked, DIGITS)
    assert Supervisor(stores, "worker-1").run_until_idle() == 3
    for found, budget_macs in zip(stores.searches.of_all_budgets(search), asked.flops_budgets, strict=True):
        assert found.state is SearchState.SUCCEEDED, stores.searches.attempts(found.id)[0].log_tail
        assert found.result is not None
        assert found.result["certificate"]["target_macs"] == budget_macs
        assert 0.97 * budget_macs <= found.result["architecture"]["macs"] <= budget_macs
        assert "bundle" in {artifact.kind for artifact in stores.architectures.artifacts(found.id)}


@pytest.mark.long
def test_a_search_whose_parent_lost_its_supernet_says_so(stores: Stores) -> None:
    search, _ = stores.searches.create(SearchConfig.model_validate(SMALL), DIGITS)
    with stores.database.session_scope() as session:
        orphan = session.get_one(Search, search.id)
        orphan.config = {**orphan.config, "parent": "deleted"}
    assert Supervisor(stores, "worker-1").run_until_idle() == 1
    search = stores.searches.get(search.id)
    assert search.error is not None
    assert search.error["type"] == "parent-error"
    assert "cannot go on from search deleted: the supernet of search deleted was deleted" in search.error["detail"]
    assert stores.searches.attempts(search.id)[0].exit_class is ExitClass.REFUSED


@pytest.mark.long
def test_a_process_that_waited_computes_and_writes_the_same_bytes(stores: Stores, settings: Settings) -> None:
    spare = Spare(SEARCH_COMMAND, settings)
    spare.renew()
    waiting = spare.pid
    assert waiting is not None
    config = SearchConfig.model_validate({**SMALL, "export": {"formats": ["onnx", "onnx-int8", "pt2"]}})
    try:
        time.sleep(SPARE_READY_S)  # all that it prepares is prepared
        searches = [stores.searches.create(config, DIGITS)[0].id for _ in range(2)]
        supervisor = Supervisor(stores, "worker-1", spare=spare)
        spare.renew = lambda rest_s=0.0, device=CPU: None  # type: ignore[method-assign]  # the second search starts its own process
        assert supervisor.run_until_idle() == 2
    finally:
        spare.end()
    found = []
    for search_id in searches:
        search = stores.searches.get(search_id)
        assert search.result is not None, stores.searches.attempts(search_id)[0].log_tail
        files = {kind: search.result["files"][kind]["sha256"] for kind in ("onnx", "onnx-int8", "pt2")}
        found.append({"weights": search.result["weights_sha256"], **files})
    assert found[0] == found[1]


@pytest.mark.long
def test_what_the_user_has_to_fix_is_not_retried(stores: Stores, tmp_path: Path) -> None:
    moved = DatasetSpec.from_json(DIGITS.to_json() | {"kind": "folder", "location": str(tmp_path / "moved")})
    search, _ = stores.searches.create(SearchConfig.model_validate(SMALL), moved)
    assert Supervisor(stores, "worker-1").run_until_idle() == 1
    search = stores.searches.get(search.id)
    assert search.state is SearchState.FAILED
    assert search.error is not None
    assert search.error["type"] == "dataset-error"
    assert str(tmp_path / "moved") in search.error["detail"]
    assert stores.searches.attempts(search.id)[0].exit_class is ExitClass.REFUSED


def upload_lite0(stores: Stores, tmp_path: Path) -> None:
    """The built-in weights of EfficientNet-Lite0 as tensors alone, uploaded as the weight set `mine` and checked."""
    built_in = initial_weights("efficientnet-lite0")
    assert built_in is not None
    tensors = load_weights(built_in.path, built_in.weights.arch).state_dict()
    save_file({name: value.contiguous() for name, value in tensors.items()}, tmp_path / "mine.safetensors")
    details = WeightSetDetails(network="efficientnet_lite0", normalisation=EFFICIENTNET_LITE)
    with stores.weight_sets.files.receive(None) as receiving:
        receiving.write((tmp_path / "mine.safetensors").read_bytes())
        stores.weight_sets.add_upload("mine", receiving, details)
    lease = stores.weight_checks.claim("checker")
    assert lease is not None
    weight_check_process.check(stores, lease)


@pytest.mark.long
def test_weights_whose_file_vanished_are_named_and_not_looked_for_again(
    stores: Stores, settings: Settings, tmp_path: Path
) -> None:
    upload_lite0(stores, tmp_path)
    asked = SearchConfig.model_validate({**SMALL, "search_space": "lite", "flops_budget": "28M", "init": "mine"})
    config = settle(asked, DIGITS, stores.weight_sets.ready())
    search, _ = stores.searches.create(config, DIGITS)
    for path in settings.weights_dir.glob("*.weights"):
        path.unlink()
    assert Supervisor(stores, "worker-1").run_until_idle() == 1
    search = stores.searches.get(search.id)
    assert search.state is SearchState.FAILED
    assert search.error is not None
    assert search.error["type"] == "weight-set-error"
    assert "the search starts from weights that are not there" in search.error["detail"]
    assert "'mine'" in search.error["detail"]
    assert stores.searches.attempts(search.id)[0].exit_class is ExitClass.REFUSED


@pytest.mark.long
@pytest.mark.timeout(400)
def test_a_search_from_uploaded_weights_ends_as_one_from_the_same_that_are_built_in(
    stores: Stores, tmp_path: Path
) -> None:
    upload_lite0(stores, tmp_path)
    photos = scan("clothes", few_clothes(tmp_path / "clothes.zip"))
    register(stores, photos)
    found = []
    for name in ("mine", "efficientnet-lite0"):
        fields = {**SMALL, "dataset": "clothes", "search_space": None, "flops_budget": "20M", "init": name}
        asked = SearchConfig.model_validate(fields | {"teacher": {"epochs": 1, "resolution": 64}})
        config = settle(asked, photos, stores.weight_sets.ready())
        search, _ = stores.searches.create(config, photos)
        assert Supervisor(stores, "worker-1").run_until_idle() == 1
        search = stores.searches.get(search.id)
        assert search.state is SearchState.SUCCEEDED, stores.searches.attempts(search.id)[0].log_tail
        assert search.result is not None
        assert search.result["parity"]["onnx"]["correct"] == search.result["test_correct"]
        with stores.artifacts.open(artifact_key(stores, search.id)) as file:
            (tmp_path / f"{name}.safetensors").write_bytes(file.read())
        loaded = load_checkpoint(tmp_path / f"{name}.safetensors")
        assert (loaded.mean, loaded.std) == (EFFICIENTNET_LITE.mean, EFFICIENTNET_LITE.std)
        assert 0.97 * config.flops_budget <= count_macs(loaded.arch).total <= config.flops_budget
        found.append(search.result["weights_sha256"])
    assert found[0] == found[1]


def artifact_key(stores: Stores, search_id: str) -> str:
    return next(a.key for a in stores.architectures.artifacts(search_id) if a.kind == "safetensors")


def test_errors_have_machine_readable_names() -> None:
    assert error_type(DatasetError("x")) == "dataset-error"
    assert error_type(BudgetError("x", feasible_macs=(1, 2))) == "budget-error"
    assert error_type(VerificationError("x")) == "verification-error"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (OSError(28, "No space left on device"), ExitCode.DISK_FULL),
        (RuntimeError("[enforce fail] unexpected pos 64 vs 0"), ExitCode.DISK_FULL),
        (MemoryError(), ExitCode.OUT_OF_MEMORY),
        (OSError(13, "Permission denied"), ExitCode.CRASHED),
        (ValueError("x"), ExitCode.CRASHED),
    ],
)
def test_every_unexpected_exception_has_an_exit_code(error: Exception, code: ExitCode) -> None:
    assert crash_code(error) is code


@pytest.mark.parametrize(
    ("returncode", "exit_class", "sentence"),
    [
        (-9, ExitClass.KILLED, "terminated by SIGKILL: last"),
        (-11, ExitClass.CRASHED, "terminated by SIGSEGV: last"),
        (-200, ExitClass.CRASHED, "terminated by signal 200: last"),
        (71, ExitClass.OUT_OF_MEMORY, "exited with code 71: last"),
        (73, ExitClass.DISK_FULL, "exited with code 73: last"),
        (1, ExitClass.CRASHED, "exited with code 1: last"),
    ],
)
def test_a_crash_is_described_in_a_sentence(returncode: int, exit_class: ExitClass, sentence: str) -> None:
    found, detail = describe_crash(returncode, "last")
    assert found is exit_class
    assert detail.endswith(sentence)


def test_of_a_log_that_ends_with_how_far_it_was_the_reason_is_quoted() -> None:
    log = "Traceback ...\nValueError: boom\n2026-11-27 10:00:00,123 INFO worker.sink: run state 3 saved\n"
    assert describe_crash(ExitCode.CRASHED, log)[1] == "the process exited with code 70: ValueError: boom"
    assert describe_crash(-9, log.splitlines()[-1])[1] == "the process was terminated by SIGKILL"
