"""Names of datasets, weight sets and other things that users name, and the rule for them in words.

Imports little: the command line checks names before it packs or sends anything.
"""

from __future__ import annotations

import re

NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
NAME_RULE = (
    "a name has 1 to 64 characters: letters from A to Z, digits, dots, hyphens and underscores, the first one a letter "
    "or a digit; no spaces, and no accents"
)


def is_name(text: str) -> bool:
    """Whether `text` follows NAME_RULE."""
    return re.fullmatch(NAME_PATTERN.strip("^$"), text) is not None
