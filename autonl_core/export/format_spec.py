"""What an export format declares about itself. Free of tensor code, as are the modules of the formats themselves."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

Availability = Literal["always", "default", "on request"]
Runtime = Literal["model.py", "onnxruntime", "torch.export", "torch.jit"]
Input = Literal["normalised", "pixels"]
Language = Literal["kotlin", "swift"]
BYTES = "application/octet-stream"

# Tensor types cannot be named here: `Any` stands for `export.materials.Materials`, `export.graph.NetworkGraph`, and
# float32 tensors.
Maker = Callable[[Any, Path], None]
Preparer = Callable[[Any], None]
Forward = Callable[[Any], Any]


@dataclass(frozen=True)
class LatencyForm:
    """How the latency of a format is measured.

    `title` names the form in tables. `open_file(path, threads)` returns a function that runs a batch, a tensor like
    the `input` of the format. Its threads must not spin while they wait, or they slow down the form measured next.
    """

    title: str
    open_file: Callable[[Path, int], Forward]


@dataclass(frozen=True)
class Extra:
    """Packages that a format needs and this package does not bring unless it is asked to.

    Args:
        name: as in `pip install 'autonl[NAME]'`.
        modules: all of them can be imported where it is installed. They are looked for, never imported.
        runtime: the packages that run the file, as pip names them: all that verify.py needs beside its own.
        without_dependencies: what must be installed beside the extra and cannot be a part of it, because it asks for
            other versions than this package needs; it works with these.
    """

    name: str
    modules: tuple[str, ...]
    runtime: tuple[str, ...]
    without_dependencies: tuple[str, ...] = ()

    @property
    def command(self) -> str:
        """Installs it."""
        further = (
            f" && pip install --no-deps {' '.join(self.without_dependencies)}" if self.without_dependencies else ""
        )
        return f"pip install 'autonl[{self.name}]'{further}"

    def is_installed(self) -> bool:
        return all(find_spec(module) is not None for module in self.modules)


@dataclass(frozen=True)
class Snippet:
    """How an app reads the file, for the model card: `code` in `language`, with what `needs` names in its project."""

    language: Language
    needs: str
    code: str


@dataclass(frozen=True)
class ShippedModule:
    """A module that defines `open_file` and is shipped whole, so it imports nothing of this package; see `opener`.

    `name`: as Python imports it.
    """

    name: str

    def source(self) -> str:
        spec = find_spec(self.name)
        assert spec is not None
        assert spec.origin is not None
        return Path(spec.origin).read_text(encoding="utf-8")


@dataclass(frozen=True, kw_only=True)
class FormatSpec:
    """A file that can be downloaded. File names and endings are unique among all formats.

    Args:
        name: as in `?format=`; the name of the module, with `-` for `_`.
        file_name: in the bundle and in the folder of an attempt.
        ending: of the name that the file is downloaded under.
        media_type: sent as Content-Type.
        summary: a phrase for the API, the model card and the command line.
        order: position in lists and enums, ascending; formats of equal order are sorted by name.
    """

    name: str
    file_name: str
    ending: str
    media_type: str = BYTES
    summary: str
    order: int = 50


@dataclass(frozen=True, kw_only=True)
class NetworkFormatSpec(FormatSpec):
    """A format that holds one network, and that verify.py scores.

    Args:
        availability: whether every search makes it ("always"), `export.formats` has it by default, or only names it
            on request.
        make: `make(materials, path)` writes the file; in a fresh process, equal materials give equal bytes. Formats are
            made in their `order`, and ONNX always is, so that later ones may start from its file. If `make` raises,
            the format is withheld with the error as the reason; OSError, AutonlError and exhausted memory end the
            search instead.
        prepare: `prepare(graph)` does ahead what needs no weights, in the process that makes the format and before its
            weights are known: converts the graph, or loads what `make` will need. The file is the same without.
        opener: how verify.py opens the file. Either a runtime that verify.py knows, or a function named `open_file`:
            `open_file(path, threads)` returns a function from batches, see `input`, to (B, classes) logits.
            Its source is shipped in the bundle, so it must import everything it needs inside its body; where one
            function is too short for that, a module is shipped.
        input: what it is fed: "normalised", (B, 3, R, R) float32; or "pixels", (B, R, R, 3) uint8.
        usage: a snippet for the model card: from `images`, or `pixels`, to `logits`, run in the folder of the bundle.
        lossy: whether it may change predictions. A lossy format may lose `export.int8_max_drop_points` of top-1; any
            other must predict the class that PyTorch predicts, except where rounding decides between two classes.
        latency: how its latency is measured; None: it is not.
        extra: what it is made and run with, beside what every worker has. Where it is not installed, searches that ask
            for the format are refused.
        apps: snippets for the model card, for apps on phones.
    """

    availability: Availability
    make: Maker
    opener: Runtime | Callable[[Path, int], Forward] | ShippedModule
    usage: str
    input: Input = "normalised"
    lossy: bool = False
    prepare: Preparer | None = None
    latency: LatencyForm | None = None
    extra: Extra | None = None
    apps: tuple[Snippet, ...] = ()

    @property
    def opener_file(self) -> str | None:
        """The file of the bundle that holds `opener`; None if verify.py knows how to open this format."""
        return None if isinstance(self.opener, str) else f"open_{self.name.replace('-', '_')}.py"

    def opener_source(self) -> str:
        """The content of `opener_file`: a module that defines `open_file`."""
        assert not isinstance(self.opener, str)
        if isinstance(self.opener, ShippedModule):
            return self.opener.source()
        source = inspect.getsource(self.opener)
        return f'"""How verify.py opens {self.file_name}."""\n\nfrom __future__ import annotations\n\n\n{source}'
