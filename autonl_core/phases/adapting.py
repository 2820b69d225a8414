"""The phase `adapting`: the pretrained network learns the dataset, and the resolution of the result is chosen.

The whole network is fine-tuned on the training images; from then on it is the *teacher*: its weights start the
supernet, and every other network learns from its answers. Then every resolution that suits the budget has a trial: the
uniform slice of the teacher within the budget trains for one pass, and the lowest validation loss wins. So pixels and
channels are weighed against each other by measurement, before the search spends anything on the architecture. A search
that goes on from an earlier one has its teacher, and only tries resolutions.
"""

from __future__ import annotations

from dataclasses import replace

from autonl_core.nn.importance import order_channels
from autonl_core.nn.network import Network, to_channels_last
from autonl_core.phases.candidates import sortable
from autonl_core.phases.states import AdaptingState
from autonl_core.phases.training import SHORT_EMA_DECAY, short_training
from autonl_core.run.adapted import Adapted, network_of
from autonl_core.run.epochs import run_epochs
from autonl_core.run.pace import adapting_work, begun_work, training_work
from autonl_core.run.pretrained import Pretrained
from autonl_core.run.reporter import BestSoFar
from autonl_core.run.search_run import QUICK_IMAGES, SearchRun
from autonl_core.spec.config_sections import TeacherConfig, TrainConfig
from autonl_core.spec.event_kinds import EventKind
from autonl_core.spec.pretrained_start import ResolutionTrial
from autonl_core.supernet.option_costs import Choice
from autonl_core.supernet.start import started_supernet
from autonl_core.supernet.uniform import uniform_slice
from autonl_core.training.begin_fine_tuning import begin_fine_tuning
from autonl_core.training.evaluate import Score, evaluate
from autonl_core.training.trainer import Trainer


def adapt(run: SearchRun, pretrained: Pretrained, state: AdaptingState | None) -> SearchRun:
    """The same search at the chosen resolution, with the teacher: from the beginning, or from `state`."""
    if state is None and run.parent is not None and (kept := run.parent.teacher) is not None:
        state = AdaptingState(teacher=kept.weights, teacher_val_top1_pct=kept.val_top1_pct)
    with run.phase("adapting"):
        if state is None or state.teacher is None:
            state = _fine_tune(run, pretrained, state)
    assert state.teacher is not None
    teacher = network_of(pretrained.network().arch, state.teacher, run.device)
    for resolution in pretrained.resolutions[len(state.trials) :] if len(pretrained.resolutions) > 1 else ():
        trial = _Trial(run, Adapted(teacher, resolution, head_channels=_head_at(run, pretrained, resolution)))
        with trial.run.phase("adapting"):
            state = trial.take_place(state)
            run.save(state)
    chosen = _choose(run, pretrained, state)
    head_channels = _head_at(run, pretrained, chosen)
    if head_channels < teacher.arch.head_channels:
        detail = {"head_channels": head_channels, "instead_of": teacher.arch.head_channels}
        run.reporter.event(EventKind.HEAD_NARROWED, detail)
    return run.at(Adapted(teacher, chosen, state.teacher_val_top1_pct, state.trials, head_channels))


def _head_at(run: SearchRun, pretrained: Pretrained, resolution: int) -> int:
    """Width of the head of the result: that of the supernet that the search goes on with, or what suits the budget."""
    return pretrained.head_at(resolution) if run.parent is None else run.parent.head_channels


def _fine_tune(run: SearchRun, pretrained: Pretrained, state: AdaptingState | None) -> AdaptingState:
    """Train the whole network; its expanded channels are ordered by importance at the end."""
    epochs = run.config.teacher.epochs
    network = to_channels_last(pretrained.network()).to(run.device)
    if state is None or state.trainer is None:
        begin_fine_tuning(network, run.loader, run.fit)
        run.reporter.add_work(begun_work(pretrained.teacher_macs, len(run.fit)))
    recipe = fine_tuning(run.config.teacher)
    trainer = Trainer(network, run.fit, run.loader, recipe, "teacher", epochs, run.parts, run.config.precision)
    if state is not None and state.trainer is not None:
        trainer.load_state_dict(dict(state.trainer))

    def state_now() -> AdaptingState:
        return AdaptingState(trainer=trainer.state_dict())

    def report() -> None:
        run.reporter.add_point(trainer.position[0], trainer.take_epoch_metrics())

    def best_so_far() -> BestSoFar:
        return _sliced(run, pretrained, trainer.averaged(QUICK_IMAGES))

    run.reporter.best = best_so_far
    run_epochs(
        run, trainer, state_now, work_per_epoch=len(run.fit) * adapting_work(pretrained.teacher_macs), report=report
    )
    teacher = trainer.averaged()
    measured = evaluate(teacher, run.loader.plain(run.val), ranks=run.ranks)
    run.reporter.add_point(epochs, {"teacher_val_top1_pct": measured.top1_pct, "val_loss": measured.loss})
    _report_teacher(run, pretrained, measured)
    order_channels(teacher)
    ready = AdaptingState(teacher=teacher.state_dict(), teacher_val_top1_pct=measured.top1_pct)
    run.save(ready)
    return ready


def fine_tuning(settings: TeacherConfig) -> TrainConfig:
    """How a whole pretrained network learns a dataset."""
    return TrainConfig(
        epochs=settings.epochs,
        batch_size=settings.batch_size,
        optimizer="adamw",
        lr=settings.lr,
        warmup_epochs=1,
        weight_decay=1e-4,
        ema_decay=SHORT_EMA_DECAY,
        bn_statistics=settings.bn_statistics or "batch",  # searches of earlier versions have none
    )


def _report_teacher(run: SearchRun, pretrained: Pretrained, measured: Score) -> None:
    detail = {
        "weights": pretrained.init.weights.name,
        "resolution": pretrained.teacher_px,
        "macs": pretrained.teacher_macs,
        "val_top1_pct": round(measured.top1_pct, 2),
        "val_images": len(run.val),
    }
    run.reporter.event(EventKind.TEACHER_ADAPTED, detail)


class _Trial:
    """One resolution: the uniform slice of the teacher there, trained for one pass."""

    def __init__(self, run: SearchRun, adapted: Adapted) -> None:
        self.search, self.run = run, run.at(adapted)
        self.resolution = adapted.resolution
        network, self.choice = uniform_network(self.run)
        settings, loader = short_training(run.config.train), self.run.loader
        self.trainer = Trainer(
            network, self.run.fit, loader, settings, "resolution", 1, run.parts, run.config.precision
        )

    def take_place(self, state: AdaptingState) -> AdaptingState:
        """`state` with the score of this resolution; its own training goes on where `state` left it."""
        run, trainer = self.run, self.trainer
        if state.trial is not None:
            trainer.load_state_dict(dict(state.trial))

        def state_now() -> AdaptingState:
            return replace(state, trial=trainer.state_dict())

        def best_so_far() -> BestSoFar:
            network = trainer.averaged(QUICK_IMAGES)
            return BestSoFar(network, run.quick_top1_pct(network))

        run.reporter.best = best_so_far
        work = len(run.fit) * training_work(run.config, run.teacher_macs)
        run_epochs(self.search, trainer, state_now, work_per_epoch=work)  # its states are of no resolution yet
        measured = evaluate(trainer.averaged(), run.loader.plain(run.val), ranks=run.ranks)
        trial = ResolutionTrial(self.resolution, measured.loss, measured.top1_pct)
        run.reporter.event(
            EventKind.RESOLUTION_TRIED,
            {**trial.to_json(), "val_images": len(run.val), "macs": run.table.macs(self.choice)},
        )
        return replace(state, trials=(*state.trials, trial), trial=None)


def uniform_network(run: SearchRun) -> tuple[Network, Choice]:
    """The uniform slice of the adapted network within the budget, and its choice, on the search's device."""
    assert run.adapted is not None
    beginning = run.adapted.beginning
    supernet = started_supernet(run.table, beginning, run.config.seed)
    choice = uniform_slice(run.table, beginning, run.config.flops_budget)
    return to_channels_last(supernet.derive(choice)).to(run.device), choice


def _choose(run: SearchRun, pretrained: Pretrained, state: AdaptingState) -> int:
    """The resolution with the lowest validation loss, or the only one."""
    if not state.trials:
        return pretrained.resolutions[0]
    best = min(state.trials, key=lambda trial: (sortable(trial.loss), trial.resolution))
    run.reporter.event(EventKind.RESOLUTION_CHOSEN, {**best.to_json(), "val_images": len(run.val)})
    return best.resolution


def _sliced(run: SearchRun, pretrained: Pretrained, network: Network) -> BestSoFar:
    """What a search keeps that stops while the teacher learns: its uniform slice within the budget."""
    order_channels(network)
    resolution = pretrained.resolutions[0]
    there = run.at(Adapted(network, resolution, head_channels=_head_at(run, pretrained, resolution)))
    sliced, _ = uniform_network(there)
    return BestSoFar(sliced, there.recalibrated_top1_pct(sliced))
