"""A search from dataset to verified checkpoint, on one screen.

    preparing    decode and split the data                                    phases.preparing.open_run
    adapting     pretrained weights, if any, learn the data                   phases.adapting.adapt
    searching    shared weights learn, and which gates are worth opening      phases.searching.train_supernet
    deriving     candidates are measured, one architecture is chosen          phases.deriving.derive
    training     the chosen network learns from all training images           phases.training.train_chosen
                 baselines at the same MACs do, if asked for                  phases.baselines.train_baselines
    evaluating   top-1 on the test split, once                                phases.finishing.finish
    exporting    write in all formats, score each in a clean process          bundle.build.make_bundle
                 report what was found, and pack all                          phases.reporting.ReportWriter

Each phase takes the typed state that the one before it returned (`phases/states.py`); a state saved to disk at any
point is where a later attempt goes on.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from autonl_core.data.find_grey_range import with_grey_range
from autonl_core.datasets.check_report import DatasetReport
from autonl_core.datasets.spec import DatasetSpec
from autonl_core.errors import Interrupted
from autonl_core.nn.network import Network
from autonl_core.phases.adapting import adapt
from autonl_core.phases.baselines import train_baselines
from autonl_core.phases.deriving import derive
from autonl_core.phases.finishing import finish
from autonl_core.phases.preparing import open_run
from autonl_core.phases.searching import train_supernet
from autonl_core.phases.states import AdaptingState, DerivingState, ScoringState, TrainingState, read_phase
from autonl_core.phases.training import train_chosen
from autonl_core.run.adapted import Adapted
from autonl_core.run.after_training import after_training
from autonl_core.run.host_options import DEFAULT_HOST, HostOptions
from autonl_core.run.search_run import SearchRun
from autonl_core.spec.config import SearchConfig
from autonl_core.spec.progress import ProgressSink, SavedState, Silent, StopToken
from autonl_core.spec.result import BaselineResult, SearchResult
from autonl_core.spec.weight_set import InitialWeights
from autonl_core.training.trainer import Trainer


def run_search(
    config: SearchConfig,
    dataset: DatasetSpec,
    work_dir: Path,
    *,
    sink: ProgressSink,
    stop: StopToken,
    resume_from: Sequence[SavedState] = (),
    host: HostOptions = DEFAULT_HOST,
    dataset_report: DatasetReport | None = None,
    init: InitialWeights | None = None,
) -> SearchResult:
    """Search, train, verify. Deterministic: equal arguments give equal weights on one kind of machine and thread count.

    Args:
        work_dir: receives run states and the checkpoint; one folder per attempt.
        resume_from: run states of earlier attempts at this search; the newest good one is continued.
        host: what the machine decides, and its user does not.
        dataset_report: of the dataset check; its warnings are repeated in the report of the search.
        init: the weight set that `config.init` names; None if it names none.

    Raises:
        Interrupted: `stop` asked for it; the newest run state in `work_dir` continues the search.
        AutonlError: anything else a user can act on (dataset, space, budget, divergence, failed verification).
    """
    with _open(config, dataset, work_dir, sink, stop, resume_from, host, dataset_report, init) as opened:
        return finish(*_trained(opened, resume_from))


def help_search(
    config: SearchConfig,
    dataset: DatasetSpec,
    work_dir: Path,
    *,
    stop: StopToken,
    resume_from: Sequence[SavedState],
    host: HostOptions,
    init: InitialWeights | None = None,
) -> None:
    """What the ranks other than 0 do: their share of the computation, as long as it is shared. They report nothing.

    Returns once there is nothing more to share, as when the search is stopped, whichever rank was asked to.

    Raises:
        AutonlError: as `run_search` does, there too.
    """
    opened = _open(config, dataset, work_dir, Silent(), stop, resume_from, host, None, init)
    with contextlib.suppress(Interrupted), opened as run:
        _train_all(run, resume_from)


@contextlib.contextmanager
def _open(
    config: SearchConfig,
    dataset: DatasetSpec,
    work_dir: Path,
    sink: ProgressSink,
    stop: StopToken,
    resume_from: Sequence[SavedState],
    host: HostOptions,
    dataset_report: DatasetReport | None,
    init: InitialWeights | None,
) -> Iterator[SearchRun]:
    """The prepared search, for a `with` block, which ends its processes."""
    with tempfile.TemporaryDirectory(prefix="autonl-cache-") as scratch:
        run = open_run(
            config,
            with_grey_range(dataset, host.limits),
            work_dir.absolute(),  # processes of the search run in folders of their own
            sink=sink,
            stop=stop,
            resume_from=resume_from,
            host=host.with_absolute_paths(),
            cache_dir=(host.cache_dir or Path(scratch)).absolute(),
            dataset_report=dataset_report,
            init=init,
        )
        with run.ending_its_processes():
            yield run


def _trained(
    run: SearchRun, resume_from: Sequence[SavedState]
) -> tuple[SearchRun, TrainingState, Network, tuple[BaselineResult, ...]]:
    """What rank 0 goes on with once all have learned. What only that needs, on a GPU perhaps, is gone then."""
    run, chosen, trainer, baselines = _train_all(run, resume_from)
    return after_training(run.on_one_rank()), chosen.without_weights(), trainer.averaged(), baselines


def _train_all(
    run: SearchRun, resume_from: Sequence[SavedState]
) -> tuple[SearchRun, TrainingState, Trainer, tuple[BaselineResult, ...]]:
    """Every phase in which networks are trained."""
    run, chosen = choose_architecture(run, resume_from)
    trainer = train_chosen(run, chosen)
    baselines = train_baselines(run, replace(chosen, trainer=trainer.state_dict()))
    return run, chosen, trainer, baselines


def choose_architecture(run: SearchRun, resume_from: Sequence[SavedState]) -> tuple[SearchRun, TrainingState]:
    """Everything up to the choice of one architecture, from the beginning or from a run state.

    The run that is returned is at the resolution of that architecture.
    """
    run, chosen = _choose(run, resume_from)
    return run.training_for(chosen.comparison.freed_epochs), chosen


def _choose(run: SearchRun, resume_from: Sequence[SavedState]) -> tuple[SearchRun, TrainingState]:
    saved = run.resume(resume_from)
    state = None if saved is None else read_phase(saved)
    if run.pretrained is not None and (state is None or isinstance(state, AdaptingState)):
        run, state = adapt(run, run.pretrained, state), None
    elif saved is not None and "adapted" in saved:
        run = run.at(Adapted.from_state(saved["adapted"], run.device))
    if isinstance(state, TrainingState):
        return run, state
    if isinstance(state, (ScoringState, DerivingState)):
        return run, derive(run, state)
    assert not isinstance(state, AdaptingState)
    return run, derive(run, train_supernet(run, state))
