"""All settings of the service. The only module that reads the environment.

Each field is read from `AUTONL_<NAME>`; the three service URLs also from their plain names `DATABASE_URL`, `BROKER_URL`
and `ARTIFACT_URL`. By default the service is embedded: SQLite and files in `data_dir`.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AliasChoices, Field, field_validator, model_validator
from pydantic_settings import NoDecode, SettingsConfigDict

from store.bucket_settings import BucketSettings
from store.export_settings import ExportSettings
from store.limit_settings import LimitSettings
from store.quota_settings import QuotaSettings
from store.service_url import DEFAULT_SERVICE_URL
from store.slot_settings import SlotSettings
from store.telemetry_settings import TelemetrySettings

_ORIGIN = re.compile(r"https?://[a-z0-9.-]+(:[0-9]{1,5})?")


def _url(name: str) -> AliasChoices:
    return AliasChoices(name, f"AUTONL_{name.upper()}", name.upper())


class Settings(SlotSettings, QuotaSettings, BucketSettings, LimitSettings, ExportSettings, TelemetrySettings):
    """The settings of one process, fixed at its start. Seconds may be fractional."""

    model_config = SettingsConfigDict(env_prefix="AUTONL_", frozen=True, extra="ignore", populate_by_name=True)

    data_dir: Path = Field(
        default=Path("autonl-data"), description="folder of the database, run states, logs and caches"
    )
    database_url: str = Field(
        default="", validation_alias=_url("database_url"), description="empty: SQLite in data_dir"
    )
    broker_url: str = Field(default="redis://127.0.0.1:6379/0", validation_alias=_url("broker_url"))
    artifact_url: str = Field(
        default="",
        validation_alias=_url("artifact_url"),
        description="empty: data_dir/artifacts; or s3://bucket/prefix",
    )

    beat_s: float = Field(default=10, gt=0, description="interval at which supervisors extend their leases")
    lease_s: float = Field(default=60, gt=0, description="without a beat for this long, an attempt loses its search")
    poll_s: float = Field(
        default=1, gt=0, description="interval at which supervisors check for a cancel, a drain or an exit"
    )
    sweep_s: float = Field(default=5, gt=0, description="interval of the sweeper")
    ring_s: float = Field(default=5, gt=0, description="wait before the first repeated notification; doubles")
    ring_max_s: float = Field(default=60, gt=0, description="longest wait between repeated notifications")
    stop_grace_s: float = Field(default=60, gt=0, description="time to save and exit before a search process is killed")
    stall_s: float = Field(default=1800, gt=0, description="a process without progress for this long is killed")
    crash_backoff_s: float = Field(default=5, ge=0, description="wait after a crash; doubles with the crash streak")
    max_crash_streak: int = Field(
        default=3, ge=1, description="crashes in a row, without a new run state, before giving up"
    )
    max_interruptions: int = Field(
        default=20, ge=1, description="lost leases in a row, without a new run state, before giving up"
    )
    max_attempts: int = Field(
        default=50,
        ge=1,
        description="attempts of a search before giving up; drained ones and lost leases do not count",
    )

    save_steps: int = Field(default=200, ge=1, description="training steps between run states within an epoch")
    child_memory_bytes: int = Field(
        default=0, ge=0, description="limit of a search process's address space; 0: unlimited"
    )

    cache_bytes: int = Field(
        default=0, ge=0, description="limit of the cache of prepared datasets on one host; 0: the space on its disk"
    )

    disk_reserve_bytes: int = Field(
        default=1 << 30,
        ge=0,
        description="what uploads, run states and results leave free on their disk, for what cannot wait",
    )

    supernet_bytes: int = Field(
        default=128 << 20,
        ge=0,
        description="a larger supernet is kept only if its search asks for that with `keep_supernet`",
    )
    supernet_keep_s: float = Field(
        default=30 * 86_400, ge=0, description="how long after its end a search can be gone on from"
    )

    search_files_keep_s: float = Field(
        default=0, ge=0, description="how long after its end the files of a search are kept; 0: permanently"
    )
    events_keep_s: float = Field(
        default=0,
        ge=0,
        description="how long after its end the events and metrics of a search are kept; 0: permanently",
    )
    refused_keep_s: float = Field(
        default=0, ge=0, description="how long datasets and weights are kept that a check refused; 0: permanently"
    )

    check_poll_s: float = Field(
        default=1, gt=0, description="interval at which a checker looks for datasets and weights to check"
    )
    check_memory_bytes: int = Field(
        default=4 << 30, ge=0, description="limit of a check process's address space; 0: unlimited"
    )
    check_time_s: float = Field(
        default=300,
        gt=0,
        description="time that a check may take; each image adds 0.1 s, and each megabyte of content 1 s",
    )
    check_turn_s: float = Field(
        default=20,
        gt=0,
        description="time after which a check makes way for others that wait; doubles with each of its turns",
    )
    checks: int = Field(default=2, ge=1, description="datasets and weights that one checker checks at the same time")

    webhook_poll_s: float = Field(
        default=1, gt=0, description="interval at which senders of webhooks look for new events and due calls"
    )
    webhook_slots: int = Field(default=8, ge=1, description="receivers that one sender of webhooks calls at a time")
    webhook_loopback: bool = Field(
        default=False, description="for development: webhooks may lead to loopback addresses, also by http"
    )

    max_body_bytes: int = Field(default=1 << 16, ge=1, description="limit of a request body of JSON")
    dataset_roots: Annotated[tuple[Path, ...], NoDecode] = Field(
        default=(), description="folders in which datasets may be registered by path; separated as in PATH"
    )

    allowed_hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="names by which the API is known, separated by commas; empty: any. Addresses always are",
    )

    require_keys: bool = Field(
        default=False, description="whether every request needs a key; always so on addresses that are not loopback"
    )

    cors_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="origins of other sites whose pages may use the API, as https://example.org, separated by commas",
    )

    url: str = Field(default=DEFAULT_SERVICE_URL, description="base URL that the command line connects to")

    root_path: str = Field(
        default="",
        pattern=r"^(/[A-Za-z0-9._~-]+)*$",
        description="path prefix of the API, if a proxy leaves it in the requests; not needed if it removes it",
    )

    spare_idle_s: float = Field(
        default=120,
        ge=0,
        description="how long a slot keeps a search process ready before its search arrives; 0: never",
    )

    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"

    @field_validator("dataset_roots", mode="before")
    @classmethod
    def _split_roots(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(Path(part).expanduser().resolve() for part in value.split(os.pathsep) if part)
        return value

    @field_validator("allowed_hosts", mode="before")
    @classmethod
    def _split_hosts(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(name.strip().lower() for name in value.split(",") if name.strip())
        return value

    @field_validator("cors_origins", mode="before")
    @classmethod
    def _split_origins(cls, value: object) -> object:
        origins = value.split(",") if isinstance(value, str) else value
        if not isinstance(origins, list | tuple):
            return value
        stripped = tuple(str(origin).strip().rstrip("/").lower() for origin in origins if str(origin).strip())
        for origin in stripped:
            if _ORIGIN.fullmatch(origin) is None:
                raise ValueError(f"{origin!r} is no origin; write scheme, host and port only, as https://example.org")
        return stripped

    @field_validator("data_dir")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return value.expanduser().resolve()

    @field_validator("database_url")
    @classmethod
    def _name_the_driver(cls, value: str) -> str:
        for prefix in ("postgres://", "postgresql://"):
            if value.startswith(prefix):
                return "postgresql+psycopg://" + value.removeprefix(prefix)
        return value

    @model_validator(mode="after")
    def _beats_fit_the_lease(self) -> Self:
        if self.beat_s * 2 > self.lease_s:
            raise ValueError(
                f"AUTONL_BEAT_S is {self.beat_s:g} and AUTONL_LEASE_S is {self.lease_s:g}: a lease must outlast two "
                "beats, or a single late beat loses the search; raise AUTONL_LEASE_S or lower AUTONL_BEAT_S"
            )
        return self

    @model_validator(mode="after")
    def _a_memory_limit_is_for_the_cpu(self) -> Self:
        if self.child_memory_bytes and self.device != "cpu":
            raise ValueError(
                f"AUTONL_CHILD_MEMORY_BYTES is {self.child_memory_bytes}, but CUDA reserves far more address space "
                "than it uses; set it to 0, and limit the memory of the worker's control group instead"
            )
        return self

    @property
    def resolved_database_url(self) -> str:
        """The database URL: as set, or SQLite in the data folder."""
        return self.database_url or f"sqlite:///{self.data_dir / 'autonl.db'}"

    @property
    def resolved_artifact_url(self) -> str:
        """The artifact URL: as set, or a folder in the data folder."""
        return self.artifact_url or (self.data_dir / "artifacts").as_uri()

    @property
    def searches_dir(self) -> Path:
        """Work folders and logs of searches; without a bucket, hosts must share it to resume each other's searches."""
        return self.data_dir / "searches"

    @property
    def datasets_dir(self) -> Path:
        """Uploaded archives and manifests; all API, checker and worker hosts must share it."""
        return self.data_dir / "datasets"

    @property
    def bucket_copies_dir(self) -> Path:
        """Copies of datasets in buckets, on every host that reads them; may be deleted while nothing reads them."""
        return self.data_dir / "bucket-copies"

    @property
    def weights_dir(self) -> Path:
        """Uploaded weights; all API, checker and worker hosts must share it."""
        return self.data_dir / "weights"

    @property
    def cache_dir(self) -> Path:
        """Decoded images, shared by the searches on one host; may be deleted at any time."""
        return self.data_dir / "cache"

    @property
    def own_data(self) -> list[Path]:
        """Where this service keeps data, as far as that exists: the data folder, and SQLite and artifacts elsewhere."""
        places = [self.data_dir]
        for scheme, url in (("sqlite:///", self.resolved_database_url), ("file://", self.resolved_artifact_url)):
            if url.startswith(scheme) and (place := Path(url.removeprefix(scheme)).resolve()) != self.data_dir:
                places += [place, place.with_name(f"{place.name}-wal"), place.with_name(f"{place.name}-journal")]
        return [place for place in places if place.exists()]

    def environment(self) -> dict[str, str]:
        """The environment for another process of the same service: the current one, plus all of these settings.

        Without the number of threads if that was not set: it follows from slots, of which a worker on GPUs has as many.
        """
        own = {}
        for name in type(self).model_fields.keys() - ({"threads"} - self.model_fields_set):
            value = getattr(self, name)
            separator = "," if name in ("allowed_hosts", "cors_origins", "dataset_buckets") else os.pathsep
            own[f"AUTONL_{name.upper()}"] = separator.join(map(str, value)) if isinstance(value, tuple) else str(value)
        return dict(os.environ) | own

    def search_process_environment(self) -> dict[str, str]:
        """The environment of a search process: the same, with its number of CPU threads.

        Threads that wait for work sleep: by default they spin, which takes the CPU from whatever else runs on it.
        """
        threads = str(self.threads)
        counts = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), threads)
        return {"OMP_WAIT_POLICY": "PASSIVE"} | self.environment() | counts | {"PYTHONUNBUFFERED": "1"}
