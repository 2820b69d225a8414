"""Views mirror the core's dataclasses: a field added there appears in responses; no view describes a missing one."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import pytest
from pydantic import ValidationError

from api.schemas.architectures import ArchitectureSummary, LightNLView
from api.schemas.base import View, mirrors
from api.schemas.datasets import DatasetProblemView, DatasetReportView
from api.schemas.progress import ProgressView
from api.schemas.result_parts import (
    BaselineResultView,
    CertificateView,
    LatencyCheckView,
    NotSureView,
    ParityView,
    ProbabilityCalibrationView,
)
from api.schemas.searches import (
    PretrainedStartView,
    ResolutionTrialView,
    ResultView,
)
from api.schemas.weights import NormalisationView, WeightProblemView
from autonl_core.datasets.check_report import DatasetProblem, DatasetReport
from autonl_core.spec.arch import LightNLSpec
from autonl_core.spec.not_sure import NotSure
from autonl_core.spec.pretrained_start import PretrainedStart, ResolutionTrial
from autonl_core.spec.probability_calibration import ProbabilityCalibration
from autonl_core.spec.progress import ArchitectureRecord, Progress
from autonl_core.spec.result import BaselineResult, Certificate, FormatParity, LatencyCheck, SearchResult
from autonl_core.spec.weight_set import Normalisation, WeightProblem

MIRRORS: list[tuple[type[View], type[Any], set[str]]] = [
    (ArchitectureSummary, ArchitectureRecord, {"arch", "val_images"}),
    (BaselineResultView, BaselineResult, set()),
    (CertificateView, Certificate, set()),
    (DatasetProblemView, DatasetProblem, set()),
    (DatasetReportView, DatasetReport, set()),
    (LatencyCheckView, LatencyCheck, set()),
    (LightNLView, LightNLSpec, set()),
    (NotSureView, NotSure, set()),
    (ParityView, FormatParity, set()),
    (PretrainedStartView, PretrainedStart, set()),
    (ProbabilityCalibrationView, ProbabilityCalibration, set()),
    (ProgressView, Progress, set()),
    (ResolutionTrialView, ResolutionTrial, set()),
    (ResultView, SearchResult, {"checkpoint", "networks", "test_right"}),
    (NormalisationView, Normalisation, set()),
    (WeightProblemView, WeightProblem, set()),
]


@dataclass(frozen=True)
class Point:
    x: int
    y: int = 0
    secret: str = ""


@pytest.mark.parametrize(("view", "source", "private"), MIRRORS, ids=lambda value: getattr(value, "__name__", None))
def test_a_view_has_every_public_field_of_its_dataclass_in_order(
    view: type[View], source: type[Any], private: set[str]
) -> None:
    public = [field.name for field in fields(source) if field.name not in private]
    assert list(view.model_fields) == public
    assert view.__doc__ != source.__doc__


def test_a_mirrored_field_is_required_and_typed_as_in_the_dataclass() -> None:
    @mirrors(Point, without={"secret"}, types={"y": float}, descriptions={"x": "to the right"})
    class PointView(View):
        """A point."""

    assert PointView.model_validate(Point(1, 2, "hunter2")).model_dump() == {"x": 1, "y": 2.0}
    described = PointView.model_json_schema()
    assert (described["title"], described["description"]) == ("PointView", "A point.")
    assert described["required"] == ["x", "y"]
    assert described["properties"]["x"]["description"] == "to the right"
    with pytest.raises(ValidationError):
        PointView.model_validate({"x": 1})


@pytest.mark.parametrize("argument", ["without", "types", "descriptions"])
def test_what_is_said_about_a_field_that_does_not_exist_is_an_error(argument: str) -> None:
    settings: dict[str, Any] = {argument: {"z": "gone"}}
    with pytest.raises(TypeError, match="Point has no field z"):
        mirrors(Point, **settings)
