"""The part of the settings that is about export formats which need packages beyond those of every worker."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import BaseSettings

from autonl_core.spec.export_extras import installed_extras

_INSTALLED_HERE = "installed"


class ExportSettings(BaseSettings):
    """A base of `Settings`."""

    export_extras: str = Field(
        default=_INSTALLED_HERE,
        description="the extras of export formats that all workers have, as executorch, separated by commas; empty: "
        "none; by default, those that are installed where the API runs",
    )

    @property
    def extras_of_workers(self) -> frozenset[str]:
        """The names of the extras that searches can be made with."""
        if self.export_extras == _INSTALLED_HERE:
            return installed_extras()
        return frozenset(name.strip() for name in self.export_extras.split(",") if name.strip())
