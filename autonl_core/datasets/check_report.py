"""What the check of a data set tells: problems, each with the files it is about and the way out, and figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal

Severity = Literal["error", "warning", "info"]

SHOWN_FILES = 20
MAX_SHEETS = 1000  # of a data set with more classes, the first have a contact sheet
_RANK: dict[Severity, int] = {"error": 0, "warning": 1, "info": 2}


@dataclass(frozen=True)
class DatasetProblem:
    """Something a person should know. An error keeps the data set from being used; nothing else does."""

    severity: Severity
    code: str  # stable word for programs
    detail: str  # what it means, and what to do
    files: list[str]  # the first of them
    count: int  # of all files it is about; 0: it is about the whole


@dataclass
class DatasetReport:
    """Filled by a check, step by step; plain JSON as it is stored and shown."""

    problems: list[DatasetProblem] = field(default_factory=list)
    files: int = 0  # of whatever kind
    images: int = 0  # that are used
    classes: list[dict[str, Any]] = field(default_factory=list)  # name, train, test
    sizes: dict[str, Any] = field(default_factory=dict)  # pixels
    formats: dict[str, int] = field(default_factory=dict)
    duplicates: dict[str, int] = field(default_factory=dict)
    sheets: int = 0  # classes that have a contact sheet, from the first one on
    seconds: float = 0.0

    def add(
        self, severity: Severity, code: str, detail: str, files: Sequence[str] = (), count: int | None = None
    ) -> None:
        """Note a problem."""
        shown = list(files[:SHOWN_FILES])
        self.problems.append(DatasetProblem(severity, code, detail, shown, len(files) if count is None else count))

    @property
    def has_errors(self) -> bool:
        return any(problem.severity == "error" for problem in self.problems)

    def to_json(self) -> dict[str, Any]:
        """Worst problems first."""
        data = asdict(self)
        data["problems"].sort(key=lambda problem: _RANK[problem["severity"]])
        return data

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> DatasetReport:
        """The inverse of `to_json`; fields that an earlier version did not write get their defaults."""
        names = {each.name for each in fields(DatasetReport)}
        values = {name: value for name, value in data.items() if name in names}
        values["problems"] = [DatasetProblem(**problem) for problem in data.get("problems", ())]
        return DatasetReport(**values)


def failed_report(code: str, detail: str) -> DatasetReport:
    """The report of a check that came to nothing."""
    report = DatasetReport()
    report.add("error", code, detail)
    return report
