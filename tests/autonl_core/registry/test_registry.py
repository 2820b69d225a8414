"""A registry's members are the files of a package."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from autonl_core.registry import DuplicateMember, Registry, UnknownMember


@dataclass(frozen=True)
class Fruit:
    name: str


def package(folder: Path, name: str, files: dict[str, str]) -> Path:
    """A package of these files below `folder`."""
    (folder / name).mkdir(parents=True)
    for file, source in {"__init__.py": "", **files}.items():
        (folder / name / file).write_text(source)
    return folder / name


def member(name: str) -> str:
    return f"from types import SimpleNamespace\nMEMBER = SimpleNamespace(name={name!r})\n"


@pytest.fixture
def fruits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Registry[Fruit]:
    files = {"red_apple.py": member("red-apple"), "pear.py": member("pear"), "_shared.py": "raise AssertionError"}
    package(tmp_path, "fruits", files)
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in [name for name in sys.modules if name.partition(".")[0] == "fruits"]:
        monkeypatch.delitem(sys.modules, name)
    return Registry[Fruit]("fruits", "fruit")


def test_members_are_called_like_their_files_and_private_ones_are_none(fruits: Registry[Fruit]) -> None:
    assert fruits.names() == ("pear", "red-apple")
    assert [fruit.name for fruit in fruits.members()] == ["pear", "red-apple"]


def test_names_are_listed_without_importing_a_member(fruits: Registry[Fruit]) -> None:
    fruits.names()
    assert not {"fruits.pear", "fruits.red_apple"} & sys.modules.keys()
    fruits.get("pear")
    assert "fruits.red_apple" not in sys.modules


def test_an_unknown_name_is_answered_with_the_known_ones(fruits: Registry[Fruit]) -> None:
    with pytest.raises(UnknownMember, match="fruit 'plum' is unknown; known are pear, red-apple"):
        fruits.get("plum")


def test_a_member_of_another_name_than_its_file_is_refused(fruits: Registry[Fruit], tmp_path: Path) -> None:
    """So two files can never define members of one name."""
    (tmp_path / "fruits" / "plum.py").write_text(member("pear"))
    with pytest.raises(DuplicateMember, match=r"fruits\.plum defines the fruit 'pear', its file name says 'plum'"):
        fruits.get("plum")


def test_two_files_of_one_name_are_refused(
    fruits: Registry[Fruit], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A package can have several folders: then the first of two equal names would silently win."""
    import fruits as opened  # type: ignore[import-not-found]

    other = package(tmp_path / "elsewhere", "fruits", {"pear.py": member("pear")})
    monkeypatch.setattr(opened, "__path__", [*opened.__path__, str(other)])
    with pytest.raises(DuplicateMember, match="two files in fruits define the fruit 'pear'; remove one"):
        fruits.names()
