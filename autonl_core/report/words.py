"""The sentences of a report, and the formatting of its numbers."""

from __future__ import annotations

import math

from autonl_core.report.facts import Facts
from autonl_core.report.statistics import noise_points, wilson_pct
from autonl_core.spec.result import BaselineResult
from autonl_core.spec.zoo import find_net

FEW_IMAGES = 1000  # test images; with fewer, the interval is wider than most differences of interest
_SUFFIXES = ((1e9, "G"), (1e6, "M"), (1e3, "k"))
_ORIGINS = {
    "most_likely": "the most likely network of the learned distribution",
    "drawn": "drawn from the learned distribution",
    "evolved": "mutated from the best candidates",
    "random": "random networks, each option equally likely",
    "uniform": "the same small block everywhere, independent of the search",
    "widest": "the most parameters the budget allows, independent of the search",
}


def origin(name: str) -> str:
    """The origin of a candidate, in words."""
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
    """79.6 -> "79.6%"."""
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
    """The outcome of the search in one paragraph."""
    test, arch, budget = facts.test, facts.architecture, facts.budget_macs
    most_frequent = 100 * int(facts.dataset.test_counts.max()) / max(1, int(facts.dataset.test_counts.sum()))
    light_nl = sum(bool(layer.light_nl) for layer in arch.layers)
    scored = (
        f"Top-1 accuracy on the test split is {share(test.correct, test.images)}; always predicting the most frequent "
        f"class would reach {pct(most_frequent)}."
    )
    cost = (
        f"One image costs {arch.macs:,} MACs, {pct(100 * arch.macs / budget)} of the budget of {budget:,}; the network "
        f"has {arch.params:,} parameters, and LightNL in {light_nl} of its {len(arch.layers) - 3} blocks."
    )
    collapsed = facts.run.stop_reason == "collapsed"
    guessing = ["That is no better than guessing: check that the labels match the images."] if collapsed else []
    sentences = [scored, *guessing, cost, *(compared(facts, baseline) for baseline in facts.baselines)]
    if test.images < FEW_IMAGES:
        low, high = wilson_pct(test.correct, test.images)
        sentences.append(
            f"{test.images:,} test images are few: the interval is {high - low:.1f} points wide, and smaller "
            "differences mean little."
        )
    return sentences


def compared(facts: Facts, baseline: BaselineResult) -> str:
    """The result compared with a baseline, whether it is better or worse."""
    title = find_net(baseline.name).title
    if baseline.test_correct is None:
        return f"{title}, scaled to the same MACs, has no score: {baseline.problem}."
    found, reference, images = facts.test.correct, baseline.test_correct, facts.test.images
    gap = 100 * (found - reference) / images
    noise = noise_points(found, reference, images)
    side = "better than" if gap > 0 else "worse than" if gap < 0 else "level with"
    margin = f"{abs(gap):.1f} points " if gap else ""
    doubt = (
        f"; with {images:,} test images, a difference below {noise:.1f} points may be chance"
        if abs(gap) < noise
        else ""
    )
    scaled = (
        f"scaled to {short(baseline.macs)} MACs and trained the same way, which reaches {pct(100 * reference / images)}"
    )
    return f"The result is {margin}{side} {title} {scaled}{doubt}."


def limits_of_comparison(facts: Facts) -> list[str]:
    """What limits the comparison with baselines."""
    conditions = (
        "Each baseline is scaled in width to within 3% of the budget, trained after the chosen network on the same "
        "images with the same recipe, epochs and seed, and scored once on the test split. One seed each."
    )
    sentences = [conditions]
    if facts.run.config.get("train", {}).get("weights") == "inherit":
        sentences.append("The chosen network started from the supernet's weights, the baselines from random weights.")
    last_map_px = math.ceil(facts.dataset.resolution / 32)
    if facts.dataset.resolution < 3 * 32:
        sentences.append(
            "Published networks halve their input five times, which suits 224 pixels: at "
            f"{facts.dataset.resolution} pixels their last feature map is {last_map_px}×{last_map_px}. They are "
            "scaled in width only, so part of the advantage of a network searched for this resolution comes from that."
        )
    return sentences


def about_data(facts: Facts) -> str:
    """Classes, images by split, resolution, and which dataset it was."""
    data = facts.dataset
    smallest, largest = int(data.train_counts.min()), int(data.train_counts.max())
    balance = f"{smallest:,}" if smallest == largest else f"{smallest:,} to {largest:,}"
    original = (
        "" if data.image_size == data.resolution else f" (originals: {data.image_size} pixels on the longer side)"
    )
    return (
        f"{len(data.classes):,} classes; {int(data.train_counts.sum()):,} training images ({balance} per class) and "
        f"{int(data.test_counts.sum()):,} test images, at {data.resolution}×{data.resolution} pixels{original}. "
        f"During the search, {int(data.val_counts.sum()):,} of the training images were held out for validation; the "
        f"final training used all of them. Dataset {data.name} ({data.kind}), fingerprint {data.fingerprint}."
    )


def about_architecture(facts: Facts) -> str:
    """Where the time was measured, and what LightNL costs."""
    arch = facts.architecture
    time_ms = sum(layer.time_ms for layer in arch.layers)
    nl_macs = sum(layer.light_nl_macs for layer in arch.layers)
    nl_ms = sum(layer.light_nl_ms for layer in arch.layers)
    shares = pct(100 * nl_macs / arch.macs), pct(100 * nl_ms / max(1e-9, time_ms))
    light_nl = (
        f"LightNL takes {shares[0]} of the MACs and {shares[1]} of the time." if nl_macs else "No block has LightNL."
    )
    return (
        f"Architecture {arch.arch_id} of the search space {arch.space}. Times are medians per layer on the machine of "
        f"the search, for one image in eager PyTorch with folded batch norms: {time_ms:.2f} ms in total. {light_nl}"
    )


def about_candidates(facts: Facts) -> str:
    """How candidates were compared, and which kind was chosen."""
    chosen = origin(facts.architecture.chosen_as)
    return (
        "Networks within the budget, scored on validation images with the supernet's shared weights, without further "
        f"training. The best were then trained briefly to choose one. Origin of the chosen network: {chosen}."
    )


def about_classes(facts: Facts) -> str:
    """How to read recall and precision."""
    least = int(facts.dataset.test_counts.min())
    few = (
        f" With as few as {least} test images in a class, figures of single classes are uncertain."
        if least < 50
        else ""
    )
    return (
        "Recall is the share of the test images of a class that were recognised; precision is the share of the "
        f"predictions of a class that were correct.{few}"
    )


ABOUT_FORMATS = (
    "Every format was scored on the whole test split, in a process that cannot import the search's code. Differences "
    "are relative to PyTorch with the safetensors file."
)


def about_latency(facts: Facts) -> str:
    """Which machine latencies were measured on."""
    machine = ", ".join(f"{name} {value}" for name, value in facts.run.machine.items())
    return f"Medians on the machine of the search{f' ({machine})' if machine else ''}; other machines will differ."


def about_run(facts: Facts) -> str:
    """How long the search took, how it ended, and whether it can be repeated exactly."""
    run = facts.run
    exact = (
        "Exactly reproducible: the same configuration, data, versions and thread count give the same weights."
        if run.exact
        else "Not exactly reproducible: hardware, threads or versions changed during the search, or memory ran out."
    )
    total = duration(sum(run.seconds_by_phase.values()))
    return f"{total} of work over all attempts, up to this report; stop reason: {run.stop_reason}. {exact}"
