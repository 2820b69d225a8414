"""The receiver in docs/webhooks.md, run as it is printed there."""

from __future__ import annotations

import os
import re
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from store.webhooks.messages import body_of, sample_message
from store.webhooks.registry import new_secret
from tests.servers import free_port, wait_for
from worker.webhooks.call import Caller
from worker.webhooks.signing import signed_headers

PAGE = Path(__file__).parents[3] / "docs/webhooks.md"


@contextmanager
def example(secret: str, folder: Path) -> Iterator[tuple[str, Path]]:
    """The URL of the example, and the file with what it prints."""
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    (folder / "receiver.py").write_text(code, encoding="utf-8")
    port, printed = free_port(), folder / "printed.txt"
    environment = os.environ | {"WEBHOOK_SECRET": secret, "PORT": str(port)}
    with printed.open("w") as output:
        process = subprocess.Popen([sys.executable, "receiver.py"], cwd=folder, env=environment, stdout=output)
        try:
            yield f"http://localhost:{port}/", printed
        finally:
            process.kill()
            process.wait()


def test_the_receiver_of_the_page_accepts_what_is_signed_once_and_nothing_else(tmp_path: Path) -> None:
    secret, moment = new_secret(), datetime.now(UTC)
    body = body_of(sample_message("msg_1", "0123456789abcdef", moment))
    good = signed_headers("msg_1", body, [secret], moment)
    caller = Caller(lambda *_: ["127.0.0.1"], ssl.create_default_context(), loopback=True)
    with example(secret, tmp_path) as (url, printed):
        wait_for(lambda: caller.post(url, good, body).status == 204, "it listens")
        assert caller.post(url, good, body).status == 204  # again
        assert caller.post(url, good, body + b" ").status == 400
        assert caller.post(url, signed_headers("msg_1", body, [new_secret()], moment), body).status == 400
        old = signed_headers("msg_1", body, [secret], moment - timedelta(minutes=6))
        assert caller.post(url, old, body).status == 400
        assert printed.read_text().splitlines() == [
            'webhook.test {"links": {"webhook": "/webhooks/0123456789abcdef"}, "webhook_id": "0123456789abcdef"}'
        ]
