"""The model card: README.md of a bundle, for whoever gets it without us."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from autonl_core.bundle.contents import SUMS
from autonl_core.nn.network import Network
from autonl_core.report.markdown import plain
from autonl_core.report.tables import LATENCY_FORMS
from autonl_core.run.search_run import SearchRun
from autonl_core.spec import arch_string
from autonl_core.spec.formats import FORMATS, NetworkFormat
from autonl_core.spec.macs import count_params
from autonl_core.spec.result import Certificate, FormatParity

if TYPE_CHECKING:
    from autonl_core.bundle.build import Bundle

_SNIPPETS: dict[NetworkFormat, str] = {
    "safetensors": "import model\n"
    'network = model.load("arch.json", "model.safetensors")\n'
    "logits = network(images)  # torch, (B, 3, R, R) float32 -> (B, classes)",
    "onnx": "import onnxruntime\n"
    'session = onnxruntime.InferenceSession("model.onnx")\n'
    'logits = session.run(None, {"images": images})[0]  # numpy',
    "onnx-int8": "import onnxruntime\n"
    'session = onnxruntime.InferenceSession("model.int8.onnx")\n'
    'logits = session.run(None, {"images": images})[0]  # numpy, float32 in and out',
    "pt2": "import torch\n"
    'network = torch.export.load("model.pt2").module()\n'
    "logits = network(images)  # torch; no code of this bundle is needed",
    "torchscript": "import torch\n"
    'network = torch.jit.load("model.torchscript.pt")\n'
    "logits = network(images)  # torch; PyTorch has deprecated this format",
}
_FILES = {
    **{facts.file_name: facts.summary for facts in FORMATS.values()},
    "arch.json": "the architecture, of which model.py builds the network",
    "model.py": "the network in plain PyTorch",
    "preprocess.json": "how to make an input of a picture",
    "labels.txt": "the classes in the order of the logits, one a line",
    "verify.py": "scores every format on the test images",
    "test.npz": "the test images as the network saw them, and their classes",
    "test_files.csv": "which files of the data set are the test images, and their classes",
    "parity.json": "what every format scored, as verify.py compares it",
    "report.html": "how the network was found, what it mistakes, what it was compared with; for a browser",
    "SHA256SUMS": "the digests of all files, for `sha256sum -c`",
}
_SHOWN_CLASSES = 20


def write_card(run: SearchRun, network: Network, bundle: Bundle) -> None:
    """Write README.md into the folder of `bundle`, when all else but the digests lies there."""
    (bundle.folder / "README.md").write_text("\n".join(_lines(run, network, bundle)) + "\n", encoding="utf-8")


def _lines(run: SearchRun, network: Network, bundle: Bundle) -> Iterator[str]:
    arch, dataset, score = network.arch, run.dataset, bundle.score
    classes = ", ".join(plain(name) for name in dataset.classes[:_SHOWN_CLASSES])
    more = f" and {len(dataset.classes) - _SHOWN_CLASSES} more" if len(dataset.classes) > _SHOWN_CLASSES else ""
    yield f"# Image classifier {arch.arch_id}\n"
    yield _paragraph(
        f"Tells {arch.num_classes:,} classes apart on pictures of {arch.resolution} x {arch.resolution} pixels:",
        f"{score.top1_pct:.2f}% top-1 ({score.correct:,} of {score.images:,} test images) at",
        f"{bundle.certificate.achieved_macs:,} multiply-adds and {count_params(arch):,} parameters.",
        "Its architecture was searched for under that limit; all of its weights are trained on the data below.",
    )
    yield f"    {arch_string.encode(arch)}\n"
    yield "## Check it\n"
    yield "    python verify.py                     # every format, on the test images, against what is written here"
    yield "    python verify.py --image some.jpg    # name the class of a picture\n"
    yield "It needs torch, numpy, pillow and onnxruntime, and nothing else."
    if not (folder_has_images := (bundle.folder / "test.npz").exists()):
        yield "The test images are too many to lie here: add `--data` with the archive or folder they came from."
    yield "\n## Data\n"
    yield f"- data set `{dataset.name}`, fingerprint `{dataset.fingerprint}`"
    yield f"- {len(run.data.train):,} training and {len(run.data.test):,} test images"
    yield f"- classes: {classes}{more}"
    yield f"- test images: `{'test.npz' if folder_has_images else 'test_files.csv'}`\n"
    yield "## Accuracy by format\n"
    yield from _accuracy(bundle.parity, score.images)
    yield "\n## Budget\n"
    yield from _budget(bundle.certificate)
    yield "\n## Latency\n"
    yield from _latency(bundle.latency_ms, bundle.machine)
    yield "\n## Use it\n"
    yield _paragraph(
        "`images`: RGB, prepared as `preprocess.json` says (`decode` and `normalise` in verify.py do it), any batch",
        "size. Classes are in the order of `labels.txt`.",
    )
    for name, snippet in _SNIPPETS.items():
        if name in bundle.parity and bundle.parity[name].withheld is None:
            yield f"`{FORMATS[name].file_name}`: {FORMATS[name].summary}\n\n```python\n{snippet}\n```\n"
    yield "## Files\n"
    there = {file.name for file in bundle.folder.iterdir()} | {SUMS}
    yield from (f"- `{name}`: {said}" for name, said in _FILES.items() if name in there)
    yield "\n## Limits\n"
    yield from _limits(arch.num_classes)


def _accuracy(parity: Mapping[NetworkFormat, FormatParity], images: int) -> Iterator[str]:
    yield _paragraph(
        f"Every file was scored on all {images:,} test images by verify.py, in a process of its own, before it was",
        "handed over. Differences are to PyTorch with `model.safetensors`.",
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


def _budget(certificate: Certificate) -> Iterator[str]:
    yield _paragraph(
        f"{certificate.achieved_macs:,} multiply-adds (MACs) of {certificate.target_macs:,} allowed;",
        f"{certificate.slack_macs:,} ({certificate.slack_pct:.2f}%) are left. Counted on the",
        f"{certificate.counted_on}, at {certificate.resolution} pixels:",
        "; ".join(f"{op} {macs:,}" for op, macs in certificate.by_op.items()) + ".",
    )
    yield f"Rule: {certificate.rule}."


def _latency(latency_ms: Mapping[str, Mapping[str, float]], machine: Mapping[str, Any]) -> Iterator[str]:
    sizes = list(next(iter(latency_ms.values())))
    yield f"Medians in milliseconds on {machine['processor']}, {machine['threads']} thread(s).\n"
    yield "| | " + " | ".join(f"batch of {size}" for size in sizes) + " |"
    yield "| --- |" + " ---: |" * len(sizes)
    for form, of_form in latency_ms.items():
        yield f"| {LATENCY_FORMS.get(form, form)} | " + " | ".join(f"{of_form[size]:.3f}" for size in sizes) + " |"


def _limits(classes: int) -> Iterator[str]:
    yield f"- It always answers with one of its {classes} classes, also for a picture of something else."
    yield "- Its accuracy is that on the test images, which come from where the training images come from; on pictures"
    yield "  of other cameras, places or times expect less."
    yield "- Probabilities (softmax of the logits) are not calibrated."
    yield "- Eight bits round differently on different processors: a few images may change class."


def _paragraph(*lines: str) -> str:
    """One line and an empty one after it: whoever shows it breaks it."""
    return " ".join(lines) + "\n"
