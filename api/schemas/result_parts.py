"""Parts of the result of a search: its formats, its certificate, its baselines, its classes."""

from __future__ import annotations

from api.schemas.base import View, mirrors
from autonl_core.spec.not_sure import NotSure
from autonl_core.spec.probability_calibration import ProbabilityCalibration
from autonl_core.spec.result import (
    BaselineResult,
    Certificate,
    ClassResult,
    ConstraintCheck,
    FormatParity,
    LatencyCheck,
)


@mirrors(
    FormatParity,
    descriptions={
        "correct": "correctly classified test images; null: it could not be evaluated",
        "max_logit_diff": "largest difference of any logit from the safetensors file",
        "disagreeing_images": "test images assigned to another class than by the safetensors file",
        "withheld": "why the file is not available; null: it is",
    },
)
class ParityView(View):
    """The network in one format, evaluated on the whole test split by a process without AutoNL's code."""


@mirrors(ConstraintCheck, descriptions={"name": "as in `constraints` of the search"})
class ConstraintCheckView(View):
    """What the delivered network has of something that the search limits besides MACs."""


@mirrors(
    Certificate,
    types={"constraints": list[ConstraintCheckView]},
    descriptions={"constraints": "what else is limited; empty: nothing is"},
)
class CertificateView(View):
    """MACs of one image, counted from the nodes of the exported graph alone."""


@mirrors(
    LatencyCheck,
    descriptions={
        "device": "processor, threads and version of ONNX Runtime, in words",
        "at_most_ms": "`constraints.latency_ms` of the search",
        "predicted_ms": "by the device table",
        "measured_ms": "on the device; null: the network was exported on another one",
        "not_measured": "why it was not; null: it was",
    },
)
class LatencyCheckView(View):
    """The latency of the network on the device that the search limits it for: one image, float32, ONNX Runtime."""


@mirrors(
    BaselineResult,
    descriptions={
        "test_correct": "null: its training failed, or it does not fit the budget, see `problem`",
        "epochs": "passes over the training images",
        "work_share": "compute that it took, relative to the search for the result; null: not stored",
    },
)
class BaselineResultView(View):
    """What the result is compared with: a published network, or one from the pretrained weights of the search."""


@mirrors(
    ClassResult,
    descriptions={
        "correct": "test images of the class that are recognised",
        "predicted": "test images of any class that are predicted to be of it",
    },
)
class ClassResultView(View):
    """Images of one class, and how many of them the network recognises."""


@mirrors(
    NotSure,
    descriptions={
        "below": "a probability from 0 to 1",
        "test_images": "whose best class had a lower probability",
        "test_correct": "of these, fewer than half",
    },
)
class NotSureView(View):
    """Below which probability of its best class a network is not sure: fewer than half of such answers were right."""


@mirrors(
    ProbabilityCalibration,
    descriptions={
        "temperature": "folded into the classifier of the network; 1: no other one was better beyond chance",
        "test_images": "that it was found on, and the errors",
        "error_before": "expected calibration error without it, 0 to 1",
        "error_after": "the same with it, each image judged by a temperature that it did not choose",
    },
)
class ProbabilityCalibrationView(View):
    """How far the probabilities of a network are from how often it is right."""
