"""The one loop in which networks train: step, report, stop if asked, save if due."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Protocol

from autonl_core.run.search_run import PhaseState, SearchRun


class EpochTraining(Protocol):
    """A training that can be interrupted after every step; `position` is (epoch, step) of the next batch."""

    epochs: int
    steps: int  # of an epoch
    position: tuple[int, int]

    @property
    def finished(self) -> bool: ...

    @property
    def unreported(self) -> bool:
        """An epoch ended whose metrics were not taken yet."""

    def run_epoch(self) -> Iterator[int]:
        """Train to the end of the current epoch, yielding the step just done."""


def run_epochs(
    run: SearchRun,
    training: EpochTraining,
    state_now: Callable[[], PhaseState],
    *,
    work_per_epoch: float,
    report: Callable[[], None] | None = None,
    baseline: str | None = None,
) -> None:
    """Train to the end. With a `report`, every epoch ends with it, and with a run state unless one is just saved.

    Without one, the end does: what follows may take long.

    Args:
        state_now: what to save when the search is stopped, or a run state is due.
        work_per_epoch: in image-MACs.
        baseline: the one that is trained, for the progress that users see; None: it is part of the search.
    """
    report_s = 0.0
    if report is not None and training.unreported:  # stopped between an epoch's last step and its report
        report()
    while not training.finished:
        epoch = training.position[0] + 1
        for step in training.run_epoch():
            run.reporter.add_work(work_per_epoch / training.steps)
            where = {"epoch": epoch, "epochs": training.epochs, "step": step + 1, "steps": training.steps}
            run.reporter.progress(**where, baseline=baseline)
            run.after_step(state_now)
        if report is not None:
            if run.states.due_before(report_s):
                run.save(state_now())
            started = time.monotonic()
            report()
            report_s = time.monotonic() - started
            if training.position[0] >= training.epochs or run.states.due_after_epoch():
                run.save(state_now())
    if report is None and run.states.due_after_epoch():
        run.save(state_now())
