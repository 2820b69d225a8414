"""The process of one attempt: `python -m worker.child SEARCH_ID FENCE`. The only importer of the tensor code.

Loads the search, runs it, stores the checkpoint and closes the search, everything under its fence. Its exit code
(`worker/exits.py`) tells the supervisor what is left to settle.
"""

from __future__ import annotations

import errno
import logging
import re
import sys
import traceback

from autonl_core.allocator import keep_freed_memory
from autonl_core.config import SearchConfig
from autonl_core.datasets import DatasetSpec
from autonl_core.errors import AutonlError, Interrupted, VerificationError
from autonl_core.progress import SavedState
from autonl_core.result import SearchResult
from store.errors import LeaseLost
from store.fencing import Lease
from store.settings import Settings
from store.stores import Stores, open_stores
from worker.exits import ExitCode
from worker.lifeline import Lifeline
from worker.sink import RowSink, insist
from worker.workspace import Workspace


def main(search_id: str, fence: int) -> ExitCode:
    """Run the attempt and say how it ended."""
    lifeline = Lifeline()
    lifeline.hold()
    keep_freed_memory()
    settings = Settings()
    logging.basicConfig(level=settings.log_level, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    stores = open_stores(settings)
    lease = Lease(search_id, fence)
    try:
        result = _search(stores, lease, lifeline)
        _hand_over(stores, lease, result)
    except Interrupted as stopped:
        return ExitCode.CANCELLED if stopped.reason == "cancel" else ExitCode.DRAINED
    except LeaseLost as lost:
        print(f"stopping: {lost}", file=sys.stderr)
        return ExitCode.LEASE_LOST
    except AutonlError as error:
        problem = error  # bound again: Python forgets `error` at the end of this block
        print(f"refused: {problem}", file=sys.stderr)
        insist(lambda: stores.claims.fail(lease, error_type(problem), str(problem)))
        return ExitCode.REFUSED
    return ExitCode.FINISHED


def error_type(error: AutonlError) -> str:
    """The word that programs know an error by: `DatasetError` is "dataset-error"."""
    return re.sub(r"(?<!^)(?=[A-Z])", "-", type(error).__name__).lower()


def crash_code(error: BaseException) -> ExitCode:
    """The exit code of an exception that nobody meant to raise."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return ExitCode.DISK_FULL
    if isinstance(error, RuntimeError) and "unexpected pos" in str(error):
        return ExitCode.DISK_FULL  # how torch says that a write came out short
    short = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
    if short or "can't allocate memory" in str(error):  # torch on CPU has no type of its own for it
        return ExitCode.OUT_OF_MEMORY
    return ExitCode.CRASHED


def _search(stores: Stores, lease: Lease, lifeline: Lifeline) -> SearchResult:
    from autonl_core.search import run_search  # loads torch: only after the lifeline holds

    settings = stores.settings
    search = insist(lambda: stores.searches.get(lease.search_id))
    workspace = Workspace(settings, lease.search_id)
    saved = insist(lambda: stores.reports.run_states(lease.search_id))
    return run_search(
        SearchConfig.model_validate(search.config),
        DatasetSpec.from_json(search.dataset_spec),
        workspace.attempt_dir(lease.fence),
        sink=RowSink(stores.reports, lease, workspace),
        stop=lifeline,
        resume_from=[
            SavedState(workspace.absolute(state.path), state.sha256, state.size_bytes, state.step) for state in saved
        ],
        cache_dir=settings.cache_dir,
        device=settings.device,
    )


def _hand_over(stores: Stores, lease: Lease, result: SearchResult) -> None:
    """Store the checkpoint, then close the search with it in one transaction."""
    if result.architecture.macs > result.flops_budget:
        raise VerificationError(f"{result.architecture.macs:,} MACs exceed the budget of {result.flops_budget:,}")
    key = f"{lease.search_id}/{lease.fence}/{result.checkpoint.name}"
    stored = stores.artifacts.put(key, result.checkpoint)
    if stored.sha256 != result.checkpoint_sha256:
        raise VerificationError(
            f"{result.checkpoint.name} changed on its way to the artifact store: SHA-256 {stored.sha256}, "
            f"written as {result.checkpoint_sha256}"
        )
    insist(lambda: stores.claims.finish(lease, result, stored))


if __name__ == "__main__":
    try:
        code = main(sys.argv[1], int(sys.argv[2]))
    except Exception as error:  # noqa: BLE001  (the last stop: told in the log and by the exit code)
        traceback.print_exc()
        code = crash_code(error)
    sys.exit(code)
