"""What a client can do with models, as in `search_operations.py`: methods of `Client` and `AsyncClient`.

An alias is written as `products@prod`: the alias `prod` of the model `products`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from autonl import model_documents
from autonl.errors import AutonlError
from autonl.models.promotions import Model, Promotion
from autonl.models.reading import read
from autonl.steps import Call

OnBytes = Callable[[int, int], None]  # (bytes so far, total bytes)


def models() -> Call[tuple[Model, ...]]:
    """All models, without their history."""
    return tuple(read(Model, one) for one in (yield from model_documents.models())["models"])


def model(name: str) -> Call[Model]:
    """A model with its history."""
    return read(Model, (yield from model_documents.model(name)))


def alias(name: str) -> Call[Promotion]:
    """What an alias stands for, by `MODEL@ALIAS`."""
    return read(Promotion, (yield from model_documents.alias(*_split(name))))


def promote(name: str, search_id: str, note: str = "") -> Call[Promotion]:
    """Let `MODEL@ALIAS` stand for the result of a search from now on.

    Raises:
        Refused: there is no such search, it has not succeeded, or its files are no longer kept.
    """
    return read(Promotion, (yield from model_documents.promote(*_split(name), search_id, note)))


def roll_back(name: str, number: int, note: str = "") -> Call[Promotion]:
    """Let `MODEL@ALIAS` stand for what it stood for before its promotion `number`, which has to be the current one.

    Raises:
        Refused: another promotion is current, or there is nothing to go back to.
    """
    return read(Promotion, (yield from model_documents.roll_back(*_split(name), number, note)))


def remove_alias(name: str) -> Call[None]:
    """Remove `MODEL@ALIAS` with its history; the searches stay."""
    return model_documents.remove_alias(*_split(name))


def download_model(
    name: str,
    file_format: str = "safetensors",
    target: Path | str | None = None,
    on_progress: OnBytes = lambda received, total: None,
) -> Call[Path]:
    """Download the network that `MODEL@ALIAS` stands for, verified by its SHA-256, as `download` does.

    Raises:
        Refused: there is no such alias, or its search has no such file; the detail says why.
        DownloadFailed: the received bytes differ from what was announced.
    """
    from autonl.download import download_file  # what hashes and locks files, and no other request needs

    link = f"{model_documents.of_alias(*_split(name))}/checkpoint?format={file_format}"
    path, _ = yield from download_file(link, target, on_progress)
    return path


def _split(name: str) -> tuple[str, str]:
    """The model and the alias of `MODEL@ALIAS`. Raises AutonlError."""
    if (parts := model_documents.split_alias(name)) is None:
        raise AutonlError(f"{name!r} names no alias of a model", ["write it as MODEL@ALIAS, for example products@prod"])
    return parts
