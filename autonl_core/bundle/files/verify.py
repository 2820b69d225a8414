"""Score every format of this bundle on its test images, and compare with the scores reported when it was made.

    python verify.py                        use the test images in this folder
    python verify.py --data images.zip      use the test images in the original archive or folder
    python verify.py --image cat.jpg        classify an image

Exit code 1 unless everything is as reported. Needs torch, numpy, pillow and onnxruntime, for some formats the package
that it names when it is missing, and nothing of the program that made the bundle.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import hashlib
import importlib.util
import json
import sys
import time
import warnings
import zipfile
import zlib
from collections.abc import Callable, Container, Iterable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from torch import Tensor

HERE = Path(__file__).resolve().parent
PACKAGES = ("torch", "onnxruntime", "numpy", "pillow")
TIE = 1e-4  # two classes whose logits differ by less may swap: rounding decides
Images = NDArray[np.uint8]
Run = Callable[[Tensor], Tensor]  # (B, 3, R, R) float32 -> logits (B, classes) float32; or (B, R, R, 3) uint8


def _module(file_name: str) -> Any:
    """A Python module of this folder, wherever else Python would look for it, and without writing bytecode."""
    spec = importlib.util.spec_from_file_location(f"bundle_{Path(file_name).stem}", HERE / file_name)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)  # where its dataclasses look for it
    writes, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        spec.loader.exec_module(module)
    finally:
        sys.dont_write_bytecode = writes
    return module


IMAGES = _module("pixels.py")  # how image files are prepared


@dataclass
class Tally:
    """The counts of one format so far; differences are relative to the first format, safetensors."""

    correct: int = 0
    disagreeing_images: int = 0  # predicted to be of another class
    disagreeing_beyond_ties: int = 0  # of these, those that rounding cannot explain
    max_logit_diff: float = 0.0
    seconds: float = 0.0
    error: str | None = None  # why it cannot be scored

    def add(self, logits: Tensor, reference: Tensor, labels: Tensor) -> None:
        """Count a batch: logits and reference are (B, classes), labels (B,)."""
        if logits.shape != reference.shape:
            raise ValueError(f"logits have shape {tuple(logits.shape)}, expected {tuple(reference.shape)}")
        if not bool(torch.isfinite(logits).all()):
            raise ValueError("logits are not finite")
        predicted, expected = logits.argmax(1), reference.argmax(1)
        lead = reference.gather(1, expected[:, None]) - reference.gather(1, predicted[:, None])  # (B, 1)
        self.correct += int((predicted == labels).sum())
        self.disagreeing_images += int((predicted != expected).sum())
        self.disagreeing_beyond_ties += int((lead >= TIE).sum())
        self.max_logit_diff = max(self.max_logit_diff, float((logits - reference).abs().max()))


def main() -> int:
    options = _parse()
    torch.set_num_threads(options.threads)
    preprocess = _read_json("preprocess.json")
    if options.image:
        return _classify(options, preprocess)
    found = verify(options, preprocess)
    if options.json:
        print(json.dumps(found))
    else:
        _print_table(found)
    return 0 if found["ok"] else 1


def verify(options: argparse.Namespace, preprocess: dict[str, Any]) -> dict[str, Any]:
    """Everything that was found, as plain JSON; `problems` is empty if all is as reported."""
    reported = _read_json("parity.json")
    runs, tallies = _open_formats(reported["files"], options.threads)
    images, ties, pixels = score(
        runs, tallies, _batches(options.data, preprocess), preprocess, _fed_pixels(reported["files"])
    )
    problems = check_sums() + _compare(tallies, images, ties, pixels, reported)
    return {
        "ok": not problems,
        "problems": problems,
        "images": images,
        "ties": ties,
        "pixels_sha256": pixels,
        "formats": {name: {**vars(tally), "top1_pct": _percent(tally, images)} for name, tally in tallies.items()},
        "reported": reported.get("formats", {}),
        "versions": {name: metadata.version(name) for name in (*PACKAGES, *_further_packages(reported["files"], runs))},
        "imported": sorted({name.partition(".")[0] for name in sys.modules}),
    }


def score(
    runs: dict[str, Run],
    tallies: dict[str, Tally],
    batches: Iterable[tuple[Images, Any]],
    preprocess: dict[str, Any],
    fed_pixels: Container[str] = (),
) -> tuple[int, int, str]:
    """Run all formats on every batch. Returns the number of images, that of ties, and the SHA-256 of all pixels.

    Formats of `fed_pixels` get the pixels themselves, since they normalise; all others get them normalised.
    """
    images = ties = 0
    digest = hashlib.sha256()
    for pixels, classes in batches:
        labels, raw, x = torch.from_numpy(classes), torch.from_numpy(pixels), normalise(pixels, preprocess)
        reference: Tensor | None = None
        for name, run in runs.items():
            tally = tallies[name]
            if tally.error is not None:
                continue
            started = time.perf_counter()
            with _recording_errors(tally), torch.inference_mode():
                logits = run(raw if name in fed_pixels else x)
                reference = logits if reference is None else reference
                tally.add(logits, reference, labels)
            tally.seconds += time.perf_counter() - started
        if reference is not None:
            best = reference.topk(2, dim=1).values  # (B, 2)
            ties += int((best[:, 0] - best[:, 1] < TIE).sum())
        digest.update(pixels.tobytes())
        images += len(pixels)
    return images, ties, digest.hexdigest()


def normalise(pixels: Images, preprocess: dict[str, Any]) -> Tensor:
    """(B, R, R, 3) uint8 -> (B, 3, R, R) float32 with mean 0 and standard deviation 1 per channel."""
    return torch.from_numpy(IMAGES.normalise(pixels, preprocess))


def _fed_pixels(files: dict[str, Any]) -> set[str]:
    """The formats that normalise."""
    return {name for name, entry in files.items() if entry.get("input") == "pixels"}


# Formats --------------------------------------------------------------------------------------------------------------


def _open_formats(files: dict[str, Any], threads: int) -> tuple[dict[str, Run], dict[str, Tally]]:
    """Open every file of this folder that `files`, from parity.json, describes."""
    runs: dict[str, Run] = {}
    tallies: dict[str, Tally] = {}
    for name, entry in files.items():
        path = HERE / entry["file"]
        if path.exists():
            tallies[name] = Tally()
            with _recording_errors(tallies[name]), warnings.catch_warnings():
                warnings.simplefilter("ignore")  # PyTorch has deprecated TorchScript
                _require(entry.get("packages", []))
                runs[name] = _open_format(entry["opener"], path, threads)
    if not runs:
        names = ", ".join(entry["file"] for entry in files.values())
        raise SystemExit(f"{HERE} contains none of {names}: run verify.py in the folder that the bundle unpacks to")
    return runs, tallies


def _require(packages: Iterable[str]) -> None:
    """Raises ModuleNotFoundError for the first that is not installed."""
    for name in packages:
        try:
            metadata.version(name)
        except metadata.PackageNotFoundError as error:
            raise ModuleNotFoundError(f"it needs {name}, which is not installed: pip install {name}") from error


def _further_packages(files: dict[str, Any], opened: Container[str]) -> list[str]:
    """The packages that the formats which were opened need beside `PACKAGES`."""
    needed = (
        name for format_name, entry in files.items() if format_name in opened for name in entry.get("packages", [])
    )
    return list(dict.fromkeys(needed))


def _open_format(opener: str, path: Path, threads: int) -> Run:
    """Open the file at `path` with a runtime, or with a Python module of this folder that defines `open_file`."""
    open_file = RUNTIMES.get(opener) or _module(opener).open_file
    run: Run = open_file(path, threads)
    return run


def _open_safetensors(path: Path, _: int) -> Run:
    network: Run = _module("model.py").load(HERE / "arch.json", path)
    return network


def _open_torch_export(path: Path, _: int) -> Run:
    program: Run = torch.export.load(path).module()
    return program


def _open_torchscript(path: Path, _: int) -> Run:
    script: Run = torch.jit.load(str(path))
    return script


def _open_onnx(path: Path, threads: int) -> Run:
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads, settings.inter_op_num_threads = threads, 1
    session = onnxruntime.InferenceSession(str(path), settings, providers=["CPUExecutionProvider"])
    input_name, output_name = session.get_inputs()[0].name, session.get_outputs()[0].name
    return lambda x: torch.from_numpy(session.run([output_name], {input_name: x.numpy()})[0])


RUNTIMES: dict[str, Callable[[Path, int], Run]] = {
    "model.py": _open_safetensors,
    "onnxruntime": _open_onnx,
    "torch.export": _open_torch_export,
    "torch.jit": _open_torchscript,
}


@contextlib.contextmanager
def _recording_errors(tally: Tally) -> Iterator[None]:
    """An error excludes this format and is recorded; the others continue. Running out of memory ends the program."""
    try:
        yield
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001  (each runtime has errors of its own)
        tally.error = f"{type(error).__name__}: {str(error)[:300]}"


# Comparison -----------------------------------------------------------------------------------------------------------


def check_sums() -> list[str]:
    """Files that differ from SHA256SUMS."""
    sums = HERE / "SHA256SUMS"
    if not sums.exists():
        return ["SHA256SUMS is missing"]
    problems = []
    for line in sums.read_text(encoding="utf-8").splitlines():
        digest, _, name = line.partition("  ")
        path = HERE / name
        if not path.exists():
            problems.append(f"{name} is missing")
        elif hashlib.sha256(path.read_bytes()).hexdigest() != digest:
            problems.append(f"{name} does not match SHA256SUMS")
    return problems


def _compare(tallies: dict[str, Tally], images: int, ties: int, pixels: str, reported: dict[str, Any]) -> list[str]:
    """Differences to the scores in parity.json."""
    if "formats" not in reported:
        return ["parity.json contains no scores"]
    if images != reported["images"] or pixels != reported["pixels_sha256"]:
        difference = f"there are {images}, or their pixels differ"
        return [f"these are not the {reported['images']} test images that were scored for the report: {difference}"]
    problems = []
    for name, tally in tallies.items():
        scores = reported["formats"].get(name)
        if tally.error is not None:
            problems.append(f"{name} cannot be scored: {tally.error}")
        elif scores is None:
            problems.append(f"{name} has no reported score")
        elif reported["files"][name]["lossy"]:  # 8-bit arithmetic rounds differently on different processors
            lost, allowed = next(iter(tallies.values())).correct - tally.correct, reported["int8_max_drop_images"]
            if lost > allowed:
                problems.append(
                    f"{name} has {lost} images fewer right than {next(iter(tallies))}; {allowed} are allowed"
                )
        else:
            problems += _compare_exact(name, tally, scores["correct"], ties)
    return problems


def _compare_exact(name: str, tally: Tally, reported: int, ties: int) -> list[str]:
    if abs(tally.correct - reported) > ties:
        return [f"{name} has {tally.correct} images correct; {reported} were reported, and only {ties} are ties"]
    if tally.disagreeing_beyond_ties:
        count = tally.disagreeing_beyond_ties
        return [f"{name} predicts another class than PyTorch for {count} images, not due to rounding"]
    return []


def _percent(tally: Tally, images: int) -> float:
    return 100.0 * tally.correct / max(1, images)


def _print_table(found: dict[str, Any]) -> None:
    print(f"{found['images']} test images, including {found['ties']} ties")
    print(f"{'format':<16} {'correct':>8} {'reported':>9} {'top-1':>8} {'other class':>12} {'largest difference':>19}")
    for name, tally in found["formats"].items():
        reported = found["reported"].get(name, {}).get("correct", "-")
        if tally["error"]:
            print(f"{name:<16} {tally['error']}")
            continue
        row = f"{name:<16} {tally['correct']:>8} {reported:>9} {tally['top1_pct']:>7.2f}%"
        print(f"{row} {tally['disagreeing_images']:>12} {tally['max_logit_diff']:>19.2g}")
    for problem in found["problems"]:
        print(f"PROBLEM: {problem}")
    print("OK: as reported, and all checksums match" if found["ok"] else "FAILED: not as reported")


# Images ---------------------------------------------------------------------------------------------------------------


def _batches(data: Path | None, preprocess: dict[str, Any]) -> Iterator[tuple[Images, Any]]:
    """Pixels (B, R, R, 3) uint8 and labels (B,) int64 of the test images, in the order in which they were scored."""
    resolution = preprocess["resolution"]
    size = max(16, min(256, 256 * 64**2 // resolution**2))
    if data is None and (HERE / "test.npz").exists():
        with np.load(HERE / "test.npz") as test:
            pixels, labels = test["images"], test["labels"]
        for start in range(0, len(labels), size):
            yield pixels[start : start + size], labels[start : start + size]
        return
    if data is None:
        raise SystemExit(
            "this bundle does not include its test images: pass the archive or folder they came from with --data"
        )
    if not (HERE / "test_files.csv").exists():
        raise SystemExit("this bundle includes its test images, in test.npz: leave --data out")
    batch: list[tuple[Images, int]] = []
    for image, label in _decoded(data, preprocess):
        batch.append((image, label))
        if len(batch) == size:
            yield _stacked(batch)
            batch = []
    if batch:
        yield _stacked(batch)


def _stacked(batch: list[tuple[Images, int]]) -> tuple[Images, Any]:
    return np.stack([image for image, _ in batch]), np.array([label for _, label in batch], dtype=np.int64)


def _decoded(data: Path, preprocess: dict[str, Any]) -> Iterator[tuple[Images, int]]:
    """The images listed in test_files.csv, without damaged ones, which were not scored for the report either."""
    with contextlib.ExitStack() as stack:
        archive = None if data.is_dir() else stack.enter_context(zipfile.ZipFile(data))
        listing = stack.enter_context((HERE / "test_files.csv").open(encoding="utf-8", newline=""))
        for row in csv.DictReader(listing):
            content = _content(data, archive, row["member"], preprocess["max_image_bytes"])
            image = None
            with contextlib.suppress(Exception):
                image = IMAGES.decode(content, preprocess)
            if image is not None:
                yield image, int(row["label"])


def _content(data: Path, archive: zipfile.ZipFile | None, member: str, max_bytes: int) -> bytes:
    try:
        with (data / member).open("rb") if archive is None else archive.open(member) as file:
            return file.read(max_bytes + 1)
    except (FileNotFoundError, KeyError) as error:
        raise SystemExit(
            f"{data} does not contain {member}: it is not the dataset that the network was tested on"
        ) from error
    except (OSError, ValueError, RuntimeError, zipfile.BadZipFile, zlib.error):
        return b""  # damaged: skipped, as it was when the test images were scored


# Command line ---------------------------------------------------------------------------------------------------------


def _classify(options: argparse.Namespace, preprocess: dict[str, Any]) -> int:
    """Print the class of an image and its probability."""
    labels = (HERE / "labels.txt").read_text(encoding="utf-8").split("\n")
    files = _read_json("parity.json")["files"]
    runs, _ = _open_formats(files, options.threads)
    name, run = next(iter(runs.items()))
    pixels = np.stack([IMAGES.decode(options.image.read_bytes(), preprocess)])  # (1, R, R, 3)
    x = torch.from_numpy(pixels) if name in _fed_pixels(files) else normalise(pixels, preprocess)
    with torch.inference_mode():
        probabilities = run(x)[0].softmax(0)
    best = int(probabilities.argmax())
    if options.json:
        print(json.dumps({"class": labels[best], "probability_pct": 100 * float(probabilities[best])}))
    else:
        print(f"{labels[best]}  {100 * float(probabilities[best]):.1f}%")
    return 0


def _read_json(name: str) -> dict[str, Any]:
    if not (HERE / name).exists():
        raise SystemExit(f"{HERE / name} is missing: run verify.py in the folder that the bundle unpacks to")
    content: dict[str, Any] = json.loads((HERE / name).read_text(encoding="utf-8"))
    return content


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="zip archive or folder with the images listed in test_files.csv")
    parser.add_argument("--image", type=Path, help="classify this image, and score nothing")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="CPU threads")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
