"""What a worker needs and does not have is named with the way to install it."""

from __future__ import annotations

from importlib import metadata

import pytest

from autonl_core.host.packages import describe_missing, missing_packages


def test_nothing_is_missing_where_the_extra_is_installed() -> None:
    assert missing_packages() == []


def test_missing_packages_are_named_with_the_command_that_installs_them(monkeypatch: pytest.MonkeyPatch) -> None:
    required = [
        "click>=8.5",
        'torch>=2.13; extra == "worker"',
        'not-there>=1; extra == "worker"',
        'no>=1; extra == "dev"',
    ]
    monkeypatch.setattr(metadata, "requires", lambda _: required)
    assert missing_packages() == ["not-there"]
    assert describe_missing(["not-there"]).endswith("pip install 'autonl[worker]'")


def test_a_checkout_that_is_on_the_path_but_not_installed_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    def not_installed(name: str) -> list[str]:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "requires", not_installed)
    assert missing_packages() == []
