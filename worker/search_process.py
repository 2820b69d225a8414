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
from dataclasses import replace
from importlib import import_module

from autonl_core.datasets.buckets.location import is_in_bucket
from autonl_core.datasets.check_report import DatasetReport
from autonl_core.datasets.spec import DatasetSpec
from autonl_core.errors import (
    AutonlError,
    DatasetError,
    Interrupted,
    OtherVersion,
    VerificationError,
)
from autonl_core.host.environment import launched_rank
from autonl_core.host.memory import keep_freed_memory
from autonl_core.host.wake_ups import wake_promptly
from autonl_core.spec.progress import Progress, ProgressSink, Silent, StopToken
from autonl_core.spec.result import ResultFile, SearchResult
from store.artifacts import ServedAs, StoredFile
from store.errors import LeaseLost, NotFound
from store.leases import Lease
from store.models import Search
from store.stores import Stores
from telemetry.ids import set_process_ids
from telemetry.traces import configure_tracing, span, stop_tracing
from worker.assignment import await_assignment
from worker.dataset_places import delete_unused_copies, place_on_this_host
from worker.downloads import served_as_format
from worker.exit_codes import ExitCode, exit_code_of, exit_with
from worker.lifeline import Lifeline
from worker.process_context import process_context
from worker.retry import retry_while_unavailable
from worker.search_work import load_work
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

    work = load_work(stores, lease)
    stores = stores.of_tenant(work.search.tenant_id)  # what the search names is what its tenant calls so
    workspace = Workspace(stores.settings, lease.search_id)
    _clear_up(stores, lease, workspace, [state.path for state in work.saved])
    with (
        contextlib.closing(RowSink(stores, lease, workspace, work.search.dataset)) as sink,
        _dataset_here(stores, work.dataset, lifeline, sink) as dataset,
    ):
        return run_search(
            work.config,
            dataset,
            workspace.attempt_dir(lease.fence),
            sink=sink,
            stop=lifeline,
            resume_from=work.run_states,
            host=work.host,
            dataset_report=_dataset_report(stores, work.search),
            init=work.init,
        )


def help_out(search_id: str, fence: int) -> ExitCode:
    """What ranks other than 0 do of an attempt. They write nothing: whatever ends it, rank 0 records."""
    wake_promptly()
    with process_context(lambda settings: settings.child_memory_bytes) as context:
        from autonl_core.search import help_search  # loads torch: only once the lifeline is held

        if not context.settings.child_memory_bytes:
            keep_freed_memory()
        try:
            work = load_work(context.stores, Lease(search_id, fence))
            with _dataset_here(context.stores, work.dataset, context.lifeline, Silent()) as dataset:
                help_search(
                    work.config,
                    dataset,
                    Workspace(context.settings, search_id).attempt_dir(fence),
                    stop=context.lifeline,
                    resume_from=work.run_states,
                    host=work.host,
                    init=work.init,
                )
        except AutonlError as error:
            print(f"a rank stops: {error}", file=sys.stderr)
    return ExitCode.FINISHED


@contextlib.contextmanager
def _dataset_here(stores: Stores, dataset: DatasetSpec, stop: StopToken, sink: ProgressSink) -> Iterator[DatasetSpec]:
    """The dataset with its files on this host. Errors in the block name the place where the user put them."""
    if is_in_bucket(dataset.location):
        delete_unused_copies(stores)

    def end_if_asked() -> None:
        if (request := stop.stop_requested()) is not None:
            raise Interrupted(request)  # there is nothing to save yet

    def on_progress(share: float) -> None:
        sink.progress(Progress("preparing", 0.0, eta_unknown="its images are being fetched"))
        end_if_asked()

    place = place_on_this_host(dataset, stores.settings, on_progress, on_wait=end_if_asked)
    try:
        yield replace(dataset, location=place.path)
    except DatasetError as error:
        if place.copy is None:
            raise
        raise DatasetError(place.in_user_words(str(error))) from error


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
        launched = launched_rank()
        attempt = main if launched is None or launched.rank == 0 else help_out
        return attempt(arguments[0], int(arguments[1]))
    assignment = await_assignment(_load_search, rest_s=float(*arguments))
    return ExitCode.FINISHED if assignment is None else main(*assignment)


if __name__ == "__main__":
    exit_with(lambda: run(sys.argv[1:]))
