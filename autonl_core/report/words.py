"""The sentences of a report, and the formatting of its numbers."""

from __future__ import annotations

from collections.abc import Mapping

from autonl_core.report.comparison import compare
from autonl_core.report.facts import Facts
from autonl_core.report.figures import duration, pct, share
from autonl_core.spec.pretrained_start import PretrainedStart
from autonl_core.spec.probability_calibration import calibrated
from autonl_core.spec.result import NOISY_SPREAD_PCT, StopReason
from autonl_core.wording.counts import agreeing, counted
from autonl_core.wording.evidence import beside_guessing, wilson_pct
from autonl_core.wording.plain_networks import found_nothing_better

NOT_STATED = "not stated"
_ENDS: Mapping[StopReason, str] = {
    "converged": "It went through all its phases (stop reason converged).",
    "collapsed": "It went through all its phases, and its network does not classify (stop reason collapsed).",
}
FEW_IMAGES = 1000  # test images; with fewer, the interval is wider than most differences of interest
_ORIGINS = {
    "by_slopes": "the best by the slopes of the gates",
    "by_scores": "the best, or possibly the best, by all scores so far",
    "drawn": "drawn at random, the options that slopes favour more often",
    "without_light_nl": "the best without LightNL, whose MACs are spent otherwise",
    "random": "random networks, each option equally likely",
    "uniform": "every block alike, independent of the search",
    "widest": "the most parameters the budget allows, independent of the search",
}


def origin(name: str) -> str:
    """The origin of a candidate, in words."""
    return _ORIGINS.get(name, name)


def verdict(facts: Facts) -> list[str]:
    """The outcome of the search in one paragraph."""
    test, arch, budget = facts.test, facts.architecture, facts.budget_macs
    most_frequent = 100 * int(facts.dataset.test_counts.max()) / max(1, int(facts.dataset.test_counts.sum()))
    light_nl = sum(bool(layer.light_nl) for layer in arch.layers)
    naming = "one class" if len(set(facts.dataset.test_counts.tolist())) == 1 else "the most frequent class"
    scored = (
        f"Top-1 accuracy on the test split is {share(test.correct, test.images)}; always predicting {naming} would "
        f"reach {pct(most_frequent)}."
    )
    cost = (
        f"One image costs {arch.macs:,} MACs, {pct(100 * arch.macs / budget)} of the budget of {budget:,}; the network "
        f"has {arch.params:,} parameters, and LightNL in {light_nl} of its {counted(len(arch.layers) - 3, 'block')}."
    )
    guessing = _beside_guessing(test.correct, test.images, most_frequent / 100)
    sentences = [scored, *guessing, cost, *_beside_plain(facts), *compare(facts)]
    if test.images < FEW_IMAGES:
        low, high = wilson_pct(test.correct, test.images)
        sentences.append(
            f"{counted(test.images, 'test image')} {agreeing(test.images, 'is')} few: the interval is "
            f"{high - low:.1f} points wide, and smaller differences mean little."
        )
    return sentences


def _beside_plain(facts: Facts) -> list[str]:
    """What is said where the chosen network is one that takes no search."""
    sentence = found_nothing_better(facts.architecture.chosen_as)
    return [] if sentence is None else [sentence]


def _beside_guessing(correct: int, images: int, guessed: float) -> list[str]:
    """What is said where the network may be no better than always predicting one class."""
    shown = counted(images, "test image")
    return {
        "better": [],
        "no better": [
            f"As far as {shown} show, that is no better than guessing: check that the labels match the images."
        ],
        "unknown": [f"{shown} cannot show whether that is better than guessing: add test images."],
    }[beside_guessing(correct, images, guessed)]


def about_start(facts: Facts) -> str:
    """Which weights the search started from, under which licence, and what became of them; "" if there are none."""
    start = facts.start
    if start is None:
        return ""
    derived = "The delivered weights derive from" if start.inherited else "The delivered network learned from"
    licence = f"whose licence is {start.licence}" if start.licence else "whose licence is not stated"
    is_taught = facts.run.config.get("teacher", {}).get("weight", 0) > 0
    taught = " The other networks learned from its answers." if is_taught else ""
    tried = [f"{trial.resolution} ({pct(trial.top1_pct)})" for trial in start.trials]
    choice = (
        f" Uniform networks within the budget were then tried for one pass at {', '.join(tried)} pixels (validation "
        f"top-1); the lowest validation loss chose {start.resolution}."
        if tried
        else f" {start.resolution} pixels were the only resolution to try."
    )
    return (
        f"{derived} the weight set {start.weights}, {licence}. The whole network was fine-tuned at "
        f"{start.teacher_resolution} pixels: {teacher_score(start)}.{taught}{choice}"
    )


def teacher_score(start: PretrainedStart) -> str:
    """What the fine-tuned network scored, in words."""
    scored = start.teacher_val_top1_pct
    return "validation top-1 was not kept" if scored is None else f"validation top-1 {pct(scored)}"


def about_data(facts: Facts) -> str:
    """Classes, images by split, resolution, and which dataset it was."""
    data = facts.dataset
    smallest, largest = int(data.train_counts.min()), int(data.train_counts.max())
    balance = f"{smallest:,}" if smallest == largest else f"{smallest:,} to {largest:,}"
    original = (
        "" if data.image_size == data.resolution else f" (originals: {data.image_size} pixels on the longer side)"
    )
    return (
        f"{counted(len(data.classes), 'class')}; {counted(int(data.train_counts.sum()), 'training image')} ({balance} "
        f"per class) and {counted(int(data.test_counts.sum()), 'test image')}, at "
        f"{data.resolution}×{data.resolution} pixels{original}. {_about_pixels(facts)} "
        f"During the search, {int(data.val_counts.sum()):,} of the training images were held out for validation; the "
        f"final training used all of them. Dataset {data.name} ({data.kind}), fingerprint {data.fingerprint}."
    )


def _about_pixels(facts: Facts) -> str:
    """What is used of an image, and what is random about it in training."""
    data = facts.dataset
    mirrored = "were mirrored at random" if data.is_mirrored else "were not mirrored"
    grey = ""
    if data.grey_range is not None:
        black, white = data.grey_range
        grey = f" Deep grey images are mapped from {black:g} (black) to {white:g} (white), the same for all."
    return f"Of an image that is not square, only the square at its centre is used. Training images {mirrored}.{grey}"


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


def about_probabilities(facts: Facts) -> str:
    """How far they can be believed."""
    return calibrated(facts.calibration)


def about_classes(facts: Facts) -> str:
    """How to read recall and precision."""
    least = int(facts.dataset.test_counts.min())
    few = (
        f" With as few as {counted(least, 'test image')} in a class, figures of single classes are uncertain."
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
    text = f"Medians on the machine of the search{f' ({machine})' if machine else ''}; other machines will differ."
    spreads = [spread for by_size in (facts.latency_spread_pct or {}).values() for spread in by_size.values()]
    if not spreads:
        return text
    text += " The spread is the distance from the 10th to the 90th percentile of the runs, in percent of the median."
    if max(spreads) <= NOISY_SPREAD_PCT:
        return text
    return f"{text} Noisy: above {NOISY_SPREAD_PCT:g}%, because other work ran beside it; measure on an idle machine."


def about_run(facts: Facts) -> str:
    """How long the search took, how it ended, and whether it can be repeated exactly."""
    run = facts.run
    exact = (
        "Exactly reproducible: the same configuration, data, versions and thread count give the same weights."
        if run.exact
        else "Not exactly reproducible: hardware, threads or versions changed during the search, or memory ran out."
    )
    total = duration(sum(run.seconds_by_phase.values()))
    return f"{total} of work over all attempts, up to this report. {_ENDS[run.stop_reason]} {exact}"
