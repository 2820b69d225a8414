"""A format is one file: with it the API and the command line offer the format, and a search delivers it scored."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from autonl_core.spec.formats import DEFAULT_EXPORT_FORMATS, EXPORT_FORMATS, FILE_FORMATS
from tests.one_file_additions import output_of, run_python, tree_with

PATH = "autonl_core/export/formats/npz.py"
NPZ = '''
"""Weights as arrays of numpy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from autonl_core.export.format_spec import Forward, NetworkFormatSpec


def make(materials: Any, path: Path) -> None:
    import numpy as np

    arrays = {name: value.numpy() for name, value in materials.graph.network.state_dict().items()}
    with path.open("wb") as file:
        np.savez(file, **arrays)


def open_file(path: Path, threads: int) -> Forward:
    import importlib.util
    import json

    import numpy as np
    import torch

    spec = importlib.util.spec_from_file_location("model", path.with_name("model.py"))
    model = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(model)
    network = model.fuse(model.Network(json.loads(path.with_name("arch.json").read_text())))
    with np.load(path) as arrays:
        network.load_state_dict({name: torch.from_numpy(arrays[name]) for name in arrays.files})
    return network


MEMBER = NetworkFormatSpec(
    name="npz",
    file_name="model.npz",
    ending=".weights.npz",
    summary="weights as arrays",
    availability="on request",
    make=make,
    opener=open_file,
    usage="import numpy\\nweights = numpy.load('model.npz')",
)
'''


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The code with one more file."""
    return tree_with(tmp_path_factory.mktemp("npz"), {PATH: NPZ})


def offered_after(offered: list[str], without: tuple[str, ...], earlier: str) -> bool:
    """Whether the new format is listed after `earlier`, and the others as they are `without` it."""
    others = [name for name in offered if name != "npz"]
    return others == list(without) and offered.index(earlier) < offered.index("npz")


@pytest.mark.long
def test_the_api_offers_it(tree: Path) -> None:
    code = "import json; from api.app import create_app; print(json.dumps(create_app().openapi()))"
    described = json.loads(output_of(tree, code))
    asked_for = described["components"]["schemas"]["ExportConfig"]["properties"]["formats"]
    assert offered_after(asked_for["items"]["enum"], EXPORT_FORMATS, "torchscript")
    assert asked_for["default"] == list(DEFAULT_EXPORT_FORMATS)
    download = described["paths"]["/architectures/{arch_id}/checkpoint"]["get"]
    (parameter,) = (p for p in download["parameters"] if p["name"] == "format")
    offered = parameter["schema"]["enum"]
    assert offered_after(offered, FILE_FORMATS, "torchscript")
    assert offered[-1] == "bundle"
    assert "`npz`: weights as arrays" in parameter["description"]


def test_the_command_line_offers_it(tree: Path) -> None:
    printed = output_of(tree, ["-m", "cli.main", "download", "--help"], env={"COLUMNS": "200"})
    assert re.search(r"\|npz\|.*bundle", printed)


def test_a_file_name_that_another_format_has_stops_everything_that_lists_formats(tmp_path: Path) -> None:
    copy = tree_with(tmp_path, {PATH: NPZ.replace("model.npz", "model.onnx")})
    done = run_python(copy, "import autonl_core.spec.formats")
    assert done.returncode != 0
    assert "the export formats 'onnx' and 'npz' have the same file name, model.onnx" in done.stderr
