"""How log lines look: text for people, or one JSON object a line, with the ids of what the line is about.

A log in JSON is shown to users as text: `as_text` turns each line into what the text format would have written.
"""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from typing import Literal

from telemetry.ids import current_ids

LogFormat = Literal["text", "json"]

ACCESS, AUDIT = "autonl.access", "autonl.audit"  # names of loggers
_TEXT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
_STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "ids"}
_TEXT_KEYS = ("time", "level", "logger", "message")


class JsonLines(logging.Formatter):
    """Time in UTC, level, logger, message; then the ids, the fields given as `extra`, and a traceback, if any."""

    def format(self, record: logging.LogRecord) -> str:
        moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line: dict[str, object] = {
            "time": moment.replace("+00:00", "Z"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **current_ids(),
            **{name: value for name, value in record.__dict__.items() if name not in _STANDARD},
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, ensure_ascii=False)


def configure_logging(level: str, log_format: LogFormat) -> None:
    """Log to standard error from `level` up; who did what is logged at any level. Once for each process."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines() if log_format == "json" else logging.Formatter(_TEXT))
    logging.basicConfig(level=level, handlers=[handler])
    logging.captureWarnings(log_format == "json")
    logging.getLogger(AUDIT).setLevel(logging.INFO)


def as_text(log: str) -> str:
    """A log with each line in JSON as the text format writes it; all other lines as they are."""
    return "".join(_line_as_text(line) for line in log.splitlines(keepends=True))


def _line_as_text(line: str) -> str:
    if not line.startswith('{"time":'):
        return line
    try:
        fields = json.loads(line)
        time, level, logger, message = (fields[key] for key in _TEXT_KEYS)
        moment = datetime.fromisoformat(time).astimezone().strftime("%Y-%m-%d %H:%M:%S,%f")[:-3]
    except (ValueError, KeyError, TypeError):
        return line  # cut, or printed by something else
    trace = f"\n{fields['exception']}" if "exception" in fields else ""
    return f"{moment} {level} {logger}: {message}{trace}" + ("\n" if line.endswith("\n") else "")
