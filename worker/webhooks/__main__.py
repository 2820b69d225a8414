"""`python -m worker.webhooks`: sends webhooks. Any number of senders may run, and any may die."""

from __future__ import annotations

import contextlib
import logging
import ssl
import threading

from store.stores import Stores
from worker.service import run_service
from worker.webhooks.call import Caller
from worker.webhooks.names import SystemResolver
from worker.webhooks.sender import Sender

log = logging.getLogger(__name__)


def serve(stores: Stores, stopping: threading.Event) -> None:
    """Send until `stopping` is set, then wait for the calls that are being made."""
    settings = stores.settings
    log.info("looking for events to send every %g s", settings.webhook_poll_s)
    if settings.webhook_loopback:
        log.warning("AUTONL_WEBHOOK_LOOPBACK is set: webhooks can reach services on this machine; for development only")
    caller = Caller(SystemResolver(), ssl.create_default_context(), settings.webhook_loopback)
    with contextlib.closing(Sender(stores, caller)) as sender:
        sender.run(stopping)


if __name__ == "__main__":
    run_service(serve)
