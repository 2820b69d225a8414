"""Class names that mean each other's mirror image: left and right in many languages, turning senses, arrows, glyphs.

A class has a mirror name if swapping such words in its name gives the name of another class, so that a word alone, as
in `bright` or `sol`, means nothing. Accents, case and what separates words make no difference.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from string import ascii_lowercase
from typing import Literal

Glyphs = Literal["letters", "digits"]

# Swapped wherever they stand, inside a word too: stems, so that endings may differ from pair to pair.
_STEMS = """
    left right | link recht | gauche droite | gauche droit | izquierd derech | esquerd direit | sinistr destr
    esquerr dret | stang dreapt | vänster höger | venstr højr | venstr høyr | vinstr hægr | vasen oikea | vasem oike
    lew praw | lev prav | lijev desn | lev desn | balra jobbra | kiri kanan | hidari migi | sinister dexter
    sinistral dextral | babord tribord | babord styrbord | backbord steuerbord | bakboord stuurboord
    clockwise counterclockwise | clockwise anticlockwise | uhrzeigersinn gegenuhrzeigersinn
    лев прав | лів прав | ляв дясн | лев десн | αριστερ δεξι | שמאל ימין | يسار يمين | چپ راست | बाय दाय | बाए दाए
    ซ้าย ขวา | 左 右 | 왼 오른 | 좌 우 | ← → | ⇐ ⇒ | ⬅ ➡ | ⬅ ⮕ | ⇦ ⇨ | ⟵ ⟶ | ↖ ↗ | ↙ ↘ | ↰ ↱ | ↲ ↳ | ⤶ ⤷ | ↩ ↪ | ↶ ↷
    ↺ ↻ | ◀ ▶ | ◄ ► | ◁ ▷ | ⏪ ⏩ | ⏮ ⏭ | ☚ ☛ | ☜ ☞ | 👈 👉
"""
# Swapped only as whole words.
_WORDS = """
    l r | lt rt | lft rgt | lh rh | lhs rhs | le re | os od | cw ccw | cw acw | port starboard | east west | ost west
    oost west | est ouest | est ovest | este oeste | ne nw | se sw | izq der | esq dir | sx dx | bal jobb | sol sağ
    trái phải
"""
# Initials of left and right elsewhere: swapped only where no third class differs from these two by one letter.
_INITIALS = "g d | i d"
_MIRRORED_GLYPHS = ({"b", "d"}, {"p", "q"}, {"<", ">"}, {"(", ")"}, {"[", "]"}, {"{", "}"}, {"«", "»"})  # whole names
_ALPHABET = 10  # classes named by single letters, from which on they are taken for letters
_DIGITS = 5
_PLAIN = str.maketrans({"ø": "o", "ł": "l", "ı": "i", "đ": "d", "æ": "ae"})
_WORD = re.compile(r"[^\W\d_]+|\d+|[^\w\s.,;:-]")


@dataclass(frozen=True)
class MirrorNames:
    """What class names say about mirroring: pairs of classes, by label, and whether classes are named like glyphs."""

    pairs: tuple[tuple[int, int], ...] = ()
    glyphs: Glyphs | None = None

    @property
    def forbid_mirroring(self) -> bool:
        """Whether the names alone are reason enough; pictures of classes named 0, 1, 2 may show anything."""
        return bool(self.pairs) or self.glyphs == "letters"


def read_mirror_names(classes: Sequence[str]) -> MirrorNames:
    """Find mirror names among `classes`; time grows with their number."""
    words = [_words(name) for name in classes]
    glyphs = _glyphs(words)
    if glyphs == "letters":  # among which l and r are no words
        return MirrorNames(tuple(_pairs_of_glyphs(classes)), glyphs)
    labels: dict[str, list[int]] = {}
    for label, parts in enumerate(words):
        labels.setdefault("".join(parts), []).append(label)
    pairs = {
        (min(label, other), max(label, other))
        for label, parts in enumerate(words)
        for mirrored in _mirrored(parts)
        for other in labels.get(mirrored, ())
        if other != label
    }
    pairs |= set(_pairs_of_initials(words))
    pairs |= set(_pairs_of_glyphs(classes))
    return MirrorNames(tuple(sorted(pairs)), glyphs)


def _words(name: str) -> tuple[str, ...]:
    """The words of a name without accents and case: `leftHand_2` gives left, hand, 2."""
    apart = re.sub(r"(?<=[^\W\d_A-Z])(?=[A-Z])", " ", name)
    return tuple(_WORD.findall(_plain(apart)))


def _plain(text: str) -> str:
    """`text` without case, accents, and the selectors that make a symbol an emoji."""
    letters = unicodedata.normalize("NFKD", text.casefold().translate(_PLAIN))
    return "".join(letter for letter in letters if unicodedata.category(letter) not in ("Mn", "Cf"))


def _table(text: str) -> dict[str, tuple[str, ...]]:
    """Every word with those that it may be swapped for."""
    found: dict[str, tuple[str, ...]] = {}
    for pair in re.split(r"[|\n]", _plain(text)):
        if pair.strip():
            one, other = pair.split()
            found[one] = (*found.get(one, ()), other)
            found[other] = (*found.get(other, ()), one)
    return found


_STEM_TABLE, _WORD_TABLE, _INITIAL_TABLE = _table(_STEMS), _table(_WORDS), _table(_INITIALS)
_ANY_STEM = re.compile("|".join(re.escape(stem) for stem in sorted(_STEM_TABLE, key=len, reverse=True)))


def _mirrored(words: Sequence[str]) -> Iterator[str]:
    """Names that a mirror image may have, without spaces: all stems swapped, or one word."""
    joined = "".join(words)
    for turn in range(3):  # a stem has at most three partners
        yield _ANY_STEM.sub(lambda found, turn=turn: _partner(found[0], turn), joined)  # type: ignore[misc]
    for place, word in enumerate(words):
        for other in _WORD_TABLE.get(word, ()):
            yield "".join((*words[:place], other, *words[place + 1 :]))


def _partner(stem: str, turn: int) -> str:
    partners = _STEM_TABLE[stem]
    return partners[turn % len(partners)]


def _pairs_of_initials(words: Sequence[Sequence[str]]) -> Iterator[tuple[int, int]]:
    """Pairs such as `main_g` and `main_d`, unless there is a `main_a` as well: then the letters just count."""
    siblings: dict[tuple[str, ...], list[int]] = {}
    for label, parts in enumerate(words):
        for place, word in enumerate(parts):
            if len(word) == 1 and word.isalpha():
                siblings.setdefault((*parts[:place], "", *parts[place + 1 :]), []).append(label)
    for rest, labels in siblings.items():
        if len(labels) == 2:
            place = rest.index("")
            one, other = (words[label][place] for label in labels)
            if other in _INITIAL_TABLE.get(one, ()):
                yield labels[0], labels[1]


def _pairs_of_glyphs(classes: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Glyphs that are each other's mirror image, unless a, b, c, d just count."""
    labels = {name: label for label, name in enumerate(classes)}
    if "".join(sorted(labels)) == ascii_lowercase[: len(labels)]:
        return
    for glyphs in _MIRRORED_GLYPHS:
        if glyphs <= labels.keys():
            one, other = sorted(labels[glyph] for glyph in glyphs)
            yield one, other


def _glyphs(words: Sequence[Sequence[str]]) -> Glyphs | None:
    """What classes are named by, if all names differ in one word, which is a single letter or digit."""
    lengths = {len(parts) for parts in words}
    if len(lengths) != 1:
        return None
    differing = [column for column in map(set, zip(*words, strict=True)) if len(column) > 1]
    if len(differing) != 1 or any(len(word) != 1 for word in differing[0]):
        return None
    if all(word.isdigit() for word in differing[0]):
        return "digits" if len(differing[0]) >= _DIGITS else None
    letters = sum(word.isalpha() for word in differing[0])
    return "letters" if letters >= _ALPHABET else None
