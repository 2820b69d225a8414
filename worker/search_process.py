"""The process of one attempt: `python -m worker.search_process SEARCH_ID FENCE`. The only importer of the tensor code.

Loads the search, runs it, stores the checkpoint and closes the search, everything under its fence. Its exit code
(`worker/exit_codes.py`) tells the supervisor what is left to settle.
"""

from __future__ import annotations

import contextlib
import logging
import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from autonl_core.datasets.spec import DatasetSpec
from autonl_core.errors import AutonlError, Interrupted, VerificationError
from autonl_core.host_memory import keep_freed_memory
from autonl_core.run.host_options import HostOptions
from autonl_core.spec.config import SearchConfig
from autonl_core.spec.progress import SavedState
from autonl_core.spec.result import ResultFile, SearchResult
from store.artifacts import StoredFile
from store.errors import LeaseLost, NotFound
from store.leases import Lease
from store.models import Search
from store.settings import Settings
from store.states import ExitClass
from store.stores import Stores, open_stores
from worker.exit_codes import ExitCode, exit_with
from worker.lifeline import Lifeline
from worker.memory import limit_memory
from worker.sink import RowSink, retry_while_unavailable
from worker.workspace import Workspace


def main(search_id: str, fence: int) -> ExitCode:
    """Run the attempt and say how it ended."""
    lifeline = Lifeline()
    lifeline.hold()
    settings = Settings()
    if settings.child_memory_bytes:
        limit_memory(settings.child_memory_bytes)
    else:  # under a limit, freed memory that is kept is missing where it is needed in other pieces
        keep_freed_memory()
    logging.basicConfig(level=settings.log_level, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    stores = open_stores(settings)
    lease = Lease(search_id, fence)
    try:
        result = _search(stores, lease, lifeline)
        _hand_over(stores, lease, result)
    except Interrupted as stopped:
        return ExitCode.CANCELLED if stopped.reason == "cancel" else ExitCode.GAVE_BACK
    except LeaseLost as lost:
        print(f"stopping: {lost}", file=sys.stderr)
        retry_while_unavailable(lambda: stores.events.stale_write(lease, "report"))
        return ExitCode.LEASE_LOST
    except AutonlError as error:
        problem = error  # bound again: Python forgets `error` at the end of this block
        print(f"refused: {problem}", file=sys.stderr)
        retry_while_unavailable(lambda: stores.claims.fail(lease, error_type(problem), str(problem)))
        return ExitCode.REFUSED
    return ExitCode.FINISHED


def error_type(error: AutonlError) -> str:
    """The word that programs know an error by: `DatasetError` is "dataset-error"."""
    return re.sub(r"(?<!^)(?=[A-Z])", "-", type(error).__name__).lower()


def _search(stores: Stores, lease: Lease, lifeline: Lifeline) -> SearchResult:
    from autonl_core.search import run_search  # loads torch: only after the lifeline holds

    settings = stores.settings
    search = retry_while_unavailable(lambda: stores.searches.get(lease.search_id))
    workspace = Workspace(settings, lease.search_id)
    saved = retry_while_unavailable(lambda: stores.updates.run_states(lease.search_id))
    _clear_up(stores, lease, workspace, [state.path for state in saved])
    return run_search(
        SearchConfig.model_validate(search.config),
        DatasetSpec.from_json(search.dataset_spec),
        workspace.attempt_dir(lease.fence),
        sink=RowSink(stores, lease, workspace),
        stop=lifeline,
        resume_from=[
            SavedState(workspace.absolute(state.path), state.sha256, state.size_bytes, state.step) for state in saved
        ],
        host=HostOptions(
            device=settings.device,
            save_steps=settings.save_steps,
            micro_batches=2 ** retry_while_unavailable(lambda: _memory_crashes(stores, lease)),
            cache_dir=settings.cache_dir,
            cache_limit_bytes=settings.cache_bytes,
            limits=settings.limits,
        ),
        dataset_report=_dataset_report(stores, search),
    )


def _dataset_report(stores: Stores, search: Search) -> Mapping[str, Any] | None:
    """What the check of the data set found, if it is still registered as it was."""
    with contextlib.suppress(NotFound):
        entry = retry_while_unavailable(lambda: stores.datasets.get(search.dataset))
        if entry.spec.fingerprint == search.dataset_spec["fingerprint"]:
            return entry.report.to_json() if entry.report is not None else None
    return None


def _clear_up(stores: Stores, lease: Lease, workspace: Workspace, run_states: Sequence[str]) -> None:
    """Delete what earlier attempts left and no row names."""
    workspace.delete_unreferenced(lease.fence, run_states)
    artifacts = retry_while_unavailable(lambda: stores.architectures.artifacts(lease.search_id))
    kept = [artifact.key for artifact in artifacts]
    for fence in range(1, lease.fence):
        stores.artifacts.delete_folder(f"{lease.search_id}/{fence}", keep=kept)


def _memory_crashes(stores: Stores, lease: Lease) -> int:
    """How many earlier attempts ended because memory ran out: each halves the parts of a batch."""
    attempts = stores.searches.attempts(lease.search_id)
    return sum(attempt.exit_class == ExitClass.OUT_OF_MEMORY for attempt in attempts)


def _hand_over(stores: Stores, lease: Lease, result: SearchResult) -> None:
    """Store all files, then close the search with them in one transaction."""
    if result.architecture.macs > result.flops_budget:
        raise VerificationError(f"{result.architecture.macs:,} MACs exceed the budget of {result.flops_budget:,}")
    files = {kind: _store(stores, lease, file) for kind, file in result.files.items()}
    retry_while_unavailable(lambda: stores.claims.finish(lease, result, files))


def _store(stores: Stores, lease: Lease, file: ResultFile) -> StoredFile:
    """Raises VerificationError if what arrived in the artifact store is not what was scored."""
    stored = stores.artifacts.put(f"{lease.search_id}/{lease.fence}/{file.path.name}", file.path)
    if stored.sha256 != file.sha256:
        raise VerificationError(
            f"{file.path.name} changed on its way to the artifact store: SHA-256 {stored.sha256}, "
            f"written as {file.sha256}"
        )
    return stored


if __name__ == "__main__":
    exit_with(main)
