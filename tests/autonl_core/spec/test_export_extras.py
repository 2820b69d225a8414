"""Formats that need packages which are installed only on request: refused by name, never left out."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

import pytest

from autonl_core.datasets.spec import DIGITS
from autonl_core.errors import FormatUnavailable
from autonl_core.export.format_spec import Extra
from autonl_core.phases.preparing import open_run
from autonl_core.run.host_options import HostOptions
from autonl_core.spec.config import SearchConfig
from autonl_core.spec.config_sections import ExportConfig
from autonl_core.spec.export_extras import installed_extras, require_extras, unavailable
from autonl_core.spec.formats import DEFAULT_EXPORT_FORMATS, FORMATS_BY_EXTRA, NETWORK_FORMAT_SPECS
from autonl_core.spec.progress import Silent

ROOT = Path(__file__).parents[3]
EXTRAS = {spec.extra.name: spec.extra for spec in NETWORK_FORMAT_SPECS.values() if spec.extra is not None}


@pytest.fixture
def nothing_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where no extra is installed, whether or not one is."""
    for extra in EXTRAS.values():
        for module in extra.modules:
            monkeypatch.setitem(sys.modules, module, None)


def test_every_extra_is_one_of_the_package_and_installs_what_runs_its_files() -> None:
    offered = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    assert EXTRAS.keys() == FORMATS_BY_EXTRA.keys() >= {"executorch", "litert"}
    for name, extra in EXTRAS.items():
        packages = {re.split("[<>=~]", requirement)[0] for requirement in offered[name]}
        assert set(extra.runtime) <= packages


def test_the_page_about_phones_names_every_format_of_theirs_and_what_installs_it() -> None:
    page = (ROOT / "docs" / "phones.md").read_text(encoding="utf-8")
    for spec in NETWORK_FORMAT_SPECS.values():
        if spec.apps:
            assert f"`{spec.name}`" in page
            assert f"`{spec.file_name}`" in page
        if spec.extra is not None:
            assert all(f"$ {command}" in page for command in spec.extra.command.split(" && "))


def test_no_format_that_needs_one_is_made_without_being_asked_for() -> None:
    assert not unavailable(DEFAULT_EXPORT_FORMATS, extras=())
    assert ExportConfig().formats == DEFAULT_EXPORT_FORMATS


@pytest.mark.usefixtures("nothing_installed")
@pytest.mark.parametrize("name", [name for names in FORMATS_BY_EXTRA.values() for name in names])
def test_where_it_is_missing_a_search_is_refused_before_it_does_anything(name: str, tmp_path: Path) -> None:
    assert installed_extras() == frozenset()
    require_extras(DEFAULT_EXPORT_FORMATS)
    extra = NETWORK_FORMAT_SPECS[name].extra
    assert extra is not None
    config = SearchConfig(dataset="digits", flops_budget=400_000, export=ExportConfig(formats=("onnx", name)))
    with pytest.raises(
        FormatUnavailable, match=rf"'{name}' needs the extra '{extra.name}'.*{re.escape(extra.command)}"
    ):
        open_run(
            config,
            DIGITS,
            tmp_path / "work",
            sink=Silent(),
            stop=Silent(),
            resume_from=[],
            host=HostOptions(),
            cache_dir=tmp_path / "cache",
            dataset_report=None,
        )
    assert not list(tmp_path.iterdir())


def test_it_is_there_if_all_its_modules_are(monkeypatch: pytest.MonkeyPatch) -> None:
    extra = Extra("x", modules=("json", "email"), runtime=())
    assert extra.is_installed()
    monkeypatch.setitem(sys.modules, "email", None)
    assert not extra.is_installed()


@pytest.mark.usefixtures("nothing_installed")
def test_an_extra_that_several_formats_need_is_named_once() -> None:
    for extra, names in FORMATS_BY_EXTRA.items():
        with pytest.raises(FormatUnavailable) as refused:
            require_extras(("onnx", *names))
        assert str(refused.value).count(f"the extra {extra!r}") == 1
        assert all(repr(name) in str(refused.value) for name in names)
