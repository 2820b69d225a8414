"""Training, averaging and measuring one network."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from autonl_core.data.augment import Augmentation
from autonl_core.data.batches import Loader
from autonl_core.data.prepare import PreparedData, prepare
from autonl_core.datasets.spec import DIGITS
from autonl_core.nn.network import build_network
from autonl_core.spec.config_sections import TrainConfig
from autonl_core.spec.space_families import get_space
from autonl_core.training.adopt_statistics import STATISTICS_IMAGES
from autonl_core.training.evaluate import evaluate, recalibrate_batch_norm, score
from autonl_core.training.optim import WeightAverage, cosine_lr, make_optimizer
from autonl_core.training.trainer import Trainer

CONFIG = TrainConfig(epochs=2, warmup_epochs=1, ema_decay=0.9)


@pytest.fixture(scope="module")
def data(cache: Path) -> PreparedData:
    return prepare(DIGITS, 8, cache)


SHIFTED = Augmentation(flip=False, padding_px=1)
EVERYTHING = Augmentation(
    True, 1, erase=0.2, crop_min_scale=0.5, color_jitter=0.3, policy="randaugment", mixup=0.2, cutmix=1.0
)


def make_trainer(
    data: PreparedData, dropout: float = 0.0, augmentation: Augmentation = SHIFTED, **changes: Any
) -> Trainer:
    config = CONFIG.model_copy(update={"dropout": dropout, **changes})
    loader = Loader(data, torch.device("cpu"), 0, augmentation)
    network = build_network(get_space("tiny", 8, 10).smallest(), seed=0, dropout=dropout)
    return Trainer(network, data.train, loader, config, "train", config.epochs)


def run(trainer: Trainer) -> Trainer:
    while not trainer.finished:
        for _ in trainer.run_epoch():
            pass
    return trainer


@pytest.mark.long
@pytest.mark.parametrize("dropout", [0.0, 0.2])
def test_a_trainer_restored_in_mid_epoch_ends_with_the_same_weights(dropout: float, data: PreparedData) -> None:
    assert_resumed_alike(*(make_trainer(data, dropout) for _ in range(3)))


def test_so_does_one_by_the_published_recipe(data: PreparedData) -> None:
    steps = {"schedule": "steps", "lr_decay_epochs": 0.3}
    recipe: dict[str, Any] = {
        "optimizer": "rmsprop",
        "lr": 0.002,
        "stochastic_depth": 0.2,
        "bn_momentum": 0.01,
        **steps,
    }
    assert_resumed_alike(*(make_trainer(data, 0.2, **recipe) for _ in range(3)))


def test_the_rate_falls_in_steps_from_the_first_epoch_on(data: PreparedData) -> None:
    trainer = make_trainer(data, lr=0.1, warmup_epochs=0, schedule="steps", lr_decay=0.5, lr_decay_epochs=0.6)
    rates = []
    while not trainer.finished:
        rates += [trainer.optimizer.param_groups[0]["lr"] for _ in trainer.run_epoch()]
    steps = trainer.steps
    assert [rates[0], rates[int(0.55 * steps)], rates[int(0.7 * steps)], rates[-1]] == [0.1, 0.1, 0.05, 0.0125]


@pytest.mark.long
def test_so_does_one_with_every_option_whether_images_are_cached_or_decoded_by_readers(
    data: PreparedData, tmp_path: Path
) -> None:
    sharded = prepare(DIGITS, 8, tmp_path, cache_limit_bytes=1000)
    assert (data.sharded, sharded.sharded) == (False, True)
    trainers = [make_trainer(some, 0.1, EVERYTHING, class_balanced=True) for some in (data, sharded, sharded)]
    assert_resumed_alike(*trainers)


def assert_resumed_alike(whole: Trainer, first: Trainer, second: Trainer) -> None:
    run(whole)
    for step in first.run_epoch():
        if step == 9:
            break
    assert first.position == (0, 10)
    second.load_state_dict(first.state_dict())
    run(second)
    for (name, a), b in zip(
        whole.averaged().state_dict().items(), second.averaged().state_dict().values(), strict=True
    ):
        assert torch.equal(a, b), name
    assert second.take_epoch_metrics() == whole.take_epoch_metrics()


def test_what_is_shipped_is_the_average_with_statistics_of_its_own(data: PreparedData) -> None:
    trainer = run(make_trainer(data))
    shipped = trainer.averaged()
    average = dict(zip((name for name, _ in trainer.network.named_parameters()), trainer.average.values, strict=True))
    for name, parameter in shipped.named_parameters():
        assert torch.equal(parameter, average[name])
    moving, own = trainer.network.stem.norm.running_mean, shipped.stem.norm.running_mean
    assert moving is not None
    assert own is not None
    assert not torch.equal(own, moving)
    assert evaluate(shipped, trainer.loader.plain(data.test, 100)).top1_pct > 50


def test_with_fixed_statistics_it_ends_with_those_it_measured_first(data: PreparedData) -> None:
    """Twelve norms, none of which moves; what is shipped adopts the statistics of its data, and answers the same."""
    fixed: dict[str, Any] = {"bn_statistics": "fixed", "optimizer": "adamw", "lr": 0.002}
    trainer = make_trainer(data, **fixed)
    at_first = copy.deepcopy(trainer.network)
    recalibrate_batch_norm(at_first, trainer.loader.plain(data.train), STATISTICS_IMAGES)
    run(trainer)
    for name, value in trainer.network.named_buffers():
        assert torch.equal(value, at_first.get_buffer(name)), name
    averaged = copy.deepcopy(trainer.network).eval()
    trainer.average.copy_to(averaged.parameters())
    x, _ = next(trainer.loader.plain(data.test, 100))
    torch.testing.assert_close(trainer.averaged()(x), averaged(x), rtol=1e-3, atol=1e-4)
    assert_resumed_alike(*(make_trainer(data, **fixed) for _ in range(3)))


def test_recalibrated_statistics_are_those_of_the_data() -> None:
    norm = nn.Sequential(nn.BatchNorm2d(2, momentum=0.1)).eval()
    batches = [(torch.randn(10, 2, 4, 4) * 3 + 5, torch.zeros(10)) for _ in range(4)]
    recalibrate_batch_norm(norm, batches)
    mean = torch.stack([x.mean((0, 2, 3)) for x, _ in batches]).mean(0)
    variance = torch.stack([x.var((0, 2, 3)) for x, _ in batches]).mean(0)
    assert isinstance(norm[0], nn.BatchNorm2d)
    assert norm[0].running_mean == pytest.approx(mean)
    assert norm[0].running_var == pytest.approx(variance)
    assert norm[0].momentum == 0.1
    assert not norm.training


def test_a_score_counts_by_hand() -> None:
    logits = torch.tensor([[3.0, 2, 1, 0, -1, -2], [3.0, 2, 1, 0, -1, -2], [3.0, 2, 1, 0, -1, -2]])
    measured = score(lambda x: logits, [(torch.zeros(3, 1), torch.tensor([0, 4, 5]))])
    # label 0 ranks first, 4 fifth, 5 sixth
    assert (measured.correct, measured.correct_top5, measured.images) == (1, 2, 3)
    assert measured.top1_pct == pytest.approx(100 / 3)
    log_sum = torch.logsumexp(logits[0], 0).item()
    assert measured.loss == pytest.approx((3 * log_sum - (3 - 1 - 2)) / 3)


def test_among_the_first_five_of_five_classes_is_every_answer_and_no_figure() -> None:
    logits = torch.tensor([[3.0, 2, 1, 0, -1]])
    measured = score(lambda x: logits, [(torch.zeros(1, 1), torch.tensor([2]))])
    assert (measured.correct, measured.correct_top5, measured.top5_pct) == (0, None, None)


def test_the_learning_rate_rises_then_falls_to_nothing() -> None:
    rates = [cosine_lr(step, steps=100, warmup_steps=10, peak=1.0) for step in range(101)]
    assert rates[0] == pytest.approx(1 / 11)
    assert rates[10] == 1.0 == max(rates)
    assert rates[55] == pytest.approx(0.5)  # halfway down the cosine
    assert rates[100] == pytest.approx(0.0)


def test_scales_shifts_and_biases_are_not_decayed() -> None:
    network = build_network(get_space("tiny", 8, 10).largest())
    decayed, kept = make_optimizer(network, "sgd", lr=0.1, momentum=0.9, weight_decay=0.1).param_groups
    assert decayed["weight_decay"] == 0.1
    assert kept["weight_decay"] == 0.0
    assert all(p.ndim > 1 for p in decayed["params"])
    assert all(p.ndim <= 1 for p in kept["params"])
    assert len(decayed["params"]) + len(kept["params"]) == len(list(network.parameters()))


def test_a_young_average_forgets_its_start() -> None:
    value = torch.zeros(1)
    average = WeightAverage([value], decay=0.999)
    value.fill_(1.0)
    for _ in range(50):
        average.update([value])
    # decay (1 + t) / (10 + t): after 50 steps 9!-like products leave less than 10^-7 of the start
    assert average.values[0].item() == pytest.approx(1.0, abs=1e-6)
