r"""The layouts that can be written, as one regular expression for JSON Schema: what `choose.require_layout` accepts.

It is written in what the dialects of ECMAScript and Python share. `$` also matches before a last line break in Python,
which is white space to the forms of folders.
"""

from __future__ import annotations

from autonl_core.datasets.layouts.label_readings import AND, COLUMN
from autonl_core.datasets.layouts.label_tables import SUFFIXES
from autonl_core.datasets.layouts.pattern import CLASS, CLASS_NUMBER, SPLIT
from autonl_core.datasets.layouts.yolo import YOLO

AUTO = "auto"  # the layout that is recognised

_S = r"[\t-\r ]*"  # white space around the components of a path
_ANYWHERE = r"(?:[\s\S]*/)?"  # the components before one
_OTHER = rf"{_S}[^/\t-\r ][^/]*"
_BEGINS, _ENDS = rf"(?:{_S}/+)?(?:{_OTHER}/)*", rf"(?:/+{_S})?"


def _component(word: str) -> str:
    return f"{_S}{word}{_S}"


def _without(word: str) -> str:
    """Refuses what has the component `word`."""
    return rf"(?!{_ANYWHERE}{_component(word)}(?:/|$))"


def _without_earlier(word: str) -> str:
    """Refuses what has the component `word` before another one."""
    return rf"(?!{_ANYWHERE}{_component(word)}/+{_S}[^/\t-\r ])"


_ONE_SPLIT = rf"(?!{_ANYWHERE}{_component(SPLIT)}/{_ANYWHERE}{_component(SPLIT)}(?:/|$))"
_FOLDERS = f"{_without(CLASS_NUMBER)}{_BEGINS}{_component(CLASS)}(?:/{_OTHER})*{_ENDS}"
_NUMBERED = f"{_without(CLASS)}{_without_earlier(CLASS_NUMBER)}{_BEGINS}{_component(CLASS_NUMBER)}{_ENDS}"


def _any_case(word: str) -> str:
    return "".join(f"[{letter}{letter.upper()}]" for letter in word)


_SUFFIX = rf"\.(?:{'|'.join(_any_case(suffix.lstrip('.')) for suffix in SUFFIXES)})"
_FILE = rf"[^{AND}]*[^{AND}/]{_SUFFIX}"
_FILES = rf"{_FILE}(?:\{AND}{_FILE})*"
# A column that ends like a file would make all of it the names of files.
_COLUMN_OF_FILES = rf"(?![\s\S]*[^/]{_SUFFIX}(?![\s\S])){_FILES}{COLUMN}[^{COLUMN}]*"

LAYOUT_PATTERN = rf"^(?:{AUTO}|{YOLO}|{_FILES}|{_COLUMN_OF_FILES}|{_ONE_SPLIT}{_FOLDERS}|{_ONE_SPLIT}{_NUMBERED})$"
