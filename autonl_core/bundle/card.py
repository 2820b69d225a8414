"""The model card: README.md of a bundle, for readers who have nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

from autonl_core.bundle.bundle import Bundle
from autonl_core.bundle.class_figures import class_figures
from autonl_core.bundle.contents import SUMS
from autonl_core.datasets.spec import DatasetSpec
from autonl_core.nn.network import Network
from autonl_core.report.figures import pct
from autonl_core.report.latencies import Timings
from autonl_core.report.markdown import plain
from autonl_core.run.search_run import SearchRun
from autonl_core.spec import arch_string
from autonl_core.spec.config_sections import CardConfig
from autonl_core.spec.constraints import MEASURES
from autonl_core.spec.formats import FORMATS, NETWORK_FORMAT_SPECS, NetworkFormat
from autonl_core.spec.macs import count_params
from autonl_core.spec.pretrained_start import PretrainedStart
from autonl_core.spec.probability_calibration import ProbabilityCalibration, calibrated
from autonl_core.spec.result import NOISY_SPREAD_PCT, Certificate, FormatParity, LatencyCheck
from autonl_core.wording.counts import counted
from autonl_core.wording.evidence import wilson_pct
from autonl_core.wording.plain_networks import found_nothing_better

_FILES = {
    **{spec.file_name: spec.summary for spec in FORMATS.values()},
    **{
        spec.opener_file: f"how verify.py opens {spec.file_name}"
        for spec in NETWORK_FORMAT_SPECS.values()
        if spec.opener_file is not None
    },
    "arch.json": "the architecture, from which model.py builds the network",
    "model.py": "the network in plain PyTorch",
    "preprocess.json": "how to turn an image into an input",
    "labels.txt": "the classes in the order of the logits, one per line",
    "pixels.py": "turns an image file into an input, as training did; used by predict.py and verify.py",
    "predict.py": "names the classes of images; needs numpy, pillow and onnxruntime",
    "verify.py": "scores every format on the test images",
    "test.npz": "the preprocessed test images and their classes",
    "test_files.csv": "which files of the dataset are the test images, and their classes",
    "parity.json": "the reported scores of every format, which verify.py compares with",
    "report.html": "how the network was found, where it fails, what it was compared with; open it in a browser",
    "SHA256SUMS": "checksums of all files, for `sha256sum -c`",
}
_SHOWN_CLASSES = 20


def write_card(run: SearchRun, network: Network, bundle: Bundle) -> None:
    """Write README.md into the folder of `bundle`, which must hold all other files but the checksums."""
    train_images, test_images = len(run.data.train), len(run.data.test)
    lines = [
        *_summary(network, bundle, run.start),
        *_about(run.config.card, datetime.now(UTC)),
        *derivation(run.start),
        *_check(bundle),
        *_data(run.dataset, train_images, test_images, bundle),
        *_accuracy(bundle.parity, bundle.score.images),
        *_runtimes(bundle),
        *class_figures(bundle.classes),
        *_budget(bundle.certificate),
        *_limited_latency(bundle.latency_check),
        *_latency(bundle),
        *_usage(bundle.parity),
        *_files(bundle),
        *_limits(network.arch.num_classes, bundle.calibration),
    ]
    (bundle.folder / "README.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _summary(network: Network, bundle: Bundle, start: PretrainedStart | None) -> Iterator[str]:
    arch, score = network.arch, bundle.score
    weights = (
        "Its weights derive from pretrained ones, see below, and were trained further"
        if start is not None and start.inherited
        else "All weights were trained"
    )
    low, high = wilson_pct(score.correct, score.images)
    yield f"# Image classifier {arch.arch_id}\n"
    yield _paragraph(
        f"Classifies images into {arch.num_classes:,} classes, at {arch.resolution} x {arch.resolution} pixels:",
        f"{score.top1_pct:.2f}% top-1 ({score.correct:,} of {counted(score.images, 'test image')}; 95% interval",
        f"{pct(low)} to {pct(high)}) for",
        f"{bundle.certificate.achieved_macs:,} multiply-adds and {count_params(arch):,} parameters.",
        found_nothing_better(bundle.origin) or "The architecture was found by a search under a limit on multiply-adds.",
        f"{weights} on the dataset below.",
    )
    yield f"    {arch_string.encode(arch)}\n"


def _about(card: CardConfig, made_at: datetime) -> Iterator[str]:
    """When the search ended, and what its user stated in `card`."""
    yield f"- date: {made_at:%Y-%m-%d %H:%M} UTC"
    yield f"- authors: {', '.join(plain(author) for author in card.authors) or 'not stated'}"
    yield f"- licence: {plain(card.licence) if card.licence else 'not stated'}\n"


def derivation(start: PretrainedStart | None) -> Iterator[str]:
    """The weights that the network derives from, under which licence, and what was done to them."""
    if start is None:
        return
    published = f", published top-1 {start.top1_pct:.1f}%" if start.top1_pct is not None else ""
    licence = plain(start.licence) if start.licence else "not stated; clear it before you pass the network on"
    mean, std = (", ".join(f"{v:.4f}" for v in each) for each in (start.normalisation.mean, start.normalisation.std))
    yield "## Derived from\n"
    yield f"- weight set `{start.weights}`" + (f", architecture `{start.network}`" if start.network else "")
    yield f"- licence of these weights: {licence}"
    yield f"- source: {plain(start.source) if start.source else 'not stated'}"
    yield f"- trained for {start.num_classes:,} classes{published}; SHA-256 of the file `{start.sha256}`"
    yield f"- normalisation, here too: mean {mean}, standard deviation {std}, of pixels from 0 to 1"
    score = start.teacher_val_top1_pct
    taught = f" ({score:.1f}% validation top-1)" if score is not None else ""
    yield f"- modified: a new classifier; the whole network fine-tuned at {start.teacher_resolution} pixels{taught};"
    became = "cut to the architecture above and trained" if start.inherited else "replaced by one that learned from it"
    yield f"  {became} at {start.resolution} pixels{_trials(start)}\n"


def _trials(start: PretrainedStart) -> str:
    tried = ", ".join(f"{trial.resolution} ({trial.top1_pct:.1f}%)" for trial in start.trials)
    return f"; resolutions tried, with validation top-1 after one pass: {tried}" if tried else ""


def _check(bundle: Bundle) -> Iterator[str]:
    yield "## Check it\n"
    yield "    python verify.py                     # score every format on the test images, compare with this page"
    yield "    python predict.py some.jpg           # classify images, with ONNX Runtime\n"
    yield f"verify.py needs torch, numpy, pillow and onnxruntime{_further(bundle)}; predict.py needs no torch."
    if not _has_test_images(bundle):
        yield "The test images are too large to include: pass the archive or folder they came from with `--data`."


def _further(bundle: Bundle) -> str:
    """The packages that single formats are scored with."""
    delivered = [NETWORK_FORMAT_SPECS[name] for name, of in bundle.parity.items() if of.withheld is None]
    needed = ((package, spec.file_name) for spec in delivered if spec.extra for package in spec.extra.runtime)
    return "".join(f", for {file_name} {package}" for package, file_name in needed)


def _data(dataset: DatasetSpec, train_images: int, test_images: int, bundle: Bundle) -> Iterator[str]:
    classes = ", ".join(plain(name) for name in dataset.classes[:_SHOWN_CLASSES])
    more = f" and {len(dataset.classes) - _SHOWN_CLASSES} more" if len(dataset.classes) > _SHOWN_CLASSES else ""
    yield "\n## Data\n"
    yield f"- dataset `{dataset.name}`, fingerprint `{dataset.fingerprint}`"
    yield f"- {train_images:,} training and {test_images:,} test images"
    yield f"- classes: {classes}{more}"
    yield f"- test images: `{'test.npz' if _has_test_images(bundle) else 'test_files.csv'}`\n"


def _accuracy(parity: Mapping[NetworkFormat, FormatParity], images: int) -> Iterator[str]:
    yield "## Accuracy by format\n"
    yield _paragraph(
        f"verify.py scored every file on all {images:,} test images, in a separate process, before it was released.",
        "Differences are relative to PyTorch with `model.safetensors`.",
    )
    yield "| format | top-1 | correct | other class | largest logit difference | bytes |"
    yield "| --- | ---: | ---: | ---: | ---: | ---: |"
    for name, of_format in parity.items():
        if of_format.withheld is None:
            yield (
                f"| {name} | {of_format.top1_pct:.2f}% | {of_format.correct} | {of_format.disagreeing_images} | "
                f"{of_format.max_logit_diff:.2g} | {of_format.size_bytes:,} |"
            )
    for name, of_format in parity.items():
        if of_format.withheld is not None:
            yield f"\nWithheld: {name}, because {plain(of_format.withheld)}."


def _runtimes(bundle: Bundle) -> Iterator[str]:
    """What the files were opened with, and which versions of ONNX they need."""
    import onnx

    versions = ", ".join(f"{name} {version}" for name, version in bundle.versions.items())
    yield f"\nTried with {versions}, on a CPU. Other runtimes and versions were not tried."
    for name, of_format in bundle.parity.items():
        file = bundle.folder / NETWORK_FORMAT_SPECS[name].file_name
        if of_format.withheld is None and file.suffix == ".onnx":
            model = onnx.load(file)
            yield f"\n`{file.name}`: opset {model.opset_import[0].version}, IR version {model.ir_version}."


def _budget(certificate: Certificate) -> Iterator[str]:
    yield "\n## Budget\n"
    yield _paragraph(
        f"{certificate.achieved_macs:,} multiply-adds (MACs) of {certificate.target_macs:,} allowed;",
        f"{certificate.slack_macs:,} ({certificate.slack_pct:.2f}%) are unused. Counted on",
        f"{certificate.counted_on}, at {certificate.resolution} pixels:",
        "; ".join(f"{op} {macs:,}" for op, macs in certificate.by_op.items()) + ".",
    )
    yield f"Rule: {certificate.rule}."
    for check in certificate.constraints:
        allowed = f"{check.at_most:,} allowed (`constraints.{check.name}`)"
        yield f"\n{check.achieved:,} {MEASURES[check.name].unit} of {allowed}, counted on {check.counted_on}."


def _limited_latency(check: LatencyCheck | None) -> Iterator[str]:
    if check is not None:
        yield _paragraph(f"\nLatency of one image on {check.device}: {check.text} (`constraints.latency_ms`).")


def _latency(bundle: Bundle) -> Iterator[str]:
    machine = bundle.machine
    found = Timings(bundle.latencies.median_ms, bundle.latencies.spread_pct, bundle.parity)
    yield "\n## Latency\n"
    yield _paragraph(
        f"Medians in milliseconds on {machine['processor']}, {counted(int(machine['threads']), 'thread')},",
        "all forms in turn;",
        "the spread is from the 10th to the 90th percentile, in percent of the median.",
        f"Noisy: above {NOISY_SPREAD_PCT:g}%, because other work ran beside it.",
    )
    yield "| | " + " | ".join(f"batch of {size}" for size in found.sizes) + " |"
    yield "| --- |" + " ---: |" * len(found.sizes)
    for form in found.median_ms:
        timings = (found.timing(form, size) for size in found.sizes)
        times = (f"{each.median_ms:.3f}{each.spread}" if each else "–" for each in timings)
        yield f"| {found.title(form)} | " + " | ".join(times) + " |"
    for size in found.sizes:
        best = found.fastest(size)
        if best is not None and found.is_decided(size):
            yield f"\nFastest for a batch of {size}: {found.title(best.form)}."
        else:
            yield f"\nFastest for a batch of {size}: not known, as timings are noisy; measure on an idle machine."


def _usage(parity: Mapping[NetworkFormat, FormatParity]) -> Iterator[str]:
    yield "\n## Use it\n"
    yield _paragraph(
        "`images` are RGB, prepared as described in `preprocess.json` (by `decode` and `normalise` in pixels.py), in",
        "batches of any size; `pixels` are the same before `normalise`. Logits are in the order of `labels.txt`.",
        "Scaling must average all pixels (antialiasing), as `preprocess.json` says: many libraries do not by default.",
        "The Python snippets are run by the tests of the program that made this bundle; those in Kotlin and Swift, for",
        "one image, are not compiled: `pathOf` and `path(of:)` stand for where your app keeps the file.",
    )
    for name, spec in NETWORK_FORMAT_SPECS.items():
        if name in parity and parity[name].withheld is None:
            yield f"`{spec.file_name}`: {spec.summary}\n\n```python\n{spec.usage}\n```\n"
            for app in spec.apps:
                yield f"{app.needs}\n\n```{app.language}\n{app.code}\n```\n"


def _files(bundle: Bundle) -> Iterator[str]:
    yield "## Files\n"
    present = {file.name for file in bundle.folder.iterdir()} | {SUMS}
    yield from (f"- `{name}`: {summary}" for name, summary in _FILES.items() if name in present)


def _limits(classes: int, calibration: ProbabilityCalibration | None) -> Iterator[str]:
    yield "\n## Limits\n"
    yield f"- It always predicts one of its {classes} classes, even for an image that shows none of them."
    yield "- Its accuracy was measured on test images from the same source as the training images; expect less on"
    yield "  images from other cameras, places or times."
    yield f"- {calibrated(calibration)}"
    yield "- 8-bit arithmetic rounds differently on different processors: a few images may change class."


def _has_test_images(bundle: Bundle) -> bool:
    return (bundle.folder / "test.npz").exists()


def _paragraph(*lines: str) -> str:
    """One line and an empty one after it; viewers of Markdown wrap it."""
    return " ".join(lines) + "\n"
