"""The tables that the HTML and the Markdown report share. Cells are plain text; each form escapes them."""

from __future__ import annotations

from dataclasses import dataclass

from autonl_core.report.comparison import title_of
from autonl_core.report.facts import Facts
from autonl_core.report.figures import duration, pct, short_bytes
from autonl_core.report.statistics import class_scores, confusion, most_confused, wilson_pct
from autonl_core.report.words import NOT_STATED, origin, teacher_score
from autonl_core.spec.formats import FORMATS, NETWORK_FORMAT_SPECS
from autonl_core.spec.result import NOISY_SPREAD_PCT
from autonl_core.wording.counts import counted

ALL_CLASSES = 30  # up to this many, every class is shown; beyond, only the extremes
_EXTREMES = 20
_PAIRS = 30


@dataclass(frozen=True)
class Table:
    """Rows of text below a head. `named` lists the columns of names; all others hold numbers."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    named: tuple[int, ...] = (0,)


def class_counts(facts: Facts) -> Table:
    """Images per class and split; if there are many classes, only the smallest and the largest."""
    data = facts.dataset
    order = list(range(len(data.classes)))
    if len(order) > ALL_CLASSES:
        by_size = sorted(order, key=lambda label: (int(data.train_counts[label]), label))
        order = by_size[: _EXTREMES // 2] + by_size[-_EXTREMES // 2 :]
    rows = [
        (
            data.classes[label],
            f"{data.train_counts[label]:,}",
            f"{data.val_counts[label]:,}",
            f"{data.test_counts[label]:,}",
        )
        for label in order
    ]
    total = ("total", *(f"{int(counts.sum()):,}" for counts in (data.train_counts, data.val_counts, data.test_counts)))
    return Table(("class", "training images", "of which for validation", "test images"), (*rows, total))


def certificate(facts: Facts) -> Table | None:
    """The budget and the MACs counted on the exported graph."""
    found = facts.certificate
    if found is None:
        return None
    rows = [
        ("counted on", found.counted_on),
        ("input", f"{found.resolution}×{found.resolution} pixels, one image"),
        ("counting rule", found.rule),
        ("budget", f"{found.target_macs:,} MACs"),
        ("counted", f"{found.achieved_macs:,} MACs"),
        ("by formula", f"{facts.architecture.macs:,} MACs"),
        ("unused", f"{found.slack_macs:,} MACs ({pct(found.slack_pct, 2)} of the budget)"),
        *((f"of which {name}", f"{macs:,} MACs") for name, macs in found.by_op.items()),
    ]
    return Table(("quantity", "value"), tuple(rows), (0, 1))


def layers(facts: Facts) -> Table:
    """The architecture, layer by layer."""
    arch = facts.architecture
    time_ms = sum(layer.time_ms for layer in arch.layers)
    rows = [
        (
            layer.name,
            layer.summary,
            layer.light_nl or "–",
            f"{layer.out_channels}×{layer.out_size}×{layer.out_size}",
            f"{layer.params:,}",
            f"{layer.macs:,}",
            pct(100 * layer.macs / arch.macs),
            f"{layer.time_ms:.3f}",
            pct(100 * layer.time_ms / time_ms) if time_ms else "–",
        )
        for layer in arch.layers
    ]
    head = ("layer", "operations", "LightNL", "output", "parameters", "MACs", "share of MACs", "ms", "share of time")
    return Table(head, tuple(rows), (0, 1, 2))


def candidates(facts: Facts) -> Table:
    """Validation accuracy of candidates at equal MACs with the supernet's weights, by origin."""
    comparison = facts.architecture.comparison
    rows = [(origin(name), f"{mean:.1f}%", f"{comparison.best[name]:.1f}%") for name, mean in comparison.mean.items()]
    return Table(("candidates", "mean validation top-1", "best"), tuple(rows))


def baselines(facts: Facts) -> Table:
    """The result first, then the baselines in the order of the configuration."""
    low, high = wilson_pct(facts.test.correct, facts.test.images)
    arch, images = facts.architecture, facts.test.images
    rows = [
        (
            "found by this search",
            f"{arch.macs:,}",
            f"{arch.params:,}",
            f"{facts.test.correct:,} of {images:,}",
            pct(100 * facts.test.correct / images),
            f"{pct(low)} to {pct(high)}",
        )
    ]
    for baseline in facts.baselines:
        cost = (title_of(baseline), f"{baseline.macs:,}", f"{baseline.params:,}")
        if baseline.test_correct is None:
            rows.append((*cost, baseline.problem or "no score", "–", "–"))
            continue
        low, high = wilson_pct(baseline.test_correct, images)
        top1 = pct(100 * baseline.test_correct / images)
        rows.append((*cost, f"{baseline.test_correct:,} of {images:,}", top1, f"{pct(low)} to {pct(high)}"))
    return Table(("network", "MACs", "parameters", "correct test images", "test top-1", "95% interval"), tuple(rows))


def start(facts: Facts) -> Table | None:
    """The weight set that the search started from, and how it was adapted; None if there was none."""
    found = facts.start
    if found is None:
        return None
    scores = {"mean": found.normalisation.mean, "std": found.normalisation.std}
    rows = [
        ("weight set", found.weights),
        ("architecture", found.network or "not published"),
        ("source", found.source or NOT_STATED),
        ("licence", found.licence or NOT_STATED),
        ("classes", f"{found.num_classes:,}"),
        ("published top-1", NOT_STATED if found.top1_pct is None else pct(found.top1_pct)),
        *((f"{name} of the normalisation", ", ".join(f"{v:.4f}" for v in values)) for name, values in scores.items()),
        ("SHA-256", found.sha256),
        ("teacher", f"the whole network, fine-tuned at {found.teacher_resolution} pixels: {teacher_score(found)}"),
    ]
    rows += [
        (f"tried at {trial.resolution} pixels", f"validation top-1 {pct(trial.top1_pct)}, loss {trial.loss:.3f}")
        for trial in found.trials
    ]
    return Table(("quantity", "value"), tuple(rows), (0, 1))


def scored_classes(facts: Facts) -> Table:
    """Recall and precision of every class; if there are many classes, only of those with the lowest recall."""
    table = confusion(facts.test.labels, facts.test.predicted, len(facts.dataset.classes))
    scores = class_scores(table)
    if len(scores) > ALL_CLASSES:
        scores = sorted(scores, key=lambda score: (score.top1_pct, score.label))[:_EXTREMES]
    rows = []
    for score in scores:
        low, high = wilson_pct(score.correct, score.images)
        predicted = int(table[:, score.label].sum())
        precision = pct(100 * score.correct / predicted) if predicted else "–"
        recall = pct(score.top1_pct) if score.images else "–"
        counted = f"{score.correct:,} of {score.images:,}"
        rows.append((facts.dataset.classes[score.label], counted, recall, f"{low:.0f}% to {high:.0f}%", precision))
    head = ("class", "correct test images", "recall", "95% interval", "precision")
    return Table(head, tuple(rows))


def confused_pairs(facts: Facts, most: int = _PAIRS) -> Table:
    """Which classes are confused with which."""
    names = facts.dataset.classes
    table = confusion(facts.test.labels, facts.test.predicted, len(names))
    rows = [
        (names[pair.label], names[pair.predicted], f"{pair.count:,}", pct(100 * pair.count / pair.images))
        for pair in most_confused(table, most)
    ]
    head = ("true class", "predicted class", "test images", "share of the true class")
    return Table(head, tuple(rows), (0, 1))


def mistakes(facts: Facts) -> Table:
    """The wrong predictions with the highest confidence."""
    names = facts.dataset.classes
    rows = [(names[m.label], names[m.predicted], pct(100 * m.confidence)) for m in facts.test.mistakes]
    return Table(("true class", "predicted class", "confidence"), tuple(rows), (0, 1))


def formats(facts: Facts) -> Table:
    """Every format with its scores, measured in a process that cannot import the search's code."""
    rows = []
    for name, parity in (facts.parity or {}).items():
        scored = "–" if parity.top1_pct is None else f"{pct(parity.top1_pct, 2)} ({parity.correct:,})"
        rows.append(
            (
                FORMATS[name].file_name,
                "withheld: " + parity.withheld if parity.withheld else "delivered",
                scored,
                _count(parity.disagreeing_images),
                "–" if parity.max_logit_diff is None else f"{parity.max_logit_diff:.2g}",
                _count(parity.size_bytes),
                parity.sha256 or "–",
            )
        )
    head = ("file", "state", "test top-1 (correct)", "predictions that differ", "largest logit difference", "bytes",
            "SHA-256")  # fmt: skip
    return Table(head, tuple(rows), (0, 1, 6))


def _count(number: int | None) -> str:
    return "–" if number is None else f"{number:,}"


LATENCY_FORMS = {
    "eager": "PyTorch, as trained",
    "fused": "PyTorch, batch norms folded",
    **{name: spec.latency.title for name, spec in NETWORK_FORMAT_SPECS.items() if spec.latency is not None},
}


def latency(facts: Facts) -> Table | None:
    """Milliseconds per batch, and per image in it, and how far the runs spread."""
    found, spread_pct = facts.latency_ms or {}, facts.latency_spread_pct or {}
    if not found:
        return None
    sizes = sorted({int(size) for by_size in found.values() for size in by_size})
    rows = []
    for form, by_size in found.items():
        spreads = spread_pct.get(form, {})
        times = (
            _time(by_size[str(size)], size, spreads.get(str(size))) if str(size) in by_size else "–" for size in sizes
        )
        rows.append((LATENCY_FORMS.get(form, form), *times))
    return Table(("form", *(f"batch of {size}, ms" for size in sizes)), tuple(rows))


def _time(median_ms: float, size: int, spread_pct: float | None) -> str:
    shown = f"{median_ms:.3f}" + (f" ({median_ms / size:.3f} per image)" if size > 1 else "")
    return shown if spread_pct is None else f"{shown}, {spread(spread_pct)}"


def spread(spread_pct: float) -> str:
    """How far the runs of a latency spread, and whether that is too far."""
    return f"spread {spread_pct:.0f}%" + (", noisy" if spread_pct > NOISY_SPREAD_PCT else "")


def seconds(facts: Facts) -> Table:
    """Time by phase."""
    by_phase = facts.run.seconds_by_phase
    rows = [(phase, duration(value), pct(100 * value / sum(by_phase.values()))) for phase, value in by_phase.items()]
    return Table(("phase", "time", "share"), (*rows, ("total", duration(sum(by_phase.values())), "")))


def settings(facts: Facts) -> Table:
    """The configuration with all defaults, then machine and versions."""
    rows: list[tuple[str, str]] = []
    for name, value in facts.run.config.items():
        if isinstance(value, dict):
            rows += [(f"{name}.{key}", _plain(inner)) for key, inner in value.items()]
        else:
            rows.append((name, _plain(value)))
    measured_on = {**facts.run.machine, **facts.run.environment}
    rows += [(name, _plain(value)) for name, value in measured_on.items()]
    return Table(("setting", "value"), tuple(rows), (0, 1))


def _plain(value: object) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "none"
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "default"}[value]
    return f"{value:,}" if isinstance(value, int) and value >= 10_000 else str(value)


def _top5(facts: Facts) -> list[tuple[str, str, str]]:
    """Top-5, where it says something."""
    test, classes = facts.test, len(facts.dataset.classes)
    if test.correct_top5 is None:
        return []
    note = f"{test.correct_top5:,} of {counted(test.images, 'image')}; {pct(500 / classes)} by guessing"
    return [("test top-5", pct(100 * test.correct_top5 / test.images, 2), note)]


def summary(facts: Facts) -> Table:
    """The key figures, to compare searches by."""
    test, arch = facts.test, facts.architecture
    low, high = wilson_pct(test.correct, test.images)
    named = counted(test.images, "image")
    rows = [
        ("test top-1", pct(100 * test.correct / test.images, 2), f"{test.correct:,} of {named}"),
        ("95% interval", f"{low:.1f}–{pct(high)}", "Wilson"),
        *_top5(facts),
        ("test loss", f"{test.loss:.3f}", "cross-entropy, lower is better"),
        ("MACs per image", f"{arch.macs:,}", f"budget {facts.budget_macs:,}"),
        ("parameters", f"{arch.params:,}", f"{short_bytes(4 * arch.params)} as float32"),
        ("latency per image", f"{sum(layer.time_ms for layer in arch.layers):.2f} ms", "PyTorch, sum over layers"),
        ("search time", duration(sum(facts.run.seconds_by_phase.values())), f"seed {facts.run.config['seed']}"),
    ]
    if facts.parent is not None:
        rows.append(("goes on from", f"search {facts.parent}", "with its supernet, and its teacher if it has one"))
    if test.val_top1_pct is not None:
        chosen_by = "after the short training it was chosen by" if arch.comparison.rounds else "with shared weights"
        note = f"on {counted(test.val_images, 'image')}, {chosen_by}"
        rows.insert(3, ("validation top-1", pct(test.val_top1_pct), note))
    return Table(("figure", "value", "note"), tuple(rows), (0, 2))
