"""Every error the store raises on purpose.

StoreError
├── NotFound             no such search, data set, architecture or artifact
├── StateConflict        the search is in a state from which the wanted change is not allowed
├── IdempotencyConflict  an idempotency key came back with another body
├── PageTokenError       a page token is malformed, or was made for another filter
├── DatasetExists        a data set name is taken by another content
├── DatasetInUse         a data set is needed by a search, or built in
├── DatasetChanged       a data set is not any more what the caller saw of it
├── LeaseLost            the writer no longer owns the search; it must stop and write nothing
├── AlreadyWritten       a repeated report was stored the first time
├── SchemaOutdated       the database is not migrated to the newest revision
└── ArtifactError        an artifact key is malformed, or the artifact URL cannot be served
"""

from __future__ import annotations


class StoreError(Exception):
    """Base of all errors of the store. The message names the value and the way out."""


class NotFound(StoreError):
    """Nothing is stored under this name or id."""


class StateConflict(StoreError):
    """The search is in `state`, from which the wanted change is not allowed."""

    def __init__(self, message: str, *, state: str) -> None:
        super().__init__(message)
        self.state = state


class IdempotencyConflict(StoreError):
    """The idempotency key was used before, with another request body."""


class PageTokenError(StoreError):
    """The page token is malformed, or belongs to a listing with another filter."""


class DatasetExists(StoreError):
    """The data set name is taken, and what lies behind it is not the same."""


class DatasetInUse(StoreError):
    """The data set cannot be deleted: a search that is not final uses it, or it is built in."""


class DatasetChanged(StoreError):
    """The data set was deleted or added anew since the caller looked at it: look again."""


class LeaseLost(StoreError):
    """The writer's lease is gone: it must stop and can overwrite nothing."""


class AlreadyWritten(StoreError):
    """A report that is repeated, because its answer got lost, was stored the first time: nothing is left to do."""


class SchemaOutdated(StoreError):
    """The database schema is not the one this code was written for."""


class ArtifactError(StoreError):
    """An artifact key or URL cannot be used."""


class BrokerUnreachable(StoreError):
    """The broker does not answer; searches are accepted all the same and start when it is back."""
