"""`autonl predict`: names the classes of images with the network of a finished search."""

from __future__ import annotations

import importlib.util
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console

from autonl_core.spec.formats import FORMATS, FileFormat
from autonl_core.spec.known_fields import known_fields
from autonl_core.spec.not_sure import NotSure
from autonl_core.wording.counts import counted
from cli.checkpoints import fetch_checkpoint
from cli.client import Client
from cli.errors import ApiError, CommandError
from cli.options import json_option, print_json, stop_on_error, url_option
from cli.render import short_macs
from cli.search_ids import full_id

if TYPE_CHECKING:  # loads numpy and ONNX Runtime
    from autonl_core.bundle.files.predict import Classifier

_NEEDED = ("numpy", "onnxruntime")
_FORMATS: tuple[FileFormat, ...] = ("onnx", "onnx-uint8", "onnx-int8")  # the first that a search has


@click.command()
@click.argument("images", nargs=-1, required=True, metavar="IMAGE...", type=click.Path(path_type=Path))
@click.option("--search", "-s", "search_id", help="finished search to predict with (default: the newest one)")
@click.option("--dataset", "-d", help="predict with the newest finished search on this dataset")
@click.option(
    "--bundle",
    type=click.Path(exists=True, path_type=Path),
    help="unpacked bundle to predict with, without a service",
)
@click.option("--top", type=click.IntRange(min=1), default=5, show_default=True, help="classes shown for each image")
@json_option
@url_option
@stop_on_error
def predict(
    images: tuple[Path, ...],
    search_id: str | None,
    dataset: str | None,
    bundle: Path | None,
    top: int,
    as_json: bool,
    url: str,
) -> None:
    """Name the classes of images with the network of a finished search. Exit code 1 if an image cannot be read."""
    if sum(named is not None for named in (search_id, dataset, bundle)) > 1:
        raise CommandError("--search, --dataset and --bundle each name a network; give one of them")
    _require_packages()
    with tempfile.TemporaryDirectory(prefix="autonl-predict-") as folder:
        not_sure = None
        if bundle is not None:
            classifier = _of_bundle(bundle)
        else:
            classifier, not_sure = _of_search(url, search_id, dataset, Path(folder))
        failed = _print_predictions(classifier, images, top, not_sure, as_json)
    if failed:
        raise click.exceptions.Exit(1)


def doubt(probability_pct: float, not_sure: NotSure | None) -> str | None:
    """Why the network is not sure of its best class; None: it is, or too few test images show where it errs."""
    if not_sure is None or probability_pct >= 100 * not_sure.below:
        return None
    images = counted(not_sure.test_images, "test image")
    less = f"whose best class had less than {100 * not_sure.below:.1f}%"
    return f"of the {images} {less}, only {not_sure.test_correct:,} were right"


def _print_predictions(
    classifier: Classifier, images: tuple[Path, ...], top: int, not_sure: NotSure | None, as_json: bool
) -> bool:
    """Returns whether an image could not be read."""
    from autonl_core.bundle.files.predict import lines, predictions

    found = predictions(classifier, images, top)
    for prediction in found:
        if not_sure is not None and "error" not in prediction:
            prediction["not_sure"] = doubt(prediction["probability_pct"], not_sure)
    if as_json:
        print_json(found)
    else:
        for prediction in found:
            why = [f"  not sure: {prediction['not_sure']}"] if prediction.get("not_sure") else []
            click.echo("\n".join(lines(prediction) + why), err="error" in prediction)
    return any("error" in prediction for prediction in found)


def _of_bundle(folder: Path) -> Classifier:
    from autonl_core.bundle.files.predict import PredictError, find_model

    if not folder.is_dir():
        raise CommandError(f"{folder} is not a folder", ["unpack the bundle, and give the folder in it to --bundle"])
    try:
        return _open(find_model(folder))
    except PredictError as error:
        raise CommandError(str(error)) from error


def _of_search(url: str, search_id: str | None, dataset: str | None, folder: Path) -> tuple[Classifier, NotSure | None]:
    """The network of a search, downloaded into `folder`, and below which probability it is not sure."""
    with Client(url) as client:
        search = client.search(full_id(client, search_id)) if search_id is not None else _newest(client, dataset)
        result = search["result"] or {}
        files, stored = result.get("files", {}), result.get("not_sure")
        file_format = next((name for name in _FORMATS if name in files), _FORMATS[0])
        path, _ = fetch_checkpoint(client, search, folder / FORMATS[file_format].file_name, file_format)
    return _open(path), None if stored is None else NotSure(**known_fields(NotSure, stored))


def _newest(client: Client, dataset: str | None) -> dict[str, Any]:
    """The newest search that succeeded, of all or on `dataset`, which is said. Raises ApiError if there is none.

    Of a search for several budgets, or with several seeds, the first one is meant, if it has succeeded.
    """
    listed = client.searches(state="succeeded", dataset=dataset, page_size=1)["searches"]
    if not listed:
        if dataset is not None:
            client.dataset(dataset)  # if there is none, that is the problem
        problem = "No search has succeeded yet" + (f" on the dataset {dataset}" if dataset is not None else "")
        raise ApiError(problem, ["start one with `autonl search`, or name a folder with --bundle"])
    newest = client.search(listed[0]["id"])
    others = [one for one in newest["budgets"] if one["state"] == "succeeded"]
    first_id = others[0]["search_id"] if others else newest["config"].get("repeat_of") or newest["id"]
    search = newest if first_id == newest["id"] else client.search(first_id)
    if search["state"] != "succeeded":
        search = newest
    said = f"with search {search['id']} of the dataset {search['config']['dataset']}, the newest that succeeded"
    if others:
        alike = ", ".join(f"-s {one['search_id']} for {short_macs(one['flops_budget'])}" for one in others[1:])
        said += f", for {short_macs(search['flops_budget'])} MACs" + (f"; other budgets: {alike}" if alike else "")
    Console(stderr=True).print(said, markup=False, highlight=False, soft_wrap=True)
    return search


def _open(path: Path) -> Classifier:
    from autonl_core.bundle.files.predict import Classifier, PredictError

    try:
        return Classifier(path)
    except PredictError as error:
        raise CommandError(str(error)) from error


def _require_packages() -> None:
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise CommandError(
            f"To predict, this installation lacks {' and '.join(missing)}",
            [f"install what is missing: pip install {' '.join(missing)}"],
        )
