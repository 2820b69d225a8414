"""What one attempt has to do: the search as its rows say, with its run states and weights as files of this host."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from autonl_core.datasets.spec import DatasetSpec
from autonl_core.errors import ParentError, WeightSetError
from autonl_core.files import sha256_of
from autonl_core.parallel.ranks import Ranks, join
from autonl_core.run.host_options import HostOptions
from autonl_core.spec.config import NO_INIT, SearchConfig
from autonl_core.spec.progress import SavedState
from autonl_core.spec.weight_set import InitialWeights
from store.errors import ArtifactError, NotFound
from store.leases import Lease
from store.models import RunState, Search
from store.settings import Settings
from store.states import ExitClass
from store.stores import Stores
from store.upload_folder import folder_of
from worker.retry import retry_while_unavailable
from worker.workspace import Workspace


@dataclass(frozen=True)
class SearchWork:
    """What the rows say of a search, and the settings of its host.

    Args:
        saved: the rows of its run states, the newest first.
        run_states: files to go on from, in that order.
    """

    search: Search
    config: SearchConfig
    dataset: DatasetSpec
    saved: Sequence[RunState]
    run_states: Sequence[SavedState]
    host: HostOptions
    init: InitialWeights | None


def load_work(stores: Stores, lease: Lease) -> SearchWork:
    """The work of this attempt. Waits for the other ranks of the search, if there are any.

    Raises:
        WeightSetError, ParentError: what the search starts from is gone.
        OtherVersion: another version of this program stored the search.
        DeviceTableError: the search has not the device table that it was accepted with.
        LeaseLost: a newer attempt has taken over.
    """
    settings = stores.settings
    ranks = join(settings.device)
    search = retry_while_unavailable(lambda: stores.searches.get(lease.search_id))
    stores = stores.of_tenant(search.tenant_id)
    saved = retry_while_unavailable(lambda: stores.updates.run_states(lease.search_id))
    if ranks.leads:  # before run states are fetched, which an earlier attempt could still replace
        retry_while_unavailable(lambda: stores.run_states.take_over(lease))
    config = retry_while_unavailable(lambda: stores.searches.config(search))
    folder = _folder_of_rank(Workspace(settings, lease.search_id).attempt_dir(lease.fence), ranks)
    crashes = retry_while_unavailable(lambda: _memory_crashes(stores, lease))
    return SearchWork(
        search=search,
        config=config,
        dataset=DatasetSpec.from_json(search.dataset_spec),
        saved=saved,
        run_states=_on_this_host(stores, saved, folder),
        host=_host(settings, search, ranks, 2**crashes, _parent(stores, config, folder)),
        init=_initial_weights(stores, config),
    )


def _host(
    settings: Settings, search: Search, ranks: Ranks, micro_batches: int, parent_supernet: Path | None
) -> HostOptions:
    return HostOptions(
        device=settings.device,
        save_steps=settings.save_steps,
        disk_reserve_bytes=settings.disk_reserve_bytes,
        micro_batches=micro_batches,
        cache_dir=folder_of(settings.cache_dir, search.tenant_id),
        cache_limit_bytes=settings.cache_bytes,
        parent_supernet=parent_supernet,
        supernet_limit_bytes=settings.supernet_bytes,
        limits=settings.limits,
        ranks=ranks,
    )


def _folder_of_rank(attempt_dir: Path, ranks: Ranks) -> Path:
    """Where a rank puts files that it fetches: ranks fetch them at the same time."""
    if ranks.leads:
        return attempt_dir
    folder = attempt_dir / f"rank-{ranks.rank}"
    folder.mkdir(exist_ok=True)
    return folder


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


def _memory_crashes(stores: Stores, lease: Lease) -> int:
    """How many earlier attempts ran out of memory: each halves the size of the micro-batches."""
    attempts = stores.searches.attempts(lease.search_id)
    return sum(attempt.exit_class == ExitClass.OUT_OF_MEMORY for attempt in attempts)
