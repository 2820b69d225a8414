"""Decide which folders are splits and which are classes, or say in how many ways they can be read."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from autonl_core.datasets.layouts.folders import Folders, says_nothing
from autonl_core.datasets.layouts.pattern import ANY, CLASS, SPLIT, Pattern
from autonl_core.datasets.layouts.split_names import Part, split_part

_CLASSES = Pattern((CLASS,))
_UNLABELLED = re.compile(  # folders beside splits whose images are known to have no class
    r"(?:seg[ _-]*)?(?:pred(?:ict|iction|ictions)?|unlabell?ed|inference|submissions?|samples?|examples?|demo|preview)"
    r"(?:[ _-]*(?:set|data|images|imgs|photos))?",
    re.IGNORECASE,
)
_MOST_BRANCHES = 8  # outermost folders that are offered one by one


@dataclass(frozen=True)
class Recognised:
    """What the folders mean. More than one pattern: each is possible, and the user has to choose.

    `left_out` are outermost folders without classes, such as a `test` folder beside class folders. `why` says what is
    ambiguous.
    """

    patterns: tuple[Pattern, ...]
    left_out: frozenset[str] = frozenset()
    why: str = ""

    @property
    def is_ambiguous(self) -> bool:
        return len(self.patterns) != 1


def recognise(folders: Folders) -> Recognised:
    """Read `folders`, which were unwrapped. No patterns: there are no class folders."""
    tops, nested = set(folders.tops()), folders.nested()
    splits = {top: part for top in tops if (part := split_part(top)) is not None}
    others = tops - splits.keys()
    if nested & splits.keys():
        return _split(folders, splits, others)
    if splits and not others:  # train/1.jpg and test/1.jpg
        return Recognised(())
    if splits and set(splits.values()) != {"train"}:
        return _beside_unlabelled(folders, splits)
    return _classes(folders)


def _split(folders: Folders, splits: Mapping[str, Part], others: set[str]) -> Recognised:
    """Some outermost folders are splits with folders inside."""
    nested = folders.nested()
    content = {
        name: parts[1:] for name, parts in folders.of.items() if len(parts) > 1 and parts[0] in nested & splits.keys()
    }
    inside = _classes(Folders(content))
    found = tuple(pattern.under(SPLIT) for pattern in inside.patterns)
    inner = folders.inner()
    beside = {top for top in others if len(inner.get(top, ())) > 1 or not _UNLABELLED.fullmatch(top)}
    if beside:
        shown = ", ".join(map(repr, sorted(beside)[:5]))
        why = (
            f"has class folders in {', '.join(sorted(nested & splits.keys()))}, but also {shown} next to them; a "
            "dataset is either split into train and test, or one level of class folders"
        )
        return Recognised((*found, Pattern((ANY, CLASS)), _CLASSES), why=why)
    return Recognised(found, frozenset(others), inside.why)


def _beside_unlabelled(folders: Folders, splits: Mapping[str, Part]) -> Recognised:
    """Class folders, and beside them `test` or the like without folders inside: its images have no class."""
    kept = Folders({name: parts for name, parts in folders.of.items() if parts and parts[0] not in splits})
    if "train" in splits.values():
        named = " and ".join(map(repr, sorted(splits)))
        why = (
            f"has {named} beside other folders, without class folders inside; remove them, or choose layout=CLASS if "
            "they are classes"
        )
        return Recognised((_CLASSES, Pattern((SPLIT, CLASS))), why=why)
    inside = _classes(kept)
    return Recognised(inside.patterns, frozenset(splits), inside.why)


def _classes(folders: Folders) -> Recognised:
    """What folders mean of which none is a split."""
    tops, direct, inner = set(folders.tops()), folders.direct(), folders.inner()
    plain = {top for top in tops if top in direct or _is_plain(top, inner[top])}
    outer = tops - plain  # with nothing but folders inside
    if not tops:
        return Recognised(())
    if outer == tops and _are_splits(folders, inner):
        return Recognised((Pattern((CLASS, SPLIT)),))
    if not outer or (len(outer) == 1 and len(inner[min(outer)]) <= len(tops)):
        return Recognised((_CLASSES,))
    return Recognised(_possible(folders, outer, inner), why=_why(outer, inner))


def _is_plain(top: str, inside: set[str]) -> bool:
    return len(inside) == 1 and says_nothing(min(inside), top)


def _are_splits(folders: Folders, inner: Mapping[str, set[str]]) -> bool:
    """Whether each class has its own splits: `cat/train/1.jpg`."""
    parts = {split_part(folder) for inside in inner.values() for folder in inside}
    deep = any(len(path) > 2 for path in folders.of.values())
    return None not in parts and len(parts) > 1 and "train" in parts and not deep


def _possible(folders: Folders, outer: set[str], inner: Mapping[str, set[str]]) -> tuple[Pattern, ...]:
    """All readings of folders with folders inside, the likelier ones first."""
    inside = Counter(folder for found in inner.values() for folder in found)
    deeper = Pattern((SPLIT, CLASS)) if all(map(split_part, inside)) else _CLASSES  # color/train/CLASS
    found = [_CLASSES, deeper.under(ANY)]
    if max(inside.values()) > 1:
        found.reverse()
        if deeper is _CLASSES:
            found.append(Pattern((CLASS, CLASS)))
    branches = sorted(top for top in outer if len(inner[top]) > 1)[:_MOST_BRANCHES]
    return (*found, *(deeper.under(top) for top in branches))


def _why(outer: Iterable[str], inner: Mapping[str, set[str]]) -> str:
    first = min(outer)
    inside = sorted(inner[first])
    shown = ", ".join(map(repr, inside[:4])) + (", ..." if len(inside) > 4 else "")
    return f"has folders like {first!r} with only folders inside ({shown}), and either could be the classes"
