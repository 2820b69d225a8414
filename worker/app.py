"""The Celery side of a worker: one task that a ring starts, and the warning that the worker has to stop.

Celery brings the rings and keeps the slots; what a search is and how it ends is known to the supervisor and the rows.
Rings are acknowledged early and carry nothing, because after the claim the lease protects the search.
"""

from __future__ import annotations

import functools
import mmap
import os
import socket
from collections.abc import Sequence
from typing import Any

from celery import Celery, signals

from store.queue import QUEUE_NAME, TASK_NAME, TRANSPORT_OPTIONS
from store.settings import Settings
from store.stores import open_stores
from worker.process import CHILD_COMMAND
from worker.supervisor import Supervisor

# One byte that the worker and the processes it forks share: 1 means that the worker has to stop. A task cannot see
# the worker's SIGTERM by itself.
_draining = mmap.mmap(-1, 1)

settings = Settings()
child_command: Sequence[str] = CHILD_COMMAND  # what a supervisor runs as a search's process
app = Celery("autonl", broker=settings.broker_url)
app.conf.update(
    accept_content=["json"],
    broker_connection_max_retries=None,
    broker_connection_retry_on_startup=True,
    broker_transport_options=TRANSPORT_OPTIONS,
    result_backend=None,
    task_acks_late=False,
    task_default_queue=QUEUE_NAME,
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


@app.task(name=TASK_NAME)  # type: ignore[untyped-decorator]
def run_searches() -> None:
    """Somebody rang: run searches until none is due."""
    _supervisor().run_until_idle()


@functools.cache
def _supervisor() -> Supervisor:
    """The supervisor of this slot, made in the process that the task runs in: connections do not survive a fork."""
    owner = f"{socket.gethostname()}:{os.getpid()}"
    return Supervisor(open_stores(settings), owner, draining=lambda: _draining[0] == 1, command=child_command)
