"""Everything that can be set from outside. The only reader of the environment.

Each field is read from `AUTONL_<NAME>`; the three service URLs also from their plain names `DATABASE_URL`, `BROKER_URL`
and `ARTIFACT_URL`. Nothing set means the embedded shape: SQLite and files below `data_dir`.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AliasChoices, Field, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from autonl_core.datasets.limits import Limits


def _url(name: str) -> AliasChoices:
    return AliasChoices(name, f"AUTONL_{name.upper()}", name.upper())


class Settings(BaseSettings):
    """Settings of one process, fixed at its start. Seconds may be fractions."""

    model_config = SettingsConfigDict(env_prefix="AUTONL_", frozen=True, extra="ignore", populate_by_name=True)

    data_dir: Path = Field(
        default=Path("autonl-data"), description="database, run states, logs and caches lie below it"
    )
    database_url: str = Field(
        default="", validation_alias=_url("database_url"), description="empty: SQLite in data_dir"
    )
    broker_url: str = Field(default="redis://127.0.0.1:6379/0", validation_alias=_url("broker_url"))
    artifact_url: str = Field(
        default="", validation_alias=_url("artifact_url"), description="empty: data_dir/artifacts"
    )

    beat_s: float = Field(default=10, gt=0, description="time between two beats of a supervisor")
    lease_s: float = Field(default=60, gt=0, description="a claim without a beat for this long is stale")
    poll_s: float = Field(default=1, gt=0, description="how often a supervisor looks for a cancel, a drain or an exit")
    sweep_s: float = Field(default=5, gt=0, description="time between two sweeps")
    ring_s: float = Field(default=5, gt=0, description="first wait before a queued search is rung again; doubles")
    ring_max_s: float = Field(default=60, gt=0, description="longest wait before a queued search is rung again")
    stop_grace_s: float = Field(default=60, gt=0, description="time to save and leave before a child is killed")
    stall_s: float = Field(default=1800, gt=0, description="a child without progress for this long is killed")
    crash_backoff_s: float = Field(default=5, ge=0, description="wait after a crash; doubles with the crash streak")
    max_crash_streak: int = Field(default=3, ge=1, description="crashes in a row without a new run state")
    max_attempts: int = Field(
        default=50, ge=1, description="claims of one search until it is resumed, drained ones aside"
    )

    save_steps: int = Field(default=200, ge=1, description="training steps between two run states of one epoch")
    child_memory_bytes: int = Field(
        default=0, ge=0, description="address space of a search's process; 0: as much as there is"
    )

    cache_bytes: int = Field(
        default=0, ge=0, description="of prepared data sets on one host; 0: as many as its disk has room for"
    )

    check_poll_s: float = Field(default=1, gt=0, description="how often a checker looks for data sets to check")
    check_memory_bytes: int = Field(
        default=4 << 30, ge=0, description="address space of the process that checks a data set; 0: as much as there is"
    )

    max_body_bytes: int = Field(default=1 << 20, ge=1, description="of a request body")
    max_upload_bytes: int = Field(default=Limits.upload_bytes, ge=1, description="of an archive sent as a data set")
    max_dataset_files: int = Field(default=Limits.files, ge=1, description="in an archive; 1 KB of memory each")
    max_folder_files: int = Field(default=Limits.folder_files, ge=1, description="in a data set that is a folder")
    max_content_bytes: int = Field(default=Limits.content_bytes, ge=1, description="in an archive, decompressed")
    max_content_ratio: int = Field(default=Limits.ratio, ge=1, description="of these to the archive's own bytes")
    max_image_bytes: int = Field(default=Limits.image_bytes, ge=1, description="of one image's file")
    max_image_pixels: int = Field(default=Limits.image_pixels, ge=1, description="of one image")
    max_classes: int = Field(default=Limits.classes, ge=2, description="of a data set")
    dataset_roots: Annotated[tuple[Path, ...], NoDecode] = Field(
        default=(), description="folders below which a data set may be registered by path; a list as in PATH"
    )

    url: str = Field(default="http://127.0.0.1:8000", description="the service that the command line talks to")

    device: Literal["cpu", "cuda"] = "cpu"
    threads: int = Field(default_factory=lambda: os.cpu_count() or 1, ge=1, description="CPU threads of one search")
    slots: int = Field(default=1, ge=1, description="searches one worker runs at the same time")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"

    @field_validator("dataset_roots", mode="before")
    @classmethod
    def _split_roots(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(Path(part).expanduser().resolve() for part in value.split(os.pathsep) if part)
        return value

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
                "beats, or one late beat costs the search; raise the lease or beat more often"
            )
        return self

    @model_validator(mode="after")
    def _a_memory_limit_is_for_the_cpu(self) -> Self:
        if self.child_memory_bytes and self.device == "cuda":
            raise ValueError(
                "AUTONL_CHILD_MEMORY_BYTES limits the address space, of which CUDA takes far more than it uses; "
                "limit the memory of the worker's control group instead"
            )
        return self

    @property
    def resolved_database_url(self) -> str:
        """The database to use: what was set, or SQLite in the data folder."""
        return self.database_url or f"sqlite:///{self.data_dir / 'autonl.db'}"

    @property
    def resolved_artifact_url(self) -> str:
        """Where artifacts go: what was set, or a folder in the data folder."""
        return self.artifact_url or (self.data_dir / "artifacts").as_uri()

    @property
    def searches_dir(self) -> Path:
        """Work folders and logs of searches; every worker host must see the same one, to resume elsewhere."""
        return self.data_dir / "searches"

    @property
    def datasets_dir(self) -> Path:
        """Uploaded archives and manifests; every API, checker and worker host must see the same one."""
        return self.data_dir / "datasets"

    @property
    def cache_dir(self) -> Path:
        """Decoded images, shared by the searches of one host; may be deleted at any time."""
        return self.data_dir / "cache"

    @property
    def limits(self) -> Limits:
        """Of data sets, in the words of the core."""
        return Limits(
            upload_bytes=self.max_upload_bytes,
            files=self.max_dataset_files,
            folder_files=self.max_folder_files,
            content_bytes=self.max_content_bytes,
            ratio=self.max_content_ratio,
            image_bytes=self.max_image_bytes,
            image_pixels=self.max_image_pixels,
            classes=self.max_classes,
        )

    def environment(self) -> dict[str, str]:
        """The environment for another process of the same service: this one's, with all of these settings."""
        own = {}
        for name in type(self).model_fields:
            value = getattr(self, name)
            own[f"AUTONL_{name.upper()}"] = os.pathsep.join(map(str, value)) if isinstance(value, tuple) else str(value)
        return dict(os.environ) | own

    def child_environment(self) -> dict[str, str]:
        """The environment of a search's own process: the same, with its share of the CPU."""
        threads = str(self.threads)
        return self.environment() | {"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads, "PYTHONUNBUFFERED": "1"}
