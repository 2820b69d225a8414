"""What a report says about the result beside its baselines."""

from __future__ import annotations

import math
from collections.abc import Sequence

from autonl_core.report.facts import Facts
from autonl_core.report.figures import pct, short
from autonl_core.spec.config import OFF_THE_SHELF, RIVALS, UNIFORM
from autonl_core.spec.result import BaselineResult
from autonl_core.spec.zoo import find_net
from autonl_core.wording.counts import counted
from autonl_core.wording.evidence import differ, least_difference

SAME_COMPUTE = 0.05  # share by which whole epochs may miss the compute of the search and still be called the same
_DEEDS = {
    OFF_THE_SHELF: "fine-tuning the whole pretrained network at {px} pixels",
    UNIFORM: "cutting every block of the fine-tuned network alike at {px} pixels",
}
_TRAINED = {
    OFF_THE_SHELF: "The whole pretrained network was fine-tuned on labels alone, as the teacher was",
    UNIFORM: "The network with every block cut alike was trained as the chosen one was, from the teacher's weights "
    "and answers",
}
_COUNTED = {OFF_THE_SHELF: "", UNIFORM: ", the training of the teacher included"}


def title_of(baseline: BaselineResult) -> str:
    """A baseline in a few words, as tables and pictures name it."""
    if baseline.name == OFF_THE_SHELF:
        return f"pretrained network, whole, at {baseline.resolution} pixels"
    if baseline.name == UNIFORM:
        return f"fine-tuned network, every block cut alike, at {baseline.resolution} pixels"
    return find_net(baseline.name).title


def compare(facts: Facts) -> list[str]:
    """The result beside everything that it was compared with: first whether the search was worth its compute."""
    published = [baseline for baseline in facts.baselines if baseline.name not in RIVALS]
    return [*_worth_it(facts), *(_beside_published(facts, baseline) for baseline in published)]


def _beside_published(facts: Facts, baseline: BaselineResult) -> str:
    """The result compared with a published network, whether it is better or worse."""
    title = title_of(baseline)
    if baseline.test_correct is None:
        return f"{title}, scaled to the same MACs, has no score: {baseline.problem}."
    found, reference, images = facts.test.correct, baseline.test_correct, facts.test.images
    gap = 100 * (found - reference) / images
    side = "better than" if gap > 0 else "worse than" if gap < 0 else "level with"
    margin = f"{abs(gap):.1f} points " if gap else ""
    doubt = "" if differ(found, reference, images) else f"; {_may_be_chance(found, reference, images)}"
    scaled = (
        f"scaled to {short(baseline.macs)} MACs and trained the same way, which reaches {pct(100 * reference / images)}"
    )
    return f"The result is {margin}{side} {title} {scaled}{doubt}."


def _worth_it(facts: Facts) -> list[str]:
    """Whether the search was worth its compute: the result beside the better of its rivals, and those without score."""
    rivals = [baseline for baseline in facts.baselines if baseline.name in RIVALS]
    scored = [rival for rival in rivals if rival.test_correct is not None]
    lost = [
        f"The {title_of(rival)}: no score, because {rival.problem}." for rival in rivals if rival.test_correct is None
    ]
    if not scored:
        return lost
    best = max(scored, key=lambda rival: (rival.test_correct or 0, -rival.macs))
    return [_beside_rival(facts, best, of_several=len(scored) > 1), *lost]


def _beside_rival(facts: Facts, rival: BaselineResult, *, of_several: bool) -> str:
    found, reference, images = facts.test.correct, rival.test_correct or 0, facts.test.images
    gap = 100 * (found - reference) / images
    deed = _DEEDS[rival.name].format(px=rival.resolution) + (" (the better of two alternatives)" if of_several else "")
    work_share = 1.0 if rival.work_share is None else rival.work_share
    compute = "the same compute" if abs(work_share - 1) <= SAME_COMPUTE else f"{work_share:.0%} of the compute"
    side = "less than" if gap > 0 else "more than" if gap < 0 else "as much as"
    margin = f"{abs(gap):.1f} points {side} the result" if gap else f"{side} the result"
    reached = f"reaches {pct(100 * reference / images)} for {short(rival.macs)} MACs, {margin}"
    if not differ(found, reference, images):
        doubt = _may_be_chance(found, reference, images)
        return f"Whether the search was worth its compute is not known: with {compute}, {deed} {reached}; {doubt}."
    worth = "worth" if gap > 0 else "not worth"
    return f"The search was {worth} its compute: with {compute}, {deed} {reached}."


def _may_be_chance(found: int, reference: int, images: int) -> str:
    """From which difference on one is more than chance, in the direction of this one."""
    few = f"with {counted(images, 'test image')},"
    least = least_difference(reference, images, above=found > reference or (found == reference and found < images))
    if least is None:
        return f"{few} that may be chance"
    return f"{few} a difference below {100 * least / images:.1f} points may be chance"


def limits_of_comparison(facts: Facts) -> list[str]:
    """What limits the comparison with baselines."""
    rivals = [baseline for baseline in facts.baselines if baseline.name in RIVALS]
    sentences = _limits_of_rivals(rivals)
    if len(rivals) == len(facts.baselines):
        return sentences
    sentences.append(
        f"Each {'published network' if rivals else 'baseline'} is scaled in width to within 3% of the budget, trained "
        "after the chosen network on the same images with the same recipe, epochs and seed, and scored once on the "
        "test split. One seed each."
    )
    if facts.run.config.get("train", {}).get("weights") == "inherit":
        others = "published networks" if rivals else "baselines"
        sentences.append(f"The chosen network started from the supernet's weights, the {others} from random weights.")
    last_map_px = math.ceil(facts.dataset.resolution / 32)
    if facts.dataset.resolution < 3 * 32:
        sentences.append(
            "Published networks halve their input five times, which suits 224 pixels: at "
            f"{facts.dataset.resolution} pixels their last feature map is {last_map_px}×{last_map_px}. They are "
            "scaled in width only, so part of the advantage of a network searched for this resolution comes from that."
        )
    return sentences


def _limits_of_rivals(rivals: Sequence[BaselineResult]) -> list[str]:
    """How each rival was trained, and with how much compute."""
    sentences = []
    for rival in rivals:
        if rival.epochs:
            took = f"{rival.work_share or 0:.0%} of the compute of the search"
            sentences.append(
                f"{_TRAINED[rival.name]}: {counted(rival.epochs, 'pass')} over all training images, "
                f"{took}{_COUNTED[rival.name]}."
            )
    if sentences:
        sentences.append(
            "They are trained after the chosen network and scored once on the test split. One seed each; compute is "
            "counted in MACs of single images, three times forward for a training step."
        )
    return sentences
