"""Whether the process is alive and ready to serve."""

from __future__ import annotations

from typing import Literal

from api.schemas.base import View


class Health(View):
    status: Literal["ok"] = "ok"


class Readiness(View):
    """The state of everything the service depends on."""

    status: Literal["ready"] = "ready"
    checks: dict[str, str]
