"""Find the images that a table may mean by a path, a file name, or a name without its suffix."""

from __future__ import annotations

import re
from collections.abc import Iterable

_LEADING = re.compile(r"^(?:[A-Za-z]:)?(?:\.{0,2}/)*")


class ImageIndex:
    """The images of a dataset, by everything that they are called in tables."""

    def __init__(self, images: Iterable[str]) -> None:
        self._names = set(images)
        self._by_last: dict[str, list[str]] = {}
        for name in sorted(self._names):
            last = name[name.rfind("/") + 1 :]
            for called in {last, last[: last.rfind(".")] if last.rfind(".") > 0 else last}:
                self._by_last.setdefault(called.casefold(), []).append(name)

    def find(self, text: str, folder: str = "") -> list[str]:
        """The images that are called so, seen from the folder of the table, which ends with /."""
        path = _LEADING.sub("", text.strip().replace("\\", "/"))
        for name in (folder + path, path):
            if name in self._names:
                return [name]
        found = self._by_last.get(path[path.rfind("/") + 1 :].casefold(), [])
        if len(found) > 1 and "/" in path:
            found = [name for name in found if name.endswith("/" + path) or _bare(name).endswith("/" + path)]
        below = [name for name in found if folder and name.startswith(folder)]
        return below or found


def _bare(name: str) -> str:
    return name[: name.rfind(".")] if name.rfind(".") > name.rfind("/") else name
