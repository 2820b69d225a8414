"""One word per idea: retired words and phrases do not return. docs/glossary.md has the words in use."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = (
    "api",
    "autonl",
    "autonl_core",
    "benchmarks",
    "cli",
    "deploy",
    "docker",
    "docs",
    "migrations",
    "store",
    "telemetry",
    "tests",
    "worker",
)
SUFFIXES = (".html", ".jinja", ".js", ".md", ".mako", ".py", ".toml", ".yml", ".yaml", ".css", ".Dockerfile")
PACKAGES = (
    "api/",
    "autonl/",
    "autonl_core/",
    "benchmarks/",
    "cli/",
    "docs/",
    "migrations/",
    "store/",
    "telemetry/",
    "worker/",
)


@dataclass(frozen=True)
class Retired:
    """A word in a sense that is not used any more.

    Args:
        pattern: regular expression; ignores case unless it begins with `(?-i:`.
        instead: what to write.
        inside: beginnings of the paths to search; everything if empty.
        outside: beginnings of paths where the word has another, current sense.
        suffixes: kinds of files to search; all if empty.
    """

    pattern: str
    instead: str
    inside: tuple[str, ...] = ()
    outside: tuple[str, ...] = ()
    suffixes: tuple[str, ...] = ()

    def concerns(self, path: str) -> bool:
        return (
            (not self.inside or path.startswith(self.inside) or "/" not in path)
            and not path.startswith(self.outside or ("\0",))
            and (not self.suffixes or path.endswith(self.suffixes))
        )

    def lines_in(self, text: str) -> list[int]:
        """The lines of `text` that use the word, from 1."""
        return [text.count("\n", 0, match.start()) + 1 for match in re.finditer(f"(?i:{self.pattern})", text)]


RETIRED = (
    # one idea, one word
    Retired(r"\bdata\s+sets?\b", "dataset"),
    Retired(
        r"(?<!\.)\bchild(ren)?\b(?!\()",
        "subnet (of the supernet) or search process",
        inside=PACKAGES,
        outside=("worker/process_tree.py",),  # the name of a file of the kernel
        suffixes=(".md", ".py", ".toml"),
    ),
    Retired(r"\brunners?\b", "search process"),
    Retired(r"\bdoorbells?\b", "notifier"),
    Retired(
        r"\b(rings?|rang|rung|ringing)\b",
        "notify, notification",
        outside=("autonl_core/supernet/", "tests/autonl_core/supernet/"),  # the ring of a kernel
    ),
    Retired(r"\bzombies?\b", "stale process"),
    Retired(r"(?-i:\bFuse\b)|lease-fuse|\b(a|the) fuse of\b|\bfuse\.(renew|remove|blown|left_s)\b", "watchdog"),
    Retired(r"(?-i:\bEdge\b)(?=[,(:])", "middleware"),
    Retired(r"\blooks (of|are|differ)\b|\.looks\b|\bof (two )?looks\b|\blook_dim\b", "perceptual descriptors"),
    Retired(
        r"\bleave_by\b|\binsist\(", "exit_with, retry_while_unavailable", inside=("store/", "telemetry/", "worker/")
    ),
    # translated phrases
    Retired(r"\bvouch(es|ed|ing)?\b", "untrusted"),
    Retired(r"\bhonest\s+programs?\b", "legitimate tool"),
    Retired(r"\bway\s+of\s+a\s+search\b|\bthrough\s+the\s+rooms\b", "how a search flows through the system"),
    Retired(r"\bmoods\b", "drift"),
    Retired(r"\bspeed\s+to\s+speak\s+of\b", "enough work done to estimate"),
    Retired(r"\bow(e|es|ed|ing)\b(\s+\w+)?\s+nothing\b", "independent of"),
    Retired(r"\bgo(es)?\s+away\s+by\s+(it|them)sel(f|ves)\b", "temporary"),
    Retired(r"\bby\s+(itself|themselves)\b", "on its own, alone, automatically"),
    Retired(r"\blearned\s+by\s+heart\b", "memorised, leakage"),
    Retired(r"\bsoil(s|ed)?\b", "write to, damage"),
    Retired(r"\bmade\s+a\s+mistake\b", "internal server error, by accident"),
    Retired(r"\b(service|that)\s+is\s+well\b", "healthy"),
    Retired(r"\bhow\s+searches\s+call\b", "as used in searches"),
    Retired(r"\b(tells?|telling)\b[^.\n]{0,40}\bapart\b", "distinguish, classify"),
    Retired(r"\bends?\s+with\s+[01]\b", "exit code"),
    Retired(r"\banew\b", "again"),
    Retired(r"\b(broke|broken|breaks?|breaking)\s+off\b", "failed, interrupted"),
    Retired(r"\bputs?(ting)?\s+away\b", "clean up, save"),
    Retired(r"\btold\b(?!\s+(to|from|which)\b)", "reported, said; the detail, the message"),
    Retired(r"\btells?\s+(of|about|that|how|what|which|whether)\b", "reports, says, shows"),
    Retired(
        r"""(?<![`"'/])\bnobody\b(?![`"'@])|(?<!@)\bsomebody\b|\bwhoever\b""", "another process, no one, the passive"
    ),
    Retired(r"\bfor\s+good\b(?=[,.;:)\"]|$|\s+(before|after|and|once|by)\b)", "permanently"),
    Retired(r"\b(those|all|ones|names|pictures)\s+(that\s+)?there\s+are\b", "the existing ones; name them"),
    Retired(r"\bthe\s+same\s+story\b", "the same information"),
)


@functools.cache
def texts() -> tuple[tuple[str, str], ...]:
    """Path relative to the root and content of every text file of the project, except this one."""
    return tuple(_read_texts())


def _read_texts() -> Iterator[tuple[str, str]]:
    files = [file for folder in FOLDERS for file in (ROOT / folder).rglob("*")]
    for file in sorted([*files, *ROOT.glob("*.*"), ROOT / "Makefile"]):
        if file.is_file() and (file.name.endswith(SUFFIXES) or file.name == "Makefile") and file != Path(__file__):
            yield file.relative_to(ROOT).as_posix(), file.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("word", "text"),
    [
        ("dataset", "a data\nset of digits"),
        ("subnet", "two children share each batch"),
        ("search process", "the runner stops"),
        ("notify", "the sweeper rings again"),
        ("watchdog", "class Fuse:"),
        ("reported", "it is told in the log"),
        ("another process", "somebody else holds the lock"),
        ("permanently", "it fails for good."),
        ("exit code", "Ends with 1 unless it succeeded"),
    ],
)
def test_retired_senses_are_recognised(word: str, text: str) -> None:
    assert [retired.instead for retired in RETIRED if word in retired.instead and retired.lines_in(text)]


@pytest.mark.parametrize(
    "text",
    [
        "network.fuse() folds the batch norms",
        "root.children(recursive=True)",
        "AUTONL_CHILD_MEMORY_BYTES and AUTONL_RING_S",
        "told to stop, a worker saves",
        "PostgreSQL runs as `nobody`",
        "too short for good accuracy",
        "psutil.STATUS_ZOMBIE",
        "if all is well",
        "Edge cases",
        "tell the supervisor",
    ],
)
def test_current_senses_are_left_alone(text: str) -> None:
    assert [retired.pattern for retired in RETIRED if retired.lines_in(text)] == []


@pytest.mark.parametrize("retired", RETIRED, ids=lambda retired: retired.instead)
def test_retired_words_do_not_return(retired: Retired) -> None:
    found = [f"{path}:{line}" for path, text in texts() if retired.concerns(path) for line in retired.lines_in(text)]
    assert found == [], f"write: {retired.instead}"
