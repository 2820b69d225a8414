"""The phase `training`: networks that learn from all training images, step by step resumable."""

from __future__ import annotations

from collections.abc import Callable

from autonl_core.nn.network import Network, build_network
from autonl_core.run.pace import child_work
from autonl_core.run.run_state import State
from autonl_core.run.search_run import QUICK_IMAGES, BestSoFar, SearchRun
from autonl_core.supernet.gates import Choice
from autonl_core.training.trainer import Trainer


def train_chosen(run: SearchRun, state: State) -> Trainer:
    """Train the chosen network on all training images, validation ones included: there is nothing left to decide."""
    run.enter("training")
    choice: Choice = tuple(state["choice"])
    arch = run.table.arch(choice)
    run.sink.architecture(run.record_of(arch, val_top1_pct=state["val_top1_pct"]))
    network = build_network(arch, seed=run.config.seed, dropout=run.config.train.dropout)
    if run.config.train.weights == "inherit":
        network.load_state_dict(state["inherited"])
    settings = run.config.train
    network = network.to(run.device)
    trainer = Trainer(network, run.data.train, run.loader, settings, "train", settings.epochs, run.micro_batches)
    if "trainer" in state:
        trainer.load_state_dict(state["trainer"])

    def state_now() -> State:
        return {**state, "trainer": trainer.state_dict()}

    run.best_so_far = lambda: _better(run, trainer.averaged(QUICK_IMAGES), state)
    train_to_the_end(run, trainer, state_now)
    run.leave("training")
    return trainer


def train_to_the_end(
    run: SearchRun, trainer: Trainer, state_now: Callable[[], State], *, name: str = "", epochs_before: int = 0
) -> None:
    """Train, telling, saving and stopping as every phase does. Points of a baseline are called `NAME/loss` etc."""
    epochs = (1 + len(run.config.baselines)) * trainer.epochs
    per_step = child_work(run.config) * len(trainer.images) / trainer.steps

    def report() -> None:
        metrics = trainer.take_epoch_metrics()
        shown = {f"{name}/{key}": value for key, value in metrics.items()} if name else metrics
        run.add_point("training", trainer.position[0], shown)

    if trainer.unreported:  # stopped between an epoch's last step and its report
        report()
    while not trainer.finished:
        epoch = trainer.position[0]
        for step in trainer.run_epoch():
            run.pace.done += per_step
            run.tell("training", epochs_before + epoch + 1, epochs, step + 1, trainer.steps)
            run.stop_if_asked(state_now)
            run.save_if_due(state_now)
        report()
        run.save(state_now())


def _better(run: SearchRun, trained: Network, state: State) -> BestSoFar:
    """The network in training once it is ahead of the finalist that it began as; in its first epochs it is not.

    Either is reported with what was measured before: the one in training has seen the validation images since.
    """
    finalist = build_network(trained.arch, dropout=run.config.train.dropout)
    finalist.load_state_dict(state["inherited"])
    finalist = finalist.to(run.device)
    ahead = run.some_top1_pct(trained) >= run.quick_top1_pct(finalist)
    return BestSoFar(trained if ahead else finalist, state["val_top1_pct"])
