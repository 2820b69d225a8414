"""Facts of a made-up search, to render reports from."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from autonl_core.phases.layer_facts import layer_facts
from autonl_core.report.facts import ArchitectureFacts, DatasetFacts, Facts, Mistake, RunFacts, TestFacts
from autonl_core.spec.comparison import Comparison, FinalistScore, Gap
from autonl_core.spec.history import History
from autonl_core.spec.macs import COUNTING_RULE, count_macs, count_params
from autonl_core.spec.pretrained_start import PretrainedStart, ResolutionTrial
from autonl_core.spec.result import BaselineResult, Certificate, FormatParity
from autonl_core.spec.weight_set import IMAGENET
from autonl_core.spec.zoo import ZOO, adapt

PLAIN = ("cat", "dog", "horse")


def facts(classes: tuple[str, ...] = PLAIN, *, per_class: int = 20, side: int = 8, **changes: Any) -> Facts:
    """Results in which the second test image of every class is predicted to be of the next; images are noise."""
    rng = np.random.default_rng(0)
    arch = adapt(ZOO["autonl_s"].arch, resolution=32, num_classes=len(classes))
    labels = np.repeat(np.arange(len(classes)), per_class)
    predicted = labels.copy()
    predicted[1::per_class] = (predicted[1::per_class] + 1) % len(classes)
    correct = int((labels == predicted).sum())
    counts = np.full(len(classes), per_class)
    times = dict.fromkeys(("stem", "head", "classifier", *(f"blocks.{i}" for i in range(len(arch.blocks)))), 1.0)
    noise = rng.integers(0, 256, (24, side, side, 3), dtype=np.uint8)
    history = History()
    for epoch in (1, 2, 3):
        gates = {f"gate/{position}.{name}": 0.5 for position in (0, 1) for name in ("kernel", "light_nl")}
        values = {"loss": 2.0 / epoch, "val_loss": 2.1 / epoch, "val_top1_pct": 20.0 * epoch, "expected_macs": 5e5}
        history.add(
            "searching", epoch, epoch, values | {"derived_macs": 4e5, "lambda": 0.1, "gate_entropy": 1.0} | gates
        )
        history.add("training", epoch, epoch, {"loss": 1.0 / epoch, "train_top1_pct": 30.0 * epoch, "lr": 0.1})
    made = Facts(
        dataset=DatasetFacts(
            name="animals",
            kind="zip",
            fingerprint="0" * 32,
            classes=classes,
            image_size=side,
            resolution=side,
            train_counts=5 * counts,
            val_counts=counts // 2,
            test_counts=counts,
            mean=(0.5, 0.5, 0.5),
            std=(0.2, 0.2, 0.2),
            samples={label: tuple(noise[:5]) for label in range(min(30, len(classes)))},
        ),
        architecture=ArchitectureFacts(
            arch_id="f" * 16,
            arch_string="in32 | cn_k3_s1_c8 | fc3",
            macs=count_macs(arch).total,
            params=count_params(arch),
            layers=layer_facts(arch, times),
            space="mobile-32",
            chosen_as="by_scores",
            comparison=Comparison(
                measure="val_top1_pct on shared weights",
                candidates=12,
                mean={"drawn": 50.0, "random": 40.0},
                best={"drawn": 51.0, "random": 45.0},
                ahead_of={"random": Gap(11.0, 2.0), "uniform": Gap(1.0, 2.0), "without_light_nl": Gap(-1.0, 0.2)},
                rounds=(
                    (
                        FinalistScore("by_scores", 0.5, 60.0),
                        FinalistScore("without_light_nl", 0.6, 58.0, Gap(2.0, 0.5)),
                        FinalistScore("widest", 0.7, 55.0, Gap(5.0, 1.0)),
                    ),
                    (FinalistScore("by_scores", 0.4, 62.0), FinalistScore("widest", 0.5, 60.0, Gap(2.0, 2.0))),
                ),
            ),
        ),
        test=TestFacts(
            correct=correct,
            correct_top5=None,  # of three classes
            images=len(labels),
            loss=0.5,
            labels=labels,
            predicted=predicted,
            confidence=rng.uniform(0.2, 1, len(labels)).astype(np.float32),
            mistakes=tuple(Mistake(0, 1, 0.9, image) for image in noise),
            val_top1_pct=60.0,
            val_images=30,
        ),
        budget_macs=2 * count_macs(arch).total,
        counting_rule=COUNTING_RULE,
        history=history,
        run=RunFacts(
            config={"seed": 7, "train": {"epochs": 3, "weights": "retrain"}, "baselines": ["mobilenet_v2"]},
            seconds_by_phase={"searching": 60.0, "training": 30.0},
            stop_reason="converged",
            exact=True,
            notes=(),
            environment={"torch": "2.13"},
            machine={"threads": 2},
        ),
        certificate=Certificate("model.onnx", COUNTING_RULE, 32, 1000, 900, 100, 10.0, {"Conv": 900}),
        parity={
            "safetensors": FormatParity(57, 95.0, 0.0, 0, 1000, "a" * 64),
            "onnx-int8": FormatParity(40, 66.7, 2.0, 17, 300, "b" * 64, withheld="it loses 28.3 points"),
        },
        latency_ms={"eager": {"1": 1.5, "32": 16.0}},
    )
    return replace(made, **changes)


def baseline(correct: int | None, problem: str | None = None) -> BaselineResult:
    """MobileNetV2 with `correct` of the 60 test images."""
    top1_pct = None if correct is None else 100 * correct / 60
    return BaselineResult("mobilenet_v2", "in32", 500_000, 70_000, correct, top1_pct, problem)


def rival(name: str, correct: int | None, *, work_share: float = 1.02, problem: str | None = None) -> BaselineResult:
    """One that comes from pretrained weights, at 64 pixels, with `correct` of the 60 test images."""
    top1_pct = None if correct is None else 100 * correct / 60
    return BaselineResult(name, "in64", 31_348_352, 70_000, correct, top1_pct, problem, 64, 41, work_share)


def start(**changes: Any) -> PretrainedStart:
    """Weights of a university, adapted at two resolutions."""
    made = PretrainedStart(
        weights="lite0",
        sha256="c" * 64,
        network="efficientnet_lite0",
        source="the training of <a lab>",
        licence="Apache-2.0",
        top1_pct=75.1,
        num_classes=1000,
        normalisation=IMAGENET,
        teacher_resolution=128,
        teacher_val_top1_pct=88.4,
        trials=(ResolutionTrial(96, 0.61, 80.1), ResolutionTrial(80, 0.7, 78.3)),
        resolution=96,
        inherited=True,
    )
    return replace(made, **changes)
