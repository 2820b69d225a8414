"""Log lines in both formats, with the ids of what they are about."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import threading
from typing import Any

import pytest

from telemetry.ids import current_ids, ids, live_ids
from telemetry.log_lines import JsonLines, as_text

TEXT = logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s")


def record(message: str = "it is 5 %", error: Exception | None = None, **extra: Any) -> logging.LogRecord:
    exc_info = (type(error), error, None) if error is not None else None
    made = logging.LogRecord("worker.sink", logging.INFO, __file__, 1, message, None, exc_info)
    made.__dict__.update(extra)
    return made


def test_a_json_line_has_time_level_logger_message_ids_and_fields() -> None:
    with ids(request_id="r1", tenant_id="t1", key_id=None), ids(search_id="s1", attempt=2):
        line = json.loads(JsonLines().format(record(status=202)))
    assert line.pop("time").endswith("Z")
    assert line == {
        "level": "INFO",
        "logger": "worker.sink",
        "message": "it is 5 %",
        "request_id": "r1",
        "tenant_id": "t1",
        "search_id": "s1",
        "attempt": "2",
        "status": 202,
    }


@pytest.mark.parametrize("message", ["two\nlines", 'a "quoted" word', "µ × ≤", "\x00\x1b[31m"])
def test_a_json_line_is_one_line_whatever_is_in_it(message: str) -> None:
    line = JsonLines().format(record(message))
    assert "\n" not in line
    assert json.loads(line)["message"] == message


def test_users_read_text_whatever_the_format_of_the_log() -> None:
    records = [record(), record("two\nlines"), record("failed", ValueError("no such column"))]
    assert as_text("".join(f"{JsonLines().format(one)}\n" for one in records)) == "".join(
        f"{TEXT.format(one)}\n" for one in records
    )


@pytest.mark.parametrize("line", ["Traceback (most recent call last):\n", '{"time": "2026-', '{"time": 5}\n', "\n", ""])
def test_what_is_no_json_line_stays_as_it_is(line: str) -> None:
    assert as_text(line) == line


def test_ids_end_with_their_block_and_inner_ones_win() -> None:
    with ids(search_id="a", attempt=1):
        with ids(search_id="b"):
            assert current_ids() == {"search_id": "b", "attempt": "1"}
        assert current_ids() == {"search_id": "a", "attempt": "1"}
    assert current_ids() == {}


def test_live_ids_are_read_when_a_line_is_written() -> None:
    known: dict[str, str] = {}
    with live_ids(lambda: known):
        assert current_ids() == {}
        known["tenant_id"] = "t1"
        assert current_ids() == {"tenant_id": "t1"}


def test_a_thread_of_its_own_has_no_ids_of_a_request() -> None:
    seen: list[dict[str, str]] = []
    with ids(request_id="r1"):
        thread = threading.Thread(target=lambda: seen.append(current_ids()))
        thread.start()
        thread.join()
    assert seen == [{}]


def run(code: str) -> str:
    """What a fresh process prints to standard error."""
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stderr


def test_ids_of_a_process_are_known_in_all_of_its_threads_and_warnings_are_json_too() -> None:
    code = """
import logging, threading, warnings
from telemetry.ids import set_process_ids
from telemetry.log_lines import configure_logging
configure_logging("INFO", "json")
set_process_ids(search_id="s1", request_id=None)
thread = threading.Thread(target=lambda: logging.getLogger("x").info("here"))
thread.start()
thread.join()
warnings.warn("beware")
"""
    lines = [json.loads(line) for line in run(code).splitlines()]
    assert [line["search_id"] for line in lines] == ["s1", "s1"]
    assert "beware" in lines[1]["message"]


def test_who_did_what_is_logged_at_any_level() -> None:
    code = """
import logging
from telemetry.log_lines import configure_logging
configure_logging("ERROR", "text")
for name in ("autonl.access", "autonl.audit", "worker"):
    logging.getLogger(name).info("line of %s", name)
"""
    assert [line.rpartition(": ")[2] for line in run(code).splitlines()] == ["line of autonl.audit"]
