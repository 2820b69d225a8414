"""The report of a dataset check: problems, each with its files and how to fix it, and statistics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal

Severity = Literal["error", "warning", "info"]

SHOWN_FILES = 20
SHOWN_CLASSES = 100  # of each reading of an ambiguous dataset
SHOWN_PAIRS = 100
MAX_SHEETS = 1000  # contact sheets; classes beyond that have none
CHECK_VERSION = 3  # to be increased when the check may say something else of the same content
_RANK: dict[Severity, int] = {"error": 0, "warning": 1, "info": 2}


@dataclass(frozen=True)
class DatasetProblem:
    """A finding of the check. A dataset with an error cannot be used; other severities do not prevent its use."""

    severity: Severity
    code: str  # stable, for programs
    detail: str  # what it means, and how to fix it
    files: list[str]  # the first SHOWN_FILES
    count: int  # of all affected files; 0 if it concerns the whole dataset


@dataclass(frozen=True)
class SamePicture:
    """A training image that shows the same picture as a test image."""

    file: str  # in the training split
    shows: str  # the image in the test split
    kind: Literal["exact", "near"]  # the same bytes, or pixels that match
    distance: float  # root mean square difference of the pixels, in levels of 255


@dataclass
class DatasetReport:
    """Filled by a check step by step; stored and shown as JSON."""

    problems: list[DatasetProblem] = field(default_factory=list)
    files: int = 0  # images or not
    images: int = 0  # usable ones
    classes: list[dict[str, Any]] = field(default_factory=list)  # name, train, test
    sizes: dict[str, Any] = field(default_factory=dict)  # pixels
    formats: dict[str, int] = field(default_factory=dict)
    duplicates: dict[str, int] = field(default_factory=dict)
    pairs: list[SamePicture] = field(default_factory=list)  # the first SHOWN_PAIRS of those across splits
    readings: list[dict[str, Any]] = field(default_factory=list)  # of an ambiguous dataset: layout, detail, classes
    sheets: int = 0  # contact sheets: one for each of the first classes
    seconds: float = 0.0
    check_version: int = CHECK_VERSION

    def add(
        self, severity: Severity, code: str, detail: str, files: Sequence[str] = (), count: int | None = None
    ) -> None:
        """Add a problem; `count` defaults to the number of `files`."""
        shown = list(files[:SHOWN_FILES])
        self.problems.append(DatasetProblem(severity, code, detail, shown, len(files) if count is None else count))

    @property
    def has_errors(self) -> bool:
        return any(problem.severity == "error" for problem in self.problems)

    def to_json(self) -> dict[str, Any]:
        """The report as JSON, most severe problems first."""
        data = asdict(self)
        data["problems"].sort(key=lambda problem: _RANK[problem["severity"]])
        return data

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> DatasetReport:
        """The inverse of `to_json`.

        Fields that an earlier version did not write get their defaults, and those of a later one are left out.
        """
        values = _known(DatasetReport, data)
        values.setdefault("check_version", 1)
        values["problems"] = [DatasetProblem(**_known(DatasetProblem, one)) for one in data.get("problems", ())]
        values["pairs"] = [SamePicture(**_known(SamePicture, one)) for one in data.get("pairs", ())]
        return DatasetReport(**values)


def _known(kind: type[DatasetReport | DatasetProblem | SamePicture], data: Mapping[str, Any]) -> dict[str, Any]:
    names = {each.name for each in fields(kind)}
    return {name: value for name, value in data.items() if name in names}


def failed_report(code: str, detail: str) -> DatasetReport:
    """The report of a check that could not be completed."""
    report = DatasetReport()
    report.add("error", code, detail)
    return report
