"""The Celery side of a worker: one task, started by a notification, and a flag that the worker has to stop.

Celery delivers notifications and provides slots; the supervisor and the rows know what a search is and how it ends.
Notifications are acknowledged early and carry no content, because once claimed a search is protected by its lease.
"""

from __future__ import annotations

import functools
import mmap
import os
import socket
import sys
from collections.abc import Sequence
from typing import Any

from billiard.process import current_process
from celery import Celery, signals

from store.queue import QUEUE_NAME, TASK_NAME, TRANSPORT_OPTIONS, queue_of
from store.settings import Settings
from store.stores import open_stores
from store.turns import SERVED_BY_GPU, SERVED_WITHOUT_GPU
from telemetry.log_lines import configure_logging
from telemetry.traces import configure_tracing, stop_tracing
from worker.devices.device import CpuSlot, Slot
from worker.devices.gpu import PROBE_COMMAND
from worker.devices.gpu_slot import GpuSlot
from worker.devices.nvml import DeviceError
from worker.devices.selection import slots_of, units_of
from worker.process import SEARCH_COMMAND
from worker.slot_news import SlotNews
from worker.spare import Spare
from worker.supervisor import Supervisor

# What slots report to the worker's main process.
slot_news = SlotNews()

# One byte shared by the worker and the processes it forks: 1 means that the worker has to stop. A task cannot see the
# SIGTERM that its worker receives.
_draining = mmap.mmap(-1, 1)


def _find_gpus(settings: Settings) -> tuple[str, ...]:
    """UUIDs of the GPUs and MIG slices of this worker; none on the CPU. Exits if they cannot be used."""
    if settings.device != "cpu":
        configure_logging(settings.log_level, settings.log_format)  # this comes before Celery's signal
    try:
        return units_of(settings)
    except DeviceError as error:
        sys.exit(f"the worker cannot start: {error}")


search_command: Sequence[str] = SEARCH_COMMAND
probe_command: Sequence[str] = PROBE_COMMAND
settings = Settings()
gpus = _find_gpus(settings)  # once, before slots are forked: a driver does not survive that
settings = settings.for_slots(slots_of(settings, gpus))
served = SERVED_BY_GPU if gpus else SERVED_WITHOUT_GPU
app = Celery("autonl", broker=settings.broker_url)
app.conf.update(
    accept_content=["json"],
    broker_connection_max_retries=None,
    broker_connection_retry_on_startup=True,
    broker_transport_options=TRANSPORT_OPTIONS,
    result_backend=None,
    task_acks_late=False,
    task_default_queue=QUEUE_NAME,
    task_queues={
        name: {"exchange": name, "exchange_type": "direct", "routing_key": name} for name in map(queue_of, served)
    },
    task_ignore_result=True,
    task_publish_retry=False,
    task_serializer="json",
    worker_cancel_long_running_tasks_on_connection_loss=False,
    worker_concurrency=settings.slots,
    worker_disable_prefetch=True,
    worker_enable_remote_control=False,
    worker_pool="prefork",
    worker_prefetch_multiplier=1,
    worker_send_task_events=False,
)


@signals.worker_shutting_down.connect  # type: ignore[untyped-decorator]  # in the worker's main process
def _drain(**_: Any) -> None:
    _draining[0] = 1


@signals.setup_logging.connect  # type: ignore[untyped-decorator]  # in place of Celery's own format
def _log(**_: Any) -> None:
    configure_logging(settings.log_level, settings.log_format)


@signals.worker_process_init.connect  # type: ignore[untyped-decorator]  # in each slot's process
def _prepare(**_: Any) -> None:
    configure_tracing("worker", settings.trace_endpoint)  # its threads would not survive the fork
    _spare().renew(device=_slot().preferred)


@signals.worker_process_shutdown.connect  # type: ignore[untyped-decorator]
def _end(**_: Any) -> None:
    stop_tracing()


@app.task(name=TASK_NAME)  # type: ignore[untyped-decorator]
def run_searches() -> None:
    """Notified: run due searches until none is left."""
    _supervisor().run_until_idle()


@functools.cache
def _supervisor() -> Supervisor:
    """The supervisor of this slot, created in the process that runs the task: connections do not survive a fork."""
    owner = f"{socket.gethostname()}:{os.getpid()}"
    return Supervisor(
        open_stores(settings),
        owner,
        draining=_is_draining,
        command=search_command,
        spare=_spare(),
        observer=slot_news,
        slot=_slot(),
    )


def _is_draining() -> bool:
    return _draining[0] == 1


@functools.cache
def _slot() -> Slot:
    """What the searches of this slot compute on, with locks that its process opens."""
    if not gpus:
        return CpuSlot()
    return GpuSlot(gpus, settings, number=getattr(current_process(), "index", 0), probe=probe_command)


@functools.cache
def _spare() -> Spare:
    """The search process that waits in this slot."""
    return Spare(search_command, settings)
