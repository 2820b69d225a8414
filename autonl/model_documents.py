"""The requests about models and their aliases; the others are in `documents.py`."""

from __future__ import annotations

from autonl.documents import Document, delete, get, quoted, write
from autonl.steps import Call


def split_alias(text: str) -> tuple[str, str] | None:
    """The model and the alias of `MODEL@ALIAS`; None if `text` is no such thing."""
    model_name, _, alias_name = text.partition("@")
    return (model_name, alias_name) if model_name and alias_name else None


def models() -> Call[Document]:
    return get("/models")


def model(name: str) -> Call[Document]:
    """A model with its history."""
    return get(f"/models/{quoted(name)}")


def alias(name: str, alias_name: str) -> Call[Document]:
    return get(of_alias(name, alias_name))


def promote(name: str, alias_name: str, search_id: str, note: str) -> Call[Document]:
    return write("PUT", of_alias(name, alias_name), {"search_id": search_id, "note": note})


def roll_back(name: str, alias_name: str, number: int, note: str) -> Call[Document]:
    return write("POST", f"{of_alias(name, alias_name)}/rollback", {"number": number, "note": note})


def remove_alias(name: str, alias_name: str) -> Call[None]:
    return delete(of_alias(name, alias_name))


def of_alias(name: str, alias_name: str) -> str:
    return f"/models/{quoted(name)}/aliases/{quoted(alias_name)}"
