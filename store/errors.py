"""Every error the store raises on purpose.

StoreError
├── NotFound             no such search, dataset, weight set, architecture or artifact
├── StateConflict        a request does not apply in the search's current state
├── ForbiddenTransition  the transition table has no such change of state; a bug in the caller
├── QuotaExceeded        a tenant would use more than its quota
├── ComputeSpent         a search has used the compute that it may use
├── IdempotencyConflict  an idempotency key was reused with a different body
├── PageTokenError       a page token is malformed, or was issued for another filter
├── DatasetExists        a dataset name is taken by other content
├── DatasetInUse         a dataset is used by a search, or built in
├── DatasetChanged       a dataset was deleted or replaced since the caller read it
├── StartChanged         what a search starts from was deleted since the caller read it
├── WeightSetExists      a weight set name is taken by other content
├── WeightSetInUse       a weight set is built in
├── DeviceExists         a device name is taken by another table
├── CannotRollBack       an alias of a model stands for something else by now, or has nothing to go back to
├── TooManyAliases       a tenant has as many aliases of models as are possible
├── TooManyDevices       a tenant has as many devices as are possible
├── TooManyWebhooks      a tenant has as many webhooks as are possible
├── LeaseLost            the writer no longer owns the search; it must stop and write nothing
│   └── LeaseLapsed      for now: its beats were late, and its supervisor may still take the search back
├── AlreadyWritten       a repeated update was already stored
├── SchemaOutdated       the database is not migrated to the newest revision
├── BackupError          a backup cannot be taken, is damaged, or does not fit
├── ArtifactError        an artifact key, URL or bucket cannot be used
│   └── ArtifactDamaged  a stored file is not the one that was put
├── BucketUnavailable    the bucket that has the artifacts and the run states does not respond
├── TenantExists         a tenant of this name exists
├── TenantInUse          a tenant has searches that have not ended, or is the default one
├── OtherTenant          a row of one tenant was to be stored for another; a bug in the caller
└── BrokerUnreachable    the broker does not respond
"""

from __future__ import annotations


class StoreError(Exception):
    """Base of all errors of the store. The message names the value and how to fix it."""


class NotFound(StoreError):
    """Nothing is stored under this name or id."""


class StateConflict(StoreError):
    """The search is in `state`, in which the request does not apply."""

    def __init__(self, message: str, *, state: str) -> None:
        super().__init__(message)
        self.state = state


class SearchChanged(StoreError):
    """The row is no longer what the caller has read; read it again."""


class ForbiddenTransition(StoreError):
    """The transition table has no such change of state. Callers check the state first, so this is a bug."""


class QuotaExceeded(StoreError):
    """The tenant may use `limit` of `quota`, and would use `value`.

    Args:
        retry_after_s: when it is worth asking again; None: waiting does not help.
    """

    def __init__(self, quota: str, value: int, limit: int, detail: str, retry_after_s: int | None = None) -> None:
        super().__init__(f"{detail} (the tenant's limit `{quota}` is {limit:,})")
        self.quota = quota
        self.value = value
        self.limit = limit
        self.retry_after_s = retry_after_s


class ComputeSpent(StoreError):
    """The search has used the compute seconds that it may use; more have to be allowed first."""


class IdempotencyConflict(StoreError):
    """The idempotency key was used before, with a different request body."""


class PageTokenError(StoreError):
    """The page token is malformed, or was issued for a listing with another filter."""


class DatasetExists(StoreError):
    """The dataset name is taken, and the registered content is different."""


class DatasetInUse(StoreError):
    """The dataset cannot be deleted: a search that is not final uses it, or it is built in."""


class DatasetChanged(StoreError):
    """The dataset was deleted or replaced since the caller read it; read it again."""


class StartChanged(StoreError):
    """The weight set or the supernet that a search starts from was deleted since the caller read it; read it again."""


class WeightSetExists(StoreError):
    """The weight set name is taken, and the stored content, or what was stated about it, is different."""


class WeightSetInUse(StoreError):
    """The weight set cannot be deleted: it is built in."""


class DeviceExists(StoreError):
    """The device name is taken, and its table is another one."""


class CannotRollBack(StoreError):
    """The alias of a model stands for something else since the caller read it, or has nothing to go back to."""


class TooManyAliases(StoreError):
    """There are as many aliases of models as are possible; remove one first."""


class TooManyDevices(StoreError):
    """There are as many devices as are possible; delete one first."""


class TooManyWebhooks(StoreError):
    """There are as many webhooks as are possible; delete one first."""


class TooManyLabels(StoreError):
    """A search would have more labels than are possible; remove one first."""


class LeaseLost(StoreError):
    """The writer's lease is lost: it must stop, and every further write is refused."""


class LeaseLapsed(LeaseLost):
    """Beats were late, and the search was queued again, but no one has claimed it yet: its supervisor may regain it."""


class AlreadyWritten(StoreError):
    """An update was repeated because its answer got lost, but it had been stored. There is nothing left to do."""


class SchemaOutdated(StoreError):
    """The database schema is not the one this code was written for."""


class BackupError(StoreError):
    """A backup cannot be taken, is damaged, or does not fit where it is to be restored."""


class ArtifactError(StoreError):
    """An artifact key, URL or bucket cannot be used."""


class ArtifactDamaged(ArtifactError):
    """A stored file is not the one that was put."""


class BucketUnavailable(StoreError):
    """The bucket that has the artifacts and the run states does not respond, or not in time. It may be asked again."""


class TenantExists(StoreError):
    """A tenant of this name exists."""


class TenantInUse(StoreError):
    """The tenant cannot be deleted: it has searches that have not ended, or is the default one."""


class OtherTenant(StoreError):
    """A row of one tenant was to be stored in a database that is bound to another. This is a bug."""


class BrokerUnreachable(StoreError):
    """The broker does not respond. Searches are still accepted, and start when it is back."""
