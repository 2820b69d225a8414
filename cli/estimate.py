"""`autonl estimate`: how long a search would take on this machine, and what that costs. Needs no running service."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.errors import CommandError
from cli.options import json_option, print_json, stop_on_error

if TYPE_CHECKING:
    from autonl_core.spec.config import SearchConfig
    from cli.short_run import PhaseEstimate

RECIPES = Path(__file__).parents[1] / "recipes"
_IMAGENET = (1_281_167, 50_000, 1_000)


@click.command()
@click.argument("config", type=click.Path(dir_okay=False, path_type=Path), required=False)
@click.option("--recipe", help="name of a file in the folder recipes of this project, instead of CONFIG")
@click.option("--images", type=click.IntRange(min=1), default=_IMAGENET[0], show_default=True, help="training images")
@click.option("--test-images", type=click.IntRange(min=1), default=_IMAGENET[1], show_default=True)
@click.option("--classes", type=click.IntRange(min=2), default=_IMAGENET[2], show_default=True)
@click.option("--device", default="cpu", show_default=True, help="what the short run computes on: cpu, cuda")
@click.option("--sample", type=click.IntRange(min=40), default=80, show_default=True, help="images of the short run")
@click.option("--price", type=click.FloatRange(min=0), help="of this machine per hour, in any currency")
@json_option
@stop_on_error
def estimate(
    config: Path | None,
    recipe: str | None,
    images: int,
    test_images: int,
    classes: int,
    device: str,
    sample: int,
    price: float | None,
    as_json: bool,
) -> None:
    """Estimate how long a search takes on this machine, from a short run of it on generated images."""
    from autonl_core.errors import AutonlError
    from cli.short_run import Size
    from cli.short_run import estimate as measure

    asked = _read(config, recipe)
    try:
        phases = measure(asked, Size(images, test_images, classes), sample, device)
    except AutonlError as error:
        raise CommandError("No estimate is possible", [str(error)]) from error
    if as_json:
        print_json(_as_json(phases, price))
        return
    for line in _lines(phases, price, sample, device):
        click.echo(line)


def _read(config: Path | None, recipe: str | None) -> SearchConfig:
    """The search of the file or of the recipe. Raises CommandError."""
    import yaml
    from pydantic import ValidationError

    from autonl_core.spec.config import SearchConfig

    if (config is None) == (recipe is None):
        raise CommandError("Name one search", ["give either the file CONFIG or --recipe"])
    path = config if config is not None else RECIPES / f"{recipe}.yaml"
    try:
        return SearchConfig.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except OSError as error:
        known = ", ".join(sorted(one.stem for one in RECIPES.glob("*.yaml"))) or "none, outside a copy of the project"
        raise CommandError("There is no such search", [f"{error}; recipes: {known}"]) from error
    except (yaml.YAMLError, ValidationError) as error:
        raise CommandError(f"{path} is not a valid search", [str(error)]) from error


def _as_json(phases: tuple[PhaseEstimate, ...], price: float | None) -> dict[str, Any]:
    total_s = sum(one.seconds for one in phases)
    cost = {} if price is None else {"cost": price * total_s / 3600}
    return {"phases": [vars(one) for one in phases], "seconds": total_s, **cost}


def _lines(phases: tuple[PhaseEstimate, ...], price: float | None, sample: int, device: str) -> list[str]:
    total_s = sum(one.seconds for one in phases)
    lines = []
    for one in phases:
        by = (
            f"  {one.macs:.3g} image-MACs at {one.macs_per_s:.3g} a second" if one.macs else "  by the number of images"
        )
        lines.append(f"{one.phase:11}{one.seconds / 3600:12.2f} h{by}")
    lines.append(f"{'together':11}{total_s / 3600:12.2f} h")
    if price is not None:
        lines.append(f"{'cost':11}{price * total_s / 3600:12.2f}  at {price:g} an hour")
    return [
        *lines,
        f"Assumed: {device} computes as fast as in a short run on {sample} generated images, alone on this machine,",
        "where batches may be smaller than those of the search; images arrive as fast as they did there, and the disk",
        "holds their cache; every exported file is scored as fast as the network was. Crashes and waits are not in it.",
    ]
