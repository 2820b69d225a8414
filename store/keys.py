"""Keys of the API: made, looked up, revoked. The secret of a key is shown when it is made, and not stored."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import ColumnElement, delete, exists, or_, select, update

from store.db import Database, now
from store.errors import NotFound
from store.tenant_rows import DEFAULT_TENANT, ApiKey, PageSession

PREFIX = "autonl"
SESSION_S = 12 * 3600.0  # of a browser
USED_EVERY_S = 60.0  # how old `last_used_at` may be before it is written again
_TOKEN = re.compile(rf"{PREFIX}_([0-9a-f]{{12}})_([0-9a-f]{{64}})")
_SESSION_TOKEN = re.compile(r"[0-9a-f]{64}")
_NO_HASH = "0" * 64


class Scope(StrEnum):
    """What a key may do."""

    READ = "read"
    SUBMIT = "submit"
    DATA = "data"
    ADMIN = "admin"


ALL_SCOPES = frozenset(Scope)


@dataclass(frozen=True)
class Caller:
    """Who sends a request: a key, or anyone if none is needed.

    Args:
        key_id: None if no key is needed.
    """

    tenant_id: str
    scopes: frozenset[Scope]
    key_id: str | None = None
    key_name: str | None = None


ANYONE = Caller(DEFAULT_TENANT, ALL_SCOPES)


class KeyStore:
    """The keys of the tenant that the database is bound to; to look one up, it must be bound to none."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(
        self, tenant_id: str, name: str, scopes: Collection[Scope], *, lasts: timedelta | None = None
    ) -> tuple[ApiKey, str]:
        """A new key, and its text, which cannot be read again."""
        secret = secrets.token_hex(32)
        with self._database.session_scope() as session:
            moment = now(session)
            key = ApiKey(
                id=secrets.token_hex(6),
                tenant_id=tenant_id,
                name=name,
                scopes=sorted(scopes),
                secret_sha256=_hash(secret),
                created_at=moment,
                expires_at=None if lasts is None else moment + lasts,
            )
            session.add(key)
        return key, f"{PREFIX}_{key.id}_{secret}"

    def all(self, tenant_id: str | None = None) -> Sequence[ApiKey]:
        """The keys, the newest first, those that are revoked or expired too; None: of all tenants it is bound to."""
        query = select(ApiKey).order_by(ApiKey.created_at.desc(), ApiKey.id)
        with self._database.read_scope() as session:
            return session.scalars(query if tenant_id is None else query.where(ApiKey.tenant_id == tenant_id)).all()

    def revoke(self, key_id: str) -> ApiKey:
        """Refuse a key from now on, and end its sessions. Idempotent. Raises NotFound."""
        with self._database.session_scope() as session:
            key = session.get(ApiKey, key_id, with_for_update=True)
            if key is None:
                raise NotFound(f"no key {key_id!r}; GET /keys lists them")
            key.revoked_at = key.revoked_at or now(session)
            session.execute(delete(PageSession).where(PageSession.key_id == key_id))
        return key

    def any_valid(self) -> bool:
        """Whether someone could sign in."""
        with self._database.read_scope() as session:
            return bool(session.scalar(select(exists().where(*_valid(now(session))))))

    def find(self, token: str) -> Caller | None:
        """Whose key `token` is; None: of no one, or it is expired or revoked.

        The secret is compared in constant time, also for an id that does not exist.
        """
        match = _TOKEN.fullmatch(token)
        key_id, secret = match.groups() if match else ("", "")
        with self._database.read_scope() as session:
            key = session.scalars(select(ApiKey).where(ApiKey.id == key_id, *_valid(now(session)))).one_or_none()
        is_its_secret = hmac.compare_digest(_hash(secret), key.secret_sha256 if key is not None else _NO_HASH)
        return _caller(key) if key is not None and is_its_secret else None

    def sign_in(self, caller: Caller) -> str:
        """A new session of a browser with the key of `caller`: its text, of which only the hash is stored."""
        token = secrets.token_hex(32)
        with self._database.session_scope() as session:
            moment = now(session)
            session.execute(delete(PageSession).where(PageSession.expires_at < moment))
            ends = moment + timedelta(seconds=SESSION_S)
            own = {"tenant_id": caller.tenant_id, "key_id": caller.key_id}
            session.add(PageSession(secret_sha256=_hash(token), expires_at=ends, **own))
        return token

    def find_session(self, token: str) -> Caller | None:
        """Whose session `token` is; None: of no one, it ended, or its key is no longer valid.

        It is found by its hash: how long that takes says nothing about the text.
        """
        if not _SESSION_TOKEN.fullmatch(token):
            return None
        with self._database.read_scope() as session:
            moment = now(session)
            own = PageSession.secret_sha256 == _hash(token), PageSession.expires_at >= moment
            query = select(ApiKey).join(PageSession, PageSession.key_id == ApiKey.id)
            key = session.scalars(query.where(*own, *_valid(moment))).one_or_none()
        return _caller(key) if key is not None else None

    def sign_out(self, token: str) -> None:
        """End a session, if there is one."""
        with self._database.session_scope() as session:
            session.execute(delete(PageSession).where(PageSession.secret_sha256 == _hash(token)))

    def used(self, key_id: str) -> None:
        """Note that a key was used, unless that was noted less than a minute ago."""
        with self._database.session_scope() as session:
            moment = now(session)
            long_ago = moment - timedelta(seconds=USED_EVERY_S)
            is_due = or_(ApiKey.last_used_at.is_(None), ApiKey.last_used_at < long_ago)
            session.execute(update(ApiKey).where(ApiKey.id == key_id, is_due).values(last_used_at=moment))


def _valid(moment: datetime) -> tuple[ColumnElement[bool], ...]:
    return ApiKey.revoked_at.is_(None), or_(ApiKey.expires_at.is_(None), ApiKey.expires_at > moment)


def _caller(key: ApiKey) -> Caller:
    """A scope that only a later version knows gives no right here."""
    known = frozenset(scope for scope in Scope if scope in key.scopes)
    return Caller(key.tenant_id, known, key.id, key.name)


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
