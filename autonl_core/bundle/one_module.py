"""Code of this package as one module that imports nothing of it: what a bundle ships is the code that training runs.

`one_module("autonl_core.bundle.files.pixels")` is its source, preceded by every definition of ours that it uses,
however indirectly, as it is written where it comes from.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from functools import cache
from importlib.util import find_spec
from pathlib import Path

_OURS = "autonl_core"
# Imports from packages that a user may not have, or not as new: what takes their place.
_OPTIONAL = {
    "from pillow_heif import register_heif_opener": '''\
    def register_heif_opener(**_):
        """Without the package, HEIC images are recognised, and refused with the way out."""

        def refuse(*_):
            raise OSError("a HEIC image: to read it, install the package pillow-heif")

        Image.register_open("HEIF", refuse, lambda start: start[4:8] == b"ftyp")
''',
    "from PIL import AvifImagePlugin": '''\
    class AvifImagePlugin:
        """In place of Pillow's, which is too old to read AVIF images: they are recognised, and refused."""

        def refuse(*_):
            raise OSError("an AVIF image: to read it, install a newer pillow")

        Image.register_open("AVIF", refuse, lambda start: start[4:8] == b"ftyp")
''',
}


@dataclass(frozen=True)
class _Part:
    """A top-level statement with the comments above it: what it defines, and all names in it."""

    source: str
    defines: frozenset[str]
    uses: frozenset[str]


@dataclass(frozen=True)
class _Module:
    docstring: str
    parts: tuple[_Part, ...]
    ours: dict[str, tuple[str, str]]  # by name here: the module that it comes from, its name there
    foreign: dict[str, str]  # by name here: the statement that imports it


@dataclass
class _Collected:
    """Definitions in the order in which they can be executed, and the imports that they need."""

    sources: list[str] = field(default_factory=list)
    imports: set[str] = field(default_factory=set)
    taken: dict[str, str] = field(default_factory=dict)  # names defined so far, by the module that they come from


@cache
def one_module(name: str) -> str:
    """The source of the module `name` with all that it uses of this package.

    Raises:
        ValueError: two of the modules use one name for different things.
    """
    root = _read(name)
    collected = _Collected()
    _collect(name, None, collected)
    guarded = [_guarded(line) for line in sorted(collected.imports) if line in _OPTIONAL]
    plain = [line for line in collected.imports if line not in _OPTIONAL]
    head = f'"""{root.docstring}"""\n\nfrom __future__ import annotations\n\n'
    made = head + _joined([_grouped(plain), *guarded, *collected.sources])
    if _OURS in {top for node in ast.walk(ast.parse(made)) for top in _packages(node)}:
        raise ValueError(f"{name} uses code that imports {_OURS} inside a function; import it at the top")
    return made


def _joined(blocks: list[str]) -> str:
    """One after the other: single lines without a gap, everything else between two empty lines."""
    text, before = "", ""
    for block in (block.strip("\n") for block in blocks):
        if before:
            text += "\n\n\n" if "\n" in before or "\n" in block else "\n"
        text, before = text + block, block
    return text + "\n"


def _grouped(lines: list[str]) -> str:
    """Import statements of single names as people write them."""
    names: dict[str, list[str]] = {}
    for line in sorted(lines):
        start, _, name = line.rpartition(" import ")
        names.setdefault(start, []).append(name if start else line)
    whole = names.pop("", [])
    return "\n".join([*whole, *(f"{start} import {', '.join(of)}" for start, of in sorted(names.items()))])


def _packages(node: ast.AST) -> list[str]:
    """The packages that an import statement reads."""
    if isinstance(node, ast.ImportFrom):
        return [str(node.module).partition(".")[0]]
    return [alias.name.partition(".")[0] for alias in node.names] if isinstance(node, ast.Import) else []


def _collect(name: str, wanted: frozenset[str] | None, collected: _Collected) -> None:
    """Add the parts of a module that define `wanted`, all if None, after everything that they use."""
    module = _read(name)
    needed = _needed(module, wanted)
    used = frozenset().union(*(part.uses for part in needed))
    by_module: dict[str, set[str]] = {}
    for here in sorted(used & module.ours.keys()):
        source, there = module.ours[here]
        if here != there:
            raise ValueError(f"{name} imports {there} of {source} as {here}; use its name")
        by_module.setdefault(source, set()).add(there)
    for source, names in by_module.items():
        _collect(source, frozenset(names), collected)
    collected.imports |= {module.foreign[here] for here in used & module.foreign.keys()}
    for part in needed:
        if part.source in collected.sources:
            continue
        for defined in part.defines:
            other = collected.taken.setdefault(defined, name)
            if other != name:
                raise ValueError(f"{name} and {other} both define {defined}; rename one")
        collected.sources.append(part.source)


def _needed(module: _Module, wanted: frozenset[str] | None) -> list[_Part]:
    """The parts that define `wanted` or what these use, and statements that define nothing, in their order."""
    if wanted is None:
        return list(module.parts)
    names, chosen = set(wanted), [not part.defines for part in module.parts]
    names |= {name for part, is_in in zip(module.parts, chosen, strict=True) if is_in for name in part.uses}
    while more := [n for n, part in enumerate(module.parts) if not chosen[n] and part.defines & names]:
        for number in more:
            chosen[number] = True
            names |= module.parts[number].uses
    return [part for part, is_in in zip(module.parts, chosen, strict=True) if is_in]


@cache
def _read(name: str) -> _Module:
    spec = find_spec(name)
    assert spec is not None
    assert spec.origin is not None
    text = Path(spec.origin).read_text(encoding="utf-8")
    tree, lines = ast.parse(text), text.splitlines(keepends=True)
    parts: list[_Part] = []
    ours: dict[str, tuple[str, str]] = {}
    foreign: dict[str, str] = {}
    end = 0  # line of the statement before
    for statement in tree.body:
        source = "".join(lines[end : statement.end_lineno])
        end = statement.end_lineno or 0
        if isinstance(statement, ast.ImportFrom) and (statement.module or "").startswith(_OURS):
            ours |= {alias.asname or alias.name: (str(statement.module), alias.name) for alias in statement.names}
        elif isinstance(statement, ast.Import | ast.ImportFrom):
            foreign |= _imported(statement)
        elif statement is not tree.body[0] or ast.get_docstring(tree) is None:
            parts.append(_Part(source, _defined(statement), _used(statement)))
    return _Module(ast.get_docstring(tree, clean=False) or "", tuple(parts), ours, foreign)


def _imported(statement: ast.Import | ast.ImportFrom) -> dict[str, str]:
    """The names that an import binds, each with a statement that imports only it."""
    found = {}
    for alias in statement.names:
        single = ast.Import([alias])
        if isinstance(statement, ast.ImportFrom):
            single = ast.ImportFrom(statement.module, [alias], 0)  # type: ignore[assignment]
        found[alias.asname or alias.name.partition(".")[0]] = ast.unparse(single)
    return found


def _defined(statement: ast.stmt) -> frozenset[str]:
    if isinstance(statement, ast.FunctionDef | ast.ClassDef):
        return frozenset({statement.name})
    targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
    return frozenset(target.id for target in targets if isinstance(target, ast.Name))


def _used(statement: ast.stmt) -> frozenset[str]:
    return frozenset(node.id for node in ast.walk(statement) if isinstance(node, ast.Name))


def _guarded(line: str) -> str:
    return f"try:\n    {line}\nexcept ImportError:\n\n{_OPTIONAL[line]}"
