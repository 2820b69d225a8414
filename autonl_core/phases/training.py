"""The phase `training`: the chosen network learns from all training images, resumable at every step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from autonl_core.bundle.export_process import Preparation
from autonl_core.nn.blocks.conv import BN_MOMENTUM
from autonl_core.nn.network import Network, build_network
from autonl_core.phases.states import TrainingState
from autonl_core.run.epochs import run_epochs
from autonl_core.run.pace import training_work
from autonl_core.run.reporter import BestSoFar
from autonl_core.run.search_run import QUICK_IMAGES, PhaseState, SearchRun
from autonl_core.spec.arch import ArchSpec
from autonl_core.spec.config_sections import TrainConfig
from autonl_core.training.trainer import Trainer

SHORT_EMA_DECAY = 0.99  # a few hundred steps need a short memory


def short_training(config: TrainConfig) -> TrainConfig:
    """The recipe for a network that trains briefly, to be compared with others, from weights that it has already."""
    short = {"warmup_epochs": 0, "ema_decay": SHORT_EMA_DECAY, "stochastic_depth": 0.0, "bn_momentum": BN_MOMENTUM}
    return config.model_copy(update={"lr": config.lr / 2, "schedule": "cosine", **short})


def train_chosen(run: SearchRun, state: TrainingState) -> Trainer:
    """Train the chosen network on all training images, validation ones included: there is nothing left to decide."""
    arch = run.table.arch(state.choice)
    network = build_network(arch, seed=run.config.seed, dropout=run.config.train.dropout)
    if run.config.train.weights == "inherit":
        network.load_state_dict(state.inherited)
    trainer = make_trainer(run, network)
    if state.trainer is not None:
        trainer.load_state_dict(dict(state.trainer))

    def state_now() -> TrainingState:
        return replace(state, trainer=trainer.state_dict())

    def best_so_far() -> BestSoFar:
        return _better(run, trainer.averaged(QUICK_IMAGES), state)

    with run.phase("training", best=best_so_far):
        record = run.record_of(arch, val_top1_pct=state.val_top1_pct)
        run.reporter.architecture(record, run.table.place_of(state.choice))
        work_per_image = training_work(run.config, run.teacher_macs)
        train_to_the_end(run, trainer, state_now, delivered=arch, work_per_image=work_per_image)
    return trainer


def make_trainer(run: SearchRun, network: Network) -> Trainer:
    """A trainer of `network` on all training images, by the recipe of the configuration."""
    settings, epochs = run.config.train, run.plan.training_epochs
    network = network.to(run.device)
    return Trainer(network, run.data.train, run.loader, settings, "train", epochs, run.parts, run.config.precision)


def train_to_the_end(
    run: SearchRun,
    trainer: Trainer,
    state_now: Callable[[], PhaseState],
    *,
    delivered: ArchSpec,
    work_per_image: float,
    name: str = "",
) -> None:
    """Train with a report after every epoch; the points of a baseline are called `NAME/loss` etc.

    Args:
        delivered: the architecture whose export is prepared towards the end.
        work_per_image: in MACs.
        name: of the baseline that is trained; "": the chosen network.
    """
    preparation = Preparation(delivered.to_json(), run.config.export.formats)

    def report() -> None:
        metrics = trainer.take_epoch_metrics()
        named = {f"{name}/{key}": value for key, value in metrics.items()} if name else metrics
        run.reporter.add_point(trainer.position[0], named)
        run.prepare_export(preparation.to_json())

    run_epochs(
        run,
        trainer,
        state_now,
        work_per_epoch=len(trainer.images) * work_per_image,
        report=report,
        baseline=name or None,
    )


def _better(run: SearchRun, trained: Network, state: TrainingState) -> BestSoFar:
    """The network in training once it is ahead of the finalist that it began as; in its first epochs it is not.

    Either is reported with what was measured before: the one in training has seen the validation images since.
    """
    finalist = _finalist(run, trained.arch, state)
    ahead = run.quick_top1_pct(trained) >= run.recalibrated_top1_pct(finalist)
    return BestSoFar(trained if ahead else finalist, state.val_top1_pct)


def _finalist(run: SearchRun, arch: ArchSpec, state: TrainingState) -> Network:
    network = build_network(arch, dropout=run.config.train.dropout)
    network.load_state_dict(state.inherited)
    return network.to(run.device)
