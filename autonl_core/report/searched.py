"""Whether searching paid off, as the search itself measured it on validation images."""

from __future__ import annotations

from autonl_core.report.facts import Facts
from autonl_core.report.figures import pct, short_bytes
from autonl_core.report.table import Table
from autonl_core.report.words import origin
from autonl_core.spec.comparison import Comparison, FinalistScore, Gap
from autonl_core.spec.measured_network import MeasuredNetwork, front_of
from autonl_core.wording.counts import counted
from autonl_core.wording.evidence import gap_may_be_chance

_Z = 1.959963984540054  # two-sided 95%
_LEAST = 0.05  # points: rounded to one digit, an end of an interval stays on its side of zero
_HOW = (
    "Networks within the budget, scored on validation images with the supernet's shared weights, without further "
    "training."
)
_FINAL = " The best were then trained briefly to choose one."
ABOUT_MEASURED = (
    "Peak activations: what the maps of one image need at most, in float32. On the front: no other network scored "
    "higher on the shared weights with as many MACs or fewer."
)
ABOUT_CURVES = (
    "Expected MACs are the mean over all networks, each option as probable as the search holds it. No network is built "
    "from that mean, which may be above the budget; the derived network, the best by these probabilities, is not. "
    "Gate entropy is how undecided the options are; slope agreement is the correlation between what two halves of the "
    "steps say of them."
)
_TWIN = "without_light_nl"
_RIVALS = ("random", "uniform", "widest")
_TITLES = {  # of candidates, as what another one is ahead of
    "random": "random networks",
    "uniform": "the network with every block alike",
    "widest": "the network with the most parameters",
    "by_slopes": "the best by the slopes of the gates",
    "by_scores": "another one of the best by scores",
    "drawn": "one that was drawn at random",
    _TWIN: "the best network without LightNL",
}
_SINGLE = {"random": "a random network", "by_scores": "one of the best by scores"}  # where only one is meant


def about_candidates(facts: Facts) -> list[str]:
    """How candidates were compared, what came of it, and which kind was chosen."""
    comparison = facts.architecture.comparison
    images = facts.test.val_images
    return [
        _HOW + (_FINAL if comparison.rounds else ""),
        f"Origin of the chosen network: {origin(facts.architecture.chosen_as)}.",
        *_whether_options_matter(comparison),
        *_with_shared_weights(comparison, images),
        *_after_training(comparison, images),
        *_higher_scores(facts),
    ]


def _higher_scores(facts: Facts) -> list[str]:
    """Why networks that scored higher than the chosen one for as many MACs or fewer were not chosen."""
    arch, images = facts.architecture, facts.test.val_images
    chosen = next((each for each in arch.comparison.networks if each.arch_string == arch.arch_string), None)
    if chosen is None:
        return []
    higher = [
        each
        for each in arch.comparison.networks
        if each.val_top1_pct > chosen.val_top1_pct and each.macs <= chosen.macs
    ]
    if not higher:
        return []
    best = max(each.val_top1_pct for each in higher)
    those = "the one network" if len(higher) == 1 else f"the best of {len(higher)} networks"
    decided = "all scores together chose the finalists, and the loss after their training decided"
    scores = (
        f"With shared weights, {those} with no more MACs than the chosen one scored {pct(best)}, the chosen one "
        f"{pct(chosen.val_top1_pct)}."
    )
    noisy = f"Single scores on {_validation(images)} are noisy, so"
    return [f"{scores} {noisy} {decided if arch.comparison.rounds else 'all scores together decided'}."]


def _whether_options_matter(comparison: Comparison) -> list[str]:
    """What the permutation test over all candidates says (`supernet/significance.py`)."""
    if comparison.chance is None:
        return []
    how_often = f"with labels at random, it would be as much in {100 * comparison.chance:.0f}% of cases"
    scored = f"the accuracy of the {comparison.candidates} networks that were scored"
    if comparison.options_matter:
        return [f"Which options a network has explains {scored}: {how_often}."]
    remedy = "Among them the choice may be luck: more validation images or epochs may show more, or labels are wrong."
    freed = comparison.freed_epochs
    consequence = (
        f" So no final was held, and the chosen network trained {counted(freed, 'pass')} more." if freed else ""
    )
    return [
        f"Which options a network has explains no more of {scored} than chance may: {how_often}. {remedy}{consequence}"
    ]


def _with_shared_weights(comparison: Comparison, images: int) -> list[str]:
    gaps = [(name, comparison.ahead_of[name]) for name in _RIVALS if name in comparison.ahead_of]
    sentences = []
    if gaps:
        beside = _listed([f"{_TITLES[name]} by {in_points(gap, images)}" for name, gap in gaps])
        sentences.append(
            f"At equal MACs, on {_validation(images)} with shared weights, the best network by all scores was ahead of "
            f"{beside}."
        )
    twin = comparison.ahead_of.get(_TWIN)
    if twin is not None:
        sentences.append(
            f"LightNL was worth {in_points(twin, images)} there: so far was the best network ahead of the best one "
            "without it, which spends those MACs otherwise."
        )
    return sentences


def _after_training(comparison: Comparison, images: int) -> list[str]:
    """The winner of the final beside those that it beat last, and its twin without LightNL whenever it lost."""
    beaten = [score for scores in comparison.rounds for score in scores if score.behind is not None]
    last = [score for score in (comparison.rounds[-1] if comparison.rounds else ()) if score.behind is not None]
    shown = [*last, *(score for score in beaten if score.origin == _TWIN and score not in last)]
    if not shown:
        return []
    beside = _listed([f"{_described(score)} by {in_points(score.behind, images)}" for score in shown])
    on_the_same = f"on the same {_validation(images)}"
    return [f"After a short training of their own, {on_the_same}, the best finalist was ahead of {beside}."]


def _validation(images: int) -> str:
    return counted(images, "validation image")


def _described(score: FinalistScore) -> str:
    return f"{_TITLES.get(score.origin, score.origin)} ({pct(score.val_top1_pct)})"


def measured(facts: Facts) -> Table | None:
    """The networks of the final and of the front between MACs and accuracy; None: they were not kept."""
    networks = facts.architecture.comparison.networks
    rows = [
        (
            _named(network) + (", chosen" if network.arch_string == facts.architecture.arch_string else ""),
            f"{network.macs:,}",
            f"{network.params:,}",
            short_bytes(network.peak_activation_bytes),
            pct(network.val_top1_pct),
            "–" if network.final_val_top1_pct is None else pct(network.final_val_top1_pct),
            "yes" if on_front else "no",
        )
        for network, on_front in zip(networks, front_of(networks), strict=True)
        if on_front or network.final_val_top1_pct is not None or network.arch_string == facts.architecture.arch_string
    ]
    head = ("network", "MACs", "parameters", "peak activations", "top-1, shared weights", "after the final", "on front")
    return Table(head, tuple(rows)) if rows else None


def _named(network: MeasuredNetwork) -> str:
    return _SINGLE.get(network.origin) or _TITLES.get(network.origin, network.origin)


def in_points(gap: Gap | None, images: int) -> str:
    """A difference on `images` images with its 95% interval, and whether it may be chance.

    Where the images are too few for an interval that holds, none is shown.
    """
    if gap is None:
        return "an unknown margin"
    points, error = gap.points, gap.error_points
    shown = f"{points:.1f} points"
    if images < 2:
        return f"{shown} ({counted(images, 'image')}: too few to show more)"
    if points == error == 0:
        return f"{shown} (no image distinguishes them)"
    low, high = points - _Z * error, points + _Z * error
    if low <= 0 <= high:
        return f"{shown} (95% interval {min(low, -_LEAST):.1f} to {max(high, _LEAST):.1f}, which may be chance)"
    if gap_may_be_chance(points, error, images):
        return f"{shown} (too few images to show whether by chance)"
    low, high = (max(low, _LEAST), high) if low > 0 else (low, min(high, -_LEAST))
    return f"{shown} (95% interval {low:.1f} to {high:.1f})"


def _listed(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
