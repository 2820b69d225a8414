"""The tables that the HTML and the Markdown report share. Cells are plain text; each form escapes them."""

from __future__ import annotations

from autonl_core.report.comparison import title_of
from autonl_core.report.facts import Facts
from autonl_core.report.figures import duration, pct, short_bytes
from autonl_core.report.latencies import headline
from autonl_core.report.table import Table
from autonl_core.report.words import NOT_STATED, origin, teacher_score
from autonl_core.spec.formats import FORMATS
from autonl_core.wording.counts import counted
from autonl_core.wording.evidence import wilson_pct


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
        *(
            (f"{check.name} on {check.counted_on}", f"{check.achieved:,} of {check.at_most:,} allowed")
            for check in found.constraints
        ),
    ]
    if facts.latency_check is not None:
        rows.append((f"latency_ms on {facts.latency_check.device}", facts.latency_check.text))
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
            "",
        )
    ]
    for baseline in facts.baselines:
        cost = (title_of(baseline), f"{baseline.macs:,}", f"{baseline.params:,}")
        if baseline.test_correct is None:
            rows.append((*cost, "–", "–", "–", f"no score: {baseline.problem or 'unknown reason'}"))
            continue
        low, high = wilson_pct(baseline.test_correct, images)
        top1 = pct(100 * baseline.test_correct / images)
        rows.append((*cost, f"{baseline.test_correct:,} of {images:,}", top1, f"{pct(low)} to {pct(high)}", ""))
    head = ("network", "MACs", "parameters", "correct test images", "test top-1", "95% interval", "note")
    return Table(head, tuple(rows), (0, 6))


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
        headline(facts),
        ("search time", duration(sum(facts.run.seconds_by_phase.values())), f"seed {facts.run.config['seed']}"),
    ]
    if facts.parent is not None:
        rows.append(("goes on from", f"search {facts.parent}", "with its supernet, and its teacher if it has one"))
    if test.val_top1_pct is not None:
        chosen_by = "after the short training it was chosen by" if arch.comparison.rounds else "with shared weights"
        note = f"on {counted(test.val_images, 'image')}, {chosen_by}"
        rows.insert(3, ("validation top-1", pct(test.val_top1_pct), note))
    return Table(("figure", "value", "note"), tuple(rows), (0, 2))
