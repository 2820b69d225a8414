"""The sentences of a report, and how it writes numbers."""

from __future__ import annotations

import math

from autonl_core.report.facts import Facts
from autonl_core.report.statistics import noise_points, wilson_pct
from autonl_core.spec.result import BaselineResult
from autonl_core.spec.zoo import find_net

FEW_IMAGES = 1000  # test images; below, the interval is wider than most differences of interest
_SUFFIXES = ((1e9, "G"), (1e6, "M"), (1e3, "k"))
_ORIGINS = {
    "most_likely": "the most likely network of the learned distribution",
    "drawn": "drawn from the learned distribution",
    "evolved": "a mutation of the best candidates",
    "random": "random networks, each option equally likely",
    "uniform": "the same small block everywhere, which owes nothing to the search",
    "widest": "the most parameters the budget allows, which owes nothing to the search",
}


def origin(name: str) -> str:
    """Where a candidate came from, in words."""
    return _ORIGINS.get(name, name)


def short(number: float) -> str:
    """4470272 -> "4.47M": three digits."""
    for size, suffix in _SUFFIXES:
        if abs(number) >= size:
            return f"{number / size:.3g}{suffix}" if number < 1000 * size else f"{number / size:,.0f}{suffix}"
    return f"{number:,.0f}"


def short_bytes(number: int) -> str:
    """186704 -> "187 kB"."""
    text = short(number)
    return f"{text[:-1]} {text[-1]}B" if text[-1].isalpha() else f"{text} B"


def pct(value: float, digits: int = 1) -> str:
    return f"{value:.{digits}f}%"


def share(correct: int, images: int) -> str:
    """ "79.6% (1,592 of 2,000; 95% interval 77.8% to 81.3%)"."""
    low, high = wilson_pct(correct, images)
    return f"{pct(100 * correct / images)} ({correct:,} of {images:,}; 95% interval {pct(low)} to {pct(high)})"


def duration(seconds: float) -> str:
    """ "3 min 20 s"."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{seconds:.1f} s"


def verdict(facts: Facts) -> list[str]:
    """What came of the search: the one paragraph for who reads no further."""
    test, arch, budget = facts.test, facts.architecture, facts.budget_macs
    most_frequent = 100 * int(facts.dataset.test_counts.max()) / max(1, int(facts.dataset.test_counts.sum()))
    light_nl = sum(bool(layer.light_nl) for layer in arch.layers)
    scored = (
        f"Top-1 on the test split is {share(test.correct, test.images)}; always naming the most frequent class would "
        f"get {pct(most_frequent)}."
    )
    cost = (
        f"One image costs {arch.macs:,} MACs, {pct(100 * arch.macs / budget)} of the budget of {budget:,}; the network "
        f"has {arch.params:,} parameters, and LightNL in {light_nl} of its {len(arch.layers) - 3} blocks."
    )
    collapsed = facts.run.stop_reason == "collapsed"
    guessing = ["That is no better than guessing: do the labels belong to the images?"] if collapsed else []
    said = [scored, *guessing, cost, *(compared(facts, baseline) for baseline in facts.baselines)]
    if test.images < FEW_IMAGES:
        low, high = wilson_pct(test.correct, test.images)
        said.append(
            f"{test.images:,} test images are few: the interval is {high - low:.1f} points wide, and smaller "
            "differences say little."
        )
    return said


def compared(facts: Facts, baseline: BaselineResult) -> str:
    """The result beside a baseline, also where it loses."""
    title = find_net(baseline.name).title
    if baseline.test_correct is None:
        return f"{title}, scaled to the same MACs, has no score: {baseline.problem}."
    ours, theirs, images = facts.test.correct, baseline.test_correct, facts.test.images
    gap = 100 * (ours - theirs) / images
    noise = noise_points(ours, theirs, images)
    side = "better than" if gap > 0 else "worse than" if gap < 0 else "level with"
    by = f"{abs(gap):.1f} points " if gap else ""
    doubt = f"; with {images:,} test images, less than {noise:.1f} points may be chance" if abs(gap) < noise else ""
    scaled = f"scaled to {short(baseline.macs)} MACs and trained alike, which gets {pct(100 * theirs / images)}"
    return f"It is {by}{side} {title} {scaled}{doubt}."


def how_far_apart(facts: Facts) -> list[str]:
    """What to know before believing the comparison with baselines."""
    alike = (
        "Each baseline is scaled by its width to within 3% of the budget, trained after the chosen network on the same "
        "images with the same recipe, epochs and seed, and scored once on the test split. One seed each."
    )
    said = [alike]
    if facts.run.config.get("train", {}).get("weights") == "inherit":
        said.append("The chosen network started from the supernet's weights, the baselines from fresh ones.")
    last = facts.dataset.resolution / 32
    if last < 3:
        said.append(
            "Published networks halve their input five times, as suits 224 pixels: at "
            f"{facts.dataset.resolution} their last map is {math.ceil(last)}×{math.ceil(last)}. They are scaled in "
            "width alone, so this is part of what a network searched for the resolution has ahead of them."
        )
    return said


def about_data(facts: Facts) -> str:
    data = facts.dataset
    smallest, largest = int(data.train_counts.min()), int(data.train_counts.max())
    balance = "equally many" if smallest == largest else f"{smallest:,} to {largest:,}"
    sized = "" if data.image_size == data.resolution else f", {data.image_size} pixels on the longer side as they came"
    return (
        f"{len(data.classes):,} classes; {int(data.train_counts.sum()):,} training images ({balance} per class) and "
        f"{int(data.test_counts.sum()):,} test images, seen at {data.resolution}×{data.resolution} pixels{sized}. "
        f"{int(data.val_counts.sum()):,} of the training images only judged during the search; the final training "
        f"used all of them. Data set {data.name} ({data.kind}), fingerprint {data.fingerprint}."
    )


def about_architecture(facts: Facts) -> str:
    arch = facts.architecture
    time_ms = sum(layer.time_ms for layer in arch.layers)
    nl_macs = sum(layer.light_nl_macs for layer in arch.layers)
    nl_ms = sum(layer.light_nl_ms for layer in arch.layers)
    shares = pct(100 * nl_macs / arch.macs), pct(100 * nl_ms / max(1e-9, time_ms))
    of_nl = (
        f"LightNL takes {shares[0]} of the MACs and {shares[1]} of the time." if nl_macs else "No block has LightNL."
    )
    return (
        f"Architecture {arch.arch_id} of the space {arch.space}. Times are medians of single layers on the machine of "
        f"the search, one image, eager PyTorch with folded batch norms: {time_ms:.2f} ms in all. {of_nl}"
    )


def about_candidates(facts: Facts) -> str:
    chosen = origin(facts.architecture.chosen_as)
    return (
        "Networks within the budget, scored on validation images with the supernet's shared weights, without training "
        f"of their own. The one that was chosen after short trainings of the best: {chosen}."
    )


def about_classes(facts: Facts) -> str:
    least = int(facts.dataset.test_counts.min())
    few = f" With as few as {least} test images in a class, single classes are uncertain." if least < 50 else ""
    return f"Recall is of the test images of a class, precision of those that were taken for it.{few}"


ABOUT_FORMATS = (
    "Every format was opened and scored on the whole test split by a process that has none of the search's code. "
    "Differences are to PyTorch reading the safetensors file."
)


def about_latency(facts: Facts) -> str:
    machine = ", ".join(f"{name} {value}" for name, value in facts.run.machine.items())
    return f"Medians on the machine of the search{f' ({machine})' if machine else ''}; yours will differ."


def about_run(facts: Facts) -> str:
    run = facts.run
    exact = (
        "Exactly repeatable: the same configuration, data, versions and thread count give the same weights."
        if run.exact
        else "Not exactly repeatable: other hardware, threads or versions took over on the way, or memory ran out."
    )
    total = duration(sum(run.seconds_by_phase.values()))
    return f"{total} of work over all attempts, up to this report; stop reason {run.stop_reason}. {exact}"
