"""What slots, which are processes of their own, report to the process that serves the metrics."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from telemetry.metrics import WorkerMetrics
from tests.servers import wait_for
from tests.telemetry.test_metrics import values
from worker.slot_news import SlotNews


def test_slots_are_counted_while_they_run_a_search_and_ends_by_their_class(tmp_path: Path) -> None:
    code = """
import os, sys, time
from pathlib import Path
from prometheus_client import generate_latest
from telemetry.metrics import WorkerMetrics
from worker.slot_news import SlotNews

news = SlotNews()
def slot(stays):
    if not (pid := os.fork()):
        news.began()
        if stays:
            time.sleep(60)
        news.ended("crashed", 2.5)
        os._exit(0)
    return pid
staying = slot(True)
os.waitpid(slot(False), 0)
metrics = WorkerMetrics(Path(sys.argv[1]), 2)
news.count_into(metrics)
while b'exit_class="crashed"} 1.0' not in generate_latest(metrics.registry):
    time.sleep(0.01)
print(generate_latest(metrics.registry).decode().partition("\\nautonl_slots_used ")[2].split()[0])
os.kill(staying, 9)
os.waitpid(staying, 0)
print(generate_latest(metrics.registry).decode().partition("\\nautonl_slots_used ")[2].split()[0])
"""
    command = [sys.executable, "-c", code, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.split() == ["1.0", "0.0"], done.stderr  # the one that was killed reported no end


def test_a_slot_does_not_wait_for_a_reader() -> None:
    news = SlotNews()
    for _ in range(5000):  # far more than the pipe holds
        news.began()


def test_news_arrive_in_the_process_that_reads(tmp_path: Path) -> None:
    news, metrics = SlotNews(), WorkerMetrics(tmp_path, 1)
    news.count_into(metrics)
    news.began()
    wait_for(lambda: values(metrics.registry)["autonl_slots_used"] == 1, f"slot {os.getpid()} is used")
    news.ended("drained", 1)
    wait_for(lambda: values(metrics.registry)["autonl_slots_used"] == 0, "it is free")
