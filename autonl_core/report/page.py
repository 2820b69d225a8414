"""The report as one self-contained HTML file: no scripts, no network, pictures embedded."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from autonl_core.report import (
    comparison,
    figures,
    first_page,
    image_tables,
    latencies,
    moved,
    run_tables,
    searched,
    tables,
    words,
)
from autonl_core.report.facts import Facts
from autonl_core.report.images import PIXELATED, image_uri, strip_uri
from autonl_core.report.statistics import class_scores, confusion
from autonl_core.wording.evidence import wilson_pct

if TYPE_CHECKING:
    from autonl_core.report.canvas import Picture

_TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def as_html(facts: Facts, pictures: Mapping[str, Picture]) -> str:
    """The whole report as HTML."""
    test = facts.test
    low, high = wilson_pct(test.correct, test.images)
    return _TEMPLATES.get_template("report.html.jinja").render(
        facts=facts,
        words=words,
        comparison=comparison,
        moved=moved,
        searched=searched,
        figures=figures,
        tables=tables,
        first_page=first_page,
        image_tables=image_tables,
        latencies=latencies,
        run_tables=run_tables,
        pictures=pictures,
        interval=(low, high),
        layers=_layers(facts),
        samples=_samples(facts),
        mistakes=_mistakes(facts),
        matrix=_matrix(facts),
        recalls=_recalls(facts),
        pixelated=facts.dataset.resolution <= PIXELATED,
    )


def _layers(facts: Facts) -> list[dict[str, Any]]:
    """Every layer with its shares, 0 to 1, and whether it shrinks the feature map."""
    layers = facts.architecture.layers
    time_ms = max(1e-9, sum(layer.time_ms for layer in layers))
    most_macs = max(layer.macs for layer in layers)
    most_ms = max(1e-9, *(layer.time_ms for layer in layers))
    sizes = [facts.dataset.resolution, *(layer.out_size for layer in layers)]
    return [
        {
            "layer": layer,
            "macs_share": layer.macs / facts.architecture.macs,
            "macs_bar": layer.macs / most_macs,
            "time_share": layer.time_ms / time_ms,
            "time_bar": layer.time_ms / most_ms,
            "shrinks": layer.out_size < before,
        }
        for layer, before in zip(layers, sizes, strict=False)
    ]


def _samples(facts: Facts) -> list[dict[str, Any]]:
    return [
        {"name": facts.dataset.classes[label], "count": len(images), "uri": strip_uri(images)}
        for label, images in facts.dataset.samples.items()
        if images
    ]


def _mistakes(facts: Facts) -> list[dict[str, Any]]:
    names = facts.dataset.classes
    return [
        {
            "label": names[mistake.label],
            "predicted": names[mistake.predicted],
            "confidence": figures.pct(100 * mistake.confidence),
            "uri": image_uri(mistake.image),
        }
        for mistake in facts.test.mistakes
    ]


def _matrix(facts: Facts) -> list[dict[str, Any]]:
    """The rows of the confusion matrix, with a colour strength of 0 to 1 per cell; empty if it would be too large."""
    if len(facts.dataset.classes) > image_tables.ALL_CLASSES:
        return []
    found = confusion(facts.test.labels, facts.test.predicted, len(facts.dataset.classes))
    return [
        {
            "name": facts.dataset.classes[label],
            "cells": [
                {
                    "count": int(count),
                    "right": label == place,
                    "strength": round(math.sqrt(count / max(1, row.sum())), 3),
                }
                for place, count in enumerate(row)
            ],
        }
        for label, row in enumerate(found)
    ]


def _recalls(facts: Facts) -> list[dict[str, Any]]:
    """Recall of each class, for bars; empty if there are too many classes."""
    scores = class_scores(confusion(facts.test.labels, facts.test.predicted, len(facts.dataset.classes)))
    if len(scores) > image_tables.ALL_CLASSES:
        return []
    return [{"name": facts.dataset.classes[score.label], "score": score} for score in scores if score.images]
