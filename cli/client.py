"""A small client of the HTTP API. Responses stay plain JSON objects, exactly as the API documents them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from autonl import device_documents, documents, model_documents
from autonl.errors import AutonlError, ConnectionFailed, DownloadFailed, Refused
from autonl.retries import patiently
from autonl.states import RESTING_STATES
from autonl.steps import Call, T
from cli.errors import ApiError, CommandError, refused
from cli.options import key_of_command

if TYPE_CHECKING:
    from autonl.blocking import BlockingCaller

__all__ = ["RESTING_STATES", "Client"]

_PATIENCE_S = 60  # how long `poll` keeps trying while the service restarts
_KEPT = "received bytes are kept; run the same command again to continue"

Document = dict[str, Any]


class Client:
    """Calls one service. Close it, or use it as a context manager.

    The calls of `autonl.Client`, whose documents stay JSON objects and whose errors end a command. A refused request
    is not sent again: the user sees why, at once.
    """

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self._key = key_of_command()
        self._client: BlockingCaller | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._client is not None:
            self._client.close()

    def start_search(self, config: Mapping[str, Any]) -> Document:
        """Start a search; its idempotency key makes a repeated request harmless."""
        return self._run(documents.start_search(config))

    def validate_search(self, config: Mapping[str, Any]) -> Document:
        return self._run(documents.validate_search(config))

    def search(self, search_id: str) -> Document:
        return self._run(documents.search(search_id))

    def doubtful_labels(self, search_id: str) -> Document:
        return self._run(documents.doubtful_labels(search_id))

    def trade_off(self, search_id: str) -> Document:
        return self._run(documents.trade_off(search_id))

    def architecture_history(self, search_id: str) -> Document:
        return self._run(documents.architecture_history(search_id))

    def repeats(self, search_id: str) -> Document:
        return self._run(documents.repeats(search_id))

    def comparison(self, search_ids: Sequence[str]) -> Document:
        return self._run(documents.comparison(search_ids))

    def searches(self, **filters: str | int | None) -> Document:
        return self._run(documents.searches(**filters))

    def usage(self, first: str | None = None, last: str | None = None) -> Document:
        return self._run(documents.usage(first, last))

    def cancel(self, search_id: str) -> Document:
        return self._run(documents.cancel(search_id))

    def pause(self, search_id: str) -> Document:
        return self._run(documents.pause(search_id))

    def resume(self, search_id: str, max_compute_s: float | None = None) -> Document:
        return self._run(documents.resume(search_id, max_compute_s))

    def change_labels(self, search_id: str, labels: Mapping[str, str | None]) -> Document:
        return self._run(documents.change_labels(search_id, labels))

    def delete_search(self, search_id: str) -> None:
        self._run(documents.delete_search(search_id))

    def logs(self, search_id: str, *, attempt: int | None, tail: int) -> Document:
        return self._run(documents.logs(search_id, attempt, tail))

    def events(self, search_id: str, after: int = 0) -> Document:
        return self._run(documents.events(search_id, after))

    def architecture(self, arch_id: str, search_id: str | None = None) -> Document:
        return self._run(documents.architecture(arch_id, search_id))

    def datasets(self) -> Document:
        return self._run(documents.datasets())

    def dataset(self, name: str) -> Document:
        return self._run(documents.dataset(name))

    def register_dataset(self, name: str, path: str, **reading: str) -> Document:
        return self._run(documents.register_dataset(name, path, **reading))

    def correct_dataset(self, source: str, name: str, leave_out: Sequence[str], relabel: Mapping[str, str]) -> Document:
        return self._run(documents.correct_dataset(source, name, leave_out, relabel))

    def upload_dataset(self, name: str, archive: Path, on_sent: Callable[[int], None], **reading: str) -> Document:
        return self._run(documents.upload_dataset(name, archive, on_sent, **reading))

    def read_dataset(self, name: str, **reading: str) -> Document:
        return self._run(documents.read_dataset(name, **reading))

    def delete_dataset(self, name: str) -> None:
        self._run(documents.delete_dataset(name))

    def models(self) -> Document:
        return self._run(model_documents.models())

    def model(self, name: str) -> Document:
        return self._run(model_documents.model(name))

    def alias(self, name: str, alias: str) -> Document:
        return self._run(model_documents.alias(name, alias))

    def promote(self, name: str, alias: str, search_id: str, note: str) -> Document:
        return self._run(model_documents.promote(name, alias, search_id, note))

    def roll_back(self, name: str, alias: str, number: int, note: str) -> Document:
        return self._run(model_documents.roll_back(name, alias, number, note))

    def remove_alias(self, name: str, alias: str) -> None:
        self._run(model_documents.remove_alias(name, alias))

    def list_weights(self) -> Document:
        return self._run(documents.list_weights())

    def weights(self, name: str) -> Document:
        return self._run(documents.weights(name))

    def upload_weights(
        self, name: str, file: Path, on_sent: Callable[[int], None], **stated: str | float | None
    ) -> Document:
        return self._run(documents.upload_weights(name, file, on_sent, **stated))

    def delete_weights(self, name: str) -> None:
        self._run(documents.delete_weights(name))

    def devices(self) -> Document:
        return self._run(device_documents.devices())

    def device(self, name: str) -> Document:
        return self._run(device_documents.device(name))

    def add_device(self, name: str, file: Path) -> Document:
        return self._run(device_documents.add_device(name, file))

    def delete_device(self, name: str) -> None:
        self._run(device_documents.delete_device(name))

    def add_webhook(self, url: str, kinds: Sequence[str], description: str) -> Document:
        return self._run(documents.add_webhook(url, kinds, description))

    def webhooks(self) -> Document:
        return self._run(documents.webhooks())

    def webhook(self, webhook_id: str) -> Document:
        return self._run(documents.webhook(webhook_id))

    def change_webhook(self, webhook_id: str, **changes: Any) -> Document:
        return self._run(documents.change_webhook(webhook_id, **changes))

    def delete_webhook(self, webhook_id: str) -> None:
        self._run(documents.delete_webhook(webhook_id))

    def rotate_webhook(self, webhook_id: str) -> Document:
        return self._run(documents.rotate_webhook(webhook_id))

    def test_webhook(self, webhook_id: str) -> Document:
        return self._run(documents.test_webhook(webhook_id))

    def deliveries(self, webhook_id: str, **filters: str | int | None) -> Document:
        return self._run(documents.deliveries(webhook_id, **filters))

    def delivery(self, webhook_id: str, delivery_id: str) -> Document:
        return self._run(documents.delivery(webhook_id, delivery_id))

    def resend(self, webhook_id: str, delivery_id: str) -> Document:
        return self._run(documents.resend(webhook_id, delivery_id))

    def poll(self, search_id: str) -> Document:
        """The search in its current state; tolerates a restarting service or an unavailable database for a while."""
        return self._run(patiently(lambda: documents.search(search_id), _PATIENCE_S))

    def download(
        self, path: str, target: Path, on_progress: Callable[[int, int], None] = lambda received, total: None
    ) -> str:
        """Download `path` to `target`, complete and verified or not at all; returns the file's SHA-256.

        Continues where an earlier call was interrupted. Raises ApiError, and CommandError if another command is
        downloading the same file.
        """
        from autonl.download import download_file  # what hashes and locks files, and no other request needs

        return self._run(download_file(path, target, on_progress), _KEPT)[1]

    def _run(self, call: Call[T], *hints: str) -> T:
        """The result of a call. Raises ApiError and CommandError; `hints` are added if there was no response."""
        try:
            if self._client is None:
                from autonl.blocking import (
                    BlockingCaller,  # takes longer to import than a command without requests runs
                )

                self._client = BlockingCaller(self.url, key=self._key, retries=0)
            return self._client.run(call)
        except ConnectionFailed as error:
            raise self._unreachable(error.reason, *hints) from error
        except Refused as error:
            raise refused(error.url, error.status, error.body) from error
        except DownloadFailed as error:
            raise (CommandError if error.in_use else ApiError)(error.title, error.lines) from error
        except AutonlError as error:
            raise ApiError(error.title, error.lines) from error

    def _unreachable(self, reason: str, *hints: str) -> ApiError:
        way_out = "start a service with `autonl up`, or point --url at a running one"
        return ApiError(f"No response from {self.url}", [reason, way_out, *hints])
