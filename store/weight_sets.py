"""The weight sets that exist: the built-in ones whose package is installed, and those uploaded to the service.

An upload is added in the state `checking`, which makes its row the job of a checker (`store/weight_checks.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError

from autonl_core.spec.builtin_weights import BUILTIN_WEIGHTS, initial_weights, installed_weights
from autonl_core.spec.weight_set import InitialWeights, Origin, WeightProblem, WeightSet, WeightSetDetails
from store.checks import start_check
from store.conditions import is_unfinished
from store.db import Database
from store.errors import NotFound, WeightSetExists, WeightSetInUse
from store.json_values import plain_json
from store.models import Search, WeightSetRow
from store.quotas import admit_bytes
from store.settings import Settings
from store.states import WeightSetState
from store.upload_folder import Upload
from store.weight_files import WeightFiles

_SHOWN_NAMES = 20  # in the error about an unknown weight set


@dataclass(frozen=True)
class WeightSetEntry:
    """A weight set. Built-in ones have no `created_at`; `weights` is None until it is ready."""

    name: str
    origin: Origin
    state: WeightSetState
    sha256: str
    size_bytes: int
    details: WeightSetDetails
    weights: WeightSet | None
    problems: tuple[WeightProblem, ...] = ()  # why it is refused
    progress: float | None = None
    created_at: datetime | None = None


@dataclass(frozen=True)
class AddedWeightSet:
    """The result of an upload; `created` is False if the same was uploaded before."""

    entry: WeightSetEntry
    created: bool


class WeightSetStore:
    """Uploaded weight sets, and the built-in ones."""

    def __init__(self, database: Database, files: WeightFiles, settings: Settings) -> None:
        self._database = database
        self._settings = settings
        self.files = files

    def add_upload(self, name: str, upload: Upload, details: WeightSetDetails) -> AddedWeightSet:
        """Store a complete upload under `name`, to be checked. A refused weight set of this name is replaced.

        Raises:
            WeightSetExists: the name is taken by a built-in weight set, by other content, or with other details.
            QuotaExceeded: its tenant may not store as many bytes.
        """
        sha256 = upload.complete()
        with self.files.locked():
            added = self._add(name, upload, sha256, details)
            self._delete_unnamed()  # what a refused one held that was replaced
        return added

    def get(self, name: str) -> WeightSetEntry:
        """The weight set of this name. Raises NotFound, listing the existing ones."""
        if (built_in := installed_weights().get(name)) is not None:
            return _entry_of_built_in(built_in)
        with self._database.read_scope() as session:
            row = session.scalars(select(WeightSetRow).where(WeightSetRow.name == name)).one_or_none()
        if row is None:
            known = ", ".join(entry.name for entry in self.list()[:_SHOWN_NAMES])
            raise NotFound(f"no weight set {name!r}; the existing ones are: {known}")
        return entry_of(row)

    def list(self) -> tuple[WeightSetEntry, ...]:
        """The built-in weight sets, then the uploaded ones by name."""
        return *map(_entry_of_built_in, installed_weights().values()), *self._uploaded()

    def ready(self) -> dict[str, WeightSet]:
        """Name -> weight set, of those that a search can start from."""
        return {entry.name: entry.weights for entry in self.list() if entry.weights is not None}

    def initial(self, name: str) -> InitialWeights:
        """The weight set that a search starts from, with its file.

        Raises:
            NotFound: no such weight set (any more), it is not ready, or its file is not on this machine.
        """
        built_in = initial_weights(name)
        if built_in is not None:
            return built_in
        entry = self.get(name)
        if entry.weights is None:
            raise NotFound(f"weight set {name!r} is {entry.state}; only one that is ready can start a search")
        path = self.files.file(entry.sha256)
        if not path.is_file():
            raise NotFound(
                f"the file of weight set {name!r} is gone: {path}; delete the weight set and upload it again"
            )
        return InitialWeights(entry.weights, path)

    def delete(self, name: str, *, if_refused: bool = False) -> None:
        """Delete an uploaded weight set, and its file unless another weight set has the same content.

        Args:
            if_refused: delete nothing unless its check refused it.

        Raises:
            NotFound: no such weight set.
            WeightSetInUse: it is built in, or a search that is not final starts from it.
        """
        if name in installed_weights():
            raise WeightSetInUse(f"weight set {name!r} is built in and cannot be deleted")
        with self.files.locked():
            with self._database.session_scope() as session:
                wanted = [WeightSetRow.name == name]
                if if_refused:
                    wanted.append(WeightSetRow.state == WeightSetState.REFUSED)
                deleted = session.scalars(delete(WeightSetRow).where(*wanted).returning(WeightSetRow.name)).all()
                using = select(Search.id).where(Search.config["init"].as_string() == name, is_unfinished())
                if deleted and (search_id := session.scalars(using.limit(1)).first()) is not None:
                    raise WeightSetInUse(
                        f"search {search_id} starts from weight set {name!r}; cancel the search, or wait until it ends"
                    )
            if not deleted:
                self.get(name)  # raises NotFound, listing the existing ones
            self._delete_unnamed()

    def sweep_files(self) -> None:
        """Delete files that killed processes left behind."""
        self.files.delete_parts()
        with self.files.locked():
            self._delete_unnamed()

    def _uploaded(self) -> tuple[WeightSetEntry, ...]:
        with self._database.read_scope() as session:
            rows = session.scalars(select(WeightSetRow).order_by(WeightSetRow.name)).all()
        return tuple(map(entry_of, rows))

    def _delete_unnamed(self) -> None:
        """Delete files that no row names. Call it under the lock of the files."""
        self.files.delete_except({self.files.file(entry.sha256).name for entry in self._uploaded()})

    def _add(self, name: str, upload: Upload, sha256: str, details: WeightSetDetails) -> AddedWeightSet:
        """The file moves to its place just before the commit, so that no row names a missing file."""
        if name in BUILTIN_WEIGHTS.names():
            raise WeightSetExists(f"weight set {name!r} is built in; choose another name")
        try:
            with self._database.session_scope() as session:
                query = select(WeightSetRow).where(WeightSetRow.name == name).with_for_update()
                row = session.scalars(query).one_or_none()
                if row is not None and row.state != WeightSetState.REFUSED:
                    _require_same(entry_of(row), sha256, details)
                    upload.rename(self.files.file(sha256))
                    return AddedWeightSet(entry_of(row), created=False)
                before = row.size_bytes if row is not None else None
                admit_bytes(session, self._settings, upload.size_bytes, before)
                row = WeightSetRow(name=name) if row is None else row
                start_check(session, row)
                row.state = WeightSetState.CHECKING
                row.sha256, row.size_bytes = sha256, upload.size_bytes
                row.details, row.weights, row.problems = plain_json(details.to_json()), None, None
                session.add(row)
                session.flush()
                upload.rename(self.files.file(sha256))
        except IntegrityError:  # another process added a weight set of this name in the meantime
            if all(entry.name != name for entry in self._uploaded()):
                raise  # the tenant was deleted
            return self._add(name, upload, sha256, details)
        return AddedWeightSet(entry_of(row), created=True)


def entry_of(row: WeightSetRow) -> WeightSetEntry:
    """An uploaded weight set."""
    return WeightSetEntry(
        name=row.name,
        origin="uploaded",
        state=row.state,
        sha256=row.sha256,
        size_bytes=row.size_bytes,
        details=WeightSetDetails.from_json(row.details),
        weights=WeightSet.from_json(row.weights) if row.weights is not None else None,
        problems=tuple(map(WeightProblem.from_json, row.problems or ())),
        progress=row.progress,
        created_at=row.created_at,
    )


def _entry_of_built_in(weights: WeightSet) -> WeightSetEntry:
    details = WeightSetDetails(
        network=weights.network,
        normalisation=weights.normalisation,
        source=weights.source,
        licence=weights.licence,
        top1_pct=weights.top1_pct,
    )
    return WeightSetEntry(
        weights.name, weights.origin, WeightSetState.READY, weights.sha256, weights.size_bytes, details, weights
    )


def _require_same(stored: WeightSetEntry, sha256: str, details: WeightSetDetails) -> None:
    """Raises WeightSetExists unless this very upload is stored."""
    way_out = "choose another name, or delete that weight set first"
    if stored.sha256 != sha256:
        raise WeightSetExists(
            f"weight set {stored.name!r} already has other content ({stored.state}, {stored.sha256}); {way_out}"
        )
    if stored.details != details:
        raise WeightSetExists(
            f"weight set {stored.name!r} already has this content ({stored.state}), but other details were stated "
            f"about it; {way_out}"
        )
