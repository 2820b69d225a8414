"""Reads the event log for webhooks, and calls receivers: several at a time, each by one call at a time."""

from __future__ import annotations

import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

from store.db import UNAVAILABLE
from store.stores import Stores
from store.webhooks.retries import CallResult
from store.webhooks.rows import DeliveryState
from store.webhooks.sending import Call
from telemetry.ids import ids
from telemetry.metrics import SenderMetrics
from telemetry.traces import Span, span
from worker.webhooks.call import Caller
from worker.webhooks.signing import signed_headers

CLEAN_UP_S = 600.0

log = logging.getLogger(__name__)


class Sender:
    """Any number of senders may run, and any may die. Close it, or use it as a context manager."""

    def __init__(self, stores: Stores, caller: Caller, metrics: SenderMetrics | None = None) -> None:
        self._metrics = metrics or SenderMetrics(stores.settings.data_dir)
        self._stores = stores
        self._caller = caller
        slots = stores.settings.webhook_slots
        self._calls = ThreadPoolExecutor(slots, thread_name_prefix="webhook")
        self._free = threading.Semaphore(slots)
        self._wake = threading.Event()  # a call has ended: the next message of its receiver may be due
        self._clean_up_at = time.monotonic()

    def close(self) -> None:
        """Wait for the calls that are being made."""
        self._calls.shutdown(wait=True)

    def run(self, stopping: threading.Event) -> None:
        """Send until `stopping` is set."""
        while not stopping.is_set():
            self._wake.clear()
            if not self.tick(stopping):
                self._wait(stopping)

    def tick(self, stopping: threading.Event | None = None) -> bool:
        """Read new events, and start calls while slots are free. Survives an unavailable database.

        Returns:
            Whether a call was started or events were read.
        """
        busy = False
        try:
            if time.monotonic() >= self._clean_up_at:
                self._clean_up_at = time.monotonic() + CLEAN_UP_S
                if dropped := self._stores.webhook_sending.clean_up():
                    self._metrics.dropped.inc(dropped)
                    log.warning("%d messages of webhooks are dropped: too many, or waiting for too long", dropped)
            while self._stores.webhook_feed.read() and not (stopping and stopping.is_set()):
                busy = True
            while not (stopping and stopping.is_set()) and self._start_call():
                busy = True
        except UNAVAILABLE as error:
            log.warning("no webhook called, database unavailable: %s", error)
            return False
        return busy

    def _start_call(self) -> bool:
        """Claim a call and give it to a thread; False if no slot is free or nothing is due."""
        if not self._free.acquire(blocking=False):
            return False
        call = None
        try:
            call = self._stores.webhook_sending.claim()
        finally:
            if call is None:
                self._free.release()
        if call is None:
            return False
        self._calls.submit(self._make, call)
        return True

    def _make(self, call: Call) -> None:
        """Make a call and store what became of it, in a span of the trace that its search belongs to."""
        origin, began = call.origin, time.monotonic()
        known = {"request_id": origin.request_id, "tenant_id": origin.tenant_id, "search_id": call.search_id}
        try:
            with ids(**known), span("webhook call", parent=origin.traceparent, kind="client") as own_span:
                own_span.set({"autonl.webhook_id": call.webhook_id, "autonl.message_id": call.message_id})
                outcome = self._send(call, own_span)
                own_span.set({"autonl.try": call.tries + 1, "autonl.outcome": outcome})
            self._metrics.call_ended(outcome, time.monotonic() - began, is_retry=call.tries > 0)
        finally:
            self._free.release()
            self._wake.set()

    def _send(self, call: Call, own_span: Span) -> str:
        """What became of the message, as metrics count it."""
        try:
            headers = signed_headers(call.message_id, call.body, call.secrets, datetime.now(UTC))
            result = self._caller.post(call.url, headers, call.body)
            if result.status is not None:
                own_span.set({"http.response.status_code": result.status})
            state = self._stores.webhook_sending.record(call, result)
            _log_result(call, result, state)
        except UNAVAILABLE as error:
            log.warning("result of message %s not stored, it will be sent again: %s", call.message_id, error)
            return "not_stored"
        except Exception:
            log.exception("message %s could not be sent; it is tried again when its lease ends", call.message_id)
            return "crashed"
        return "lease_lost" if state is None else state.value

    def _wait(self, stopping: threading.Event) -> None:
        """Wait for the end of a call, or as long as new events may wait."""
        until = time.monotonic() + self._stores.settings.webhook_poll_s
        while not stopping.is_set() and (left_s := until - time.monotonic()) > 0:
            if self._wake.wait(min(left_s, 0.1)):
                return


def _log_result(call: Call, result: CallResult, state: DeliveryState | None) -> None:
    """URLs and bodies stay out of the log: both may hold secrets."""
    if state is None:
        log.warning("message %s took longer than its lease, and may be sent twice", call.message_id)
    elif not result.succeeded:
        log.info("webhook %s, message %s: %s; it is %s", call.webhook_id, call.message_id, result.problem, state)
