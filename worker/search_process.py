"""The process of one attempt: `python -m worker.search_process SEARCH_ID FENCE`. Its parent is the supervisor.

It loads the search, runs it, stores its files and closes the search, every write under its fence. Started ahead, with
the seconds that it rests before as its only argument, it prepares for that, and then waits for its search. Its exit
code (`worker/exit_codes.py`) says what is left for the supervisor to record.
"""

from __future__ import annotations

import contextlib
import functools
import re
import sys
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path

from autonl_core.datasets.check_report import DatasetReport
from autonl_core.datasets.spec import DatasetSpec
from autonl_core.errors import (
    AutonlError,
    Interrupted,
    OtherVersion,
    ParentError,
    VerificationError,
    WeightSetError,
)
from autonl_core.files import sha256_of
from autonl_core.host.memory import keep_freed_memory
from autonl_core.host.wake_ups import wake_promptly
from autonl_core.run.host_options import HostOptions
from autonl_core.spec.config import NO_INIT, SearchConfig
from autonl_core.spec.progress import SavedState
from autonl_core.spec.result import ResultFile, SearchResult
from autonl_core.spec.weight_set import InitialWeights
from store.artifacts import ServedAs, StoredFile
from store.errors import ArtifactError, LeaseLost, NotFound
from store.leases import Lease
from store.models import RunState, Search
from store.states import ExitClass
from store.stores import Stores
from store.upload_folder import folder_of
from telemetry.ids import set_process_ids
from telemetry.traces import configure_tracing, span, stop_tracing
from worker.assignment import await_assignment
from worker.downloads import served_as_format
from worker.exit_codes import ExitCode, exit_code_of, exit_with
from worker.lifeline import Lifeline
from worker.process_context import process_context
from worker.retry import retry_while_unavailable
from worker.sink import RowSink
from worker.workspace import Workspace


def main(search_id: str, fence: int) -> ExitCode:
    """Run the attempt; the exit code says how it ended."""
    lease = Lease(search_id, fence)
    wake_promptly()
    with (
        process_context(lambda settings: settings.child_memory_bytes) as context,
        _observed(context.stores, lease),
    ):
        if not context.settings.child_memory_bytes:  # under a limit, hoarded blocks would be missing elsewhere
            keep_freed_memory()
        stores = context.stores
        try:
            result = _search(stores, lease, context.lifeline)
            _hand_over(stores, lease, result)
        except Interrupted as stopped:
            return exit_code_of(stopped.reason)
        except LeaseLost as lost:
            print(f"stopping: {lost}", file=sys.stderr)
            retry_while_unavailable(lambda: stores.events.stale_write(lease, "report"))
            return ExitCode.LEASE_LOST
        except OtherVersion as newer:
            print(newer, file=sys.stderr)
            return ExitCode.OTHER_VERSION
        except AutonlError as error:
            refusal = error  # bound again: Python unbinds `error` at the end of this block
            print(f"refused: {refusal}", file=sys.stderr)
            retry_while_unavailable(lambda: stores.claims.fail(lease, error_type(refusal), str(refusal)))
            return ExitCode.REFUSED
        return ExitCode.FINISHED


@contextlib.contextmanager
def _observed(stores: Stores, lease: Lease) -> Iterator[None]:
    """Within the block, log lines have the ids of the search's origin, and spans belong to that of the supervisor."""
    set_process_ids(search_id=lease.search_id, attempt=lease.fence)
    configure_tracing("search", stores.settings.trace_endpoint)
    origin = retry_while_unavailable(lambda: stores.claims.origin(lease))
    set_process_ids(request_id=origin.request_id, tenant_id=origin.tenant_id)
    try:
        with span("search process", parent=origin.traceparent):
            yield
    finally:
        stop_tracing()


def _load_search() -> None:
    """Load all that trains and draws."""
    import_module("autonl_core.search")
    from autonl_core.nn.kernels.__main__ import compile_all

    compile_all()


def error_type(error: AutonlError) -> str:
    """The machine-readable name of an error: `DatasetError` is "dataset-error"."""
    return re.sub(r"(?<!^)(?=[A-Z])", "-", type(error).__name__).lower()


def _search(stores: Stores, lease: Lease, lifeline: Lifeline) -> SearchResult:
    from autonl_core.search import run_search  # loads torch: only once the lifeline is held

    settings = stores.settings
    search = retry_while_unavailable(lambda: stores.searches.get(lease.search_id))
    stores = stores.of_tenant(search.tenant_id)  # what the search names is what its tenant calls so
    workspace = Workspace(settings, lease.search_id)
    saved = retry_while_unavailable(lambda: stores.updates.run_states(lease.search_id))
    retry_while_unavailable(lambda: stores.run_states.take_over(lease))
    _clear_up(stores, lease, workspace, [state.path for state in saved])
    config = SearchConfig.stored(search.config)
    with contextlib.closing(RowSink(stores, lease, workspace, search.dataset)) as sink:
        return run_search(
            config,
            DatasetSpec.from_json(search.dataset_spec),
            workspace.attempt_dir(lease.fence),
            sink=sink,
            stop=lifeline,
            resume_from=_on_this_host(stores, saved, workspace.attempt_dir(lease.fence)),
            host=HostOptions(
                device=settings.device,
                save_steps=settings.save_steps,
                disk_reserve_bytes=settings.disk_reserve_bytes,
                micro_batches=2 ** retry_while_unavailable(lambda: _memory_crashes(stores, lease)),
                cache_dir=folder_of(settings.cache_dir, search.tenant_id),
                cache_limit_bytes=settings.cache_bytes,
                parent_supernet=_parent(stores, config, workspace.attempt_dir(lease.fence)),
                supernet_limit_bytes=settings.supernet_bytes,
                limits=settings.limits,
            ),
            dataset_report=_dataset_report(stores, search),
            init=_initial_weights(stores, config),
        )


def _on_this_host(stores: Stores, saved: Sequence[RunState], folder: Path) -> list[SavedState]:
    """The run states to resume from, as files: the newest, and those before it as far as it is not intact."""
    here: list[SavedState] = []
    for state in saved:
        path = retry_while_unavailable(functools.partial(stores.run_states.fetch, state.path, folder))
        here.append(SavedState(path, state.sha256, state.size_bytes, state.step))
        if not stores.run_states.is_shared_folder and path.is_file() and sha256_of(path) == state.sha256:
            break
    return here


def _initial_weights(stores: Stores, config: SearchConfig) -> InitialWeights | None:
    """The weights that the search starts from. Raises WeightSetError if this worker does not have them."""
    if config.init == NO_INIT:
        return None
    try:
        return retry_while_unavailable(lambda: stores.weight_sets.initial(config.init))
    except NotFound as error:
        raise WeightSetError(f"the search starts from weights that are not there: {error}") from error


def _parent(stores: Stores, config: SearchConfig, folder: Path) -> Path | None:
    """A copy of the supernet that the search goes on from. Raises ParentError if it is gone."""
    if config.parent is None:
        return None
    target, parent_id = folder / "parent.safetensors", config.parent
    try:
        retry_while_unavailable(lambda: stores.supernets.fetch(parent_id, target))
    except (NotFound, ArtifactError) as error:
        raise ParentError(f"the search cannot go on from search {parent_id}: {error}") from error
    return target


def _dataset_report(stores: Stores, search: Search) -> DatasetReport | None:
    """The report of the dataset's check, if the dataset is still registered with the same content."""
    with contextlib.suppress(NotFound):
        entry = retry_while_unavailable(lambda: stores.datasets.get(search.dataset))
        if entry.spec.fingerprint == search.dataset_spec["fingerprint"]:
            return entry.report
    return None


def _clear_up(stores: Stores, lease: Lease, workspace: Workspace, run_states: Sequence[str]) -> None:
    """Delete files of earlier attempts that no row refers to."""
    workspace.delete_unreferenced(lease.fence, run_states)
    delete = stores.run_states.delete_unreferenced
    retry_while_unavailable(lambda: delete(lease.search_id, lease.fence, run_states))
    artifacts = retry_while_unavailable(lambda: stores.architectures.artifacts(lease.search_id))
    supernet = retry_while_unavailable(lambda: stores.supernets.get(lease.search_id))
    kept = [artifact.key for artifact in artifacts] + ([supernet.key] if supernet is not None else [])
    for fence in range(1, lease.fence):
        folder = f"{lease.search_id}/{fence}"
        retry_while_unavailable(functools.partial(stores.artifacts.delete_folder, folder, keep=kept))


def _memory_crashes(stores: Stores, lease: Lease) -> int:
    """How many earlier attempts ran out of memory: each halves the size of the micro-batches."""
    attempts = stores.searches.attempts(lease.search_id)
    return sum(attempt.exit_class == ExitClass.OUT_OF_MEMORY for attempt in attempts)


def _hand_over(stores: Stores, lease: Lease, result: SearchResult) -> None:
    """Store all files, then close the search with them in one transaction."""
    if result.architecture.macs > result.flops_budget:
        raise VerificationError(
            f"the network costs {result.architecture.macs:,} MACs, more than its budget of {result.flops_budget:,}"
        )
    dataset = retry_while_unavailable(lambda: stores.searches.get(lease.search_id)).dataset
    files = {
        kind: _store(stores, lease, file, served_as_format(kind, dataset, result.architecture.arch_id))
        for kind, file in result.files.items()
    }
    retry_while_unavailable(lambda: stores.claims.finish(lease, result, files))


def _store(stores: Stores, lease: Lease, file: ResultFile, served_as: ServedAs) -> StoredFile:
    """Copy a file to the artifact store. Raises VerificationError if what arrived there is not what was scored."""
    key = lease.artifact_key(file.path.name)
    stored = retry_while_unavailable(lambda: stores.artifacts.put(key, file.path, served_as))
    if stored.sha256 != file.sha256:
        raise VerificationError(
            f"{file.path.name} changed on its way to the artifact store: it arrived with SHA-256 {stored.sha256}, "
            f"but was written with {file.sha256}"
        )
    return stored


def run(arguments: Sequence[str]) -> ExitCode:
    """Run the attempt that `arguments` name, or the one that arrives."""
    if len(arguments) == 2:
        return main(arguments[0], int(arguments[1]))
    assignment = await_assignment(_load_search, rest_s=float(*arguments))
    return ExitCode.FINISHED if assignment is None else main(*assignment)


if __name__ == "__main__":
    exit_with(lambda: run(sys.argv[1:]))
