"""Say which class images show, with the ONNX file of this bundle.

    python predict.py cat.jpg dog.png       the most probable classes of each image
    python predict.py --json cat.jpg        the same as JSON
    python predict.py --model model.uint8.onnx cat.jpg

Needs numpy, pillow and onnxruntime; HEIC images also need pillow-heif. Exit code 1 if an image could not be read.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

HERE = Path(__file__).resolve().parent
MODELS = ("model.onnx", "model.uint8.onnx", "model.int8.onnx")  # the first that is there is used
PIXELS = "uint8"  # in the type of an input: the network normalises


def _module(file_name: str) -> Any:
    """A Python module beside this one, wherever else Python would look for it, and without writing bytecode."""
    spec = importlib.util.spec_from_file_location(f"bundle_{Path(file_name).stem}", Path(__file__).with_name(file_name))
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


class PredictError(Exception):
    """An image or a network cannot be used; says which, and why."""


@dataclass(frozen=True)
class Guess:
    """A class, and how probable the network finds it."""

    name: str
    probability_pct: float


class Classifier:
    """A network in an ONNX file, which also says how to prepare images and what the classes are called."""

    def __init__(self, path: Path, threads: int = 0) -> None:
        """`threads`: of the CPU; 0: as many as it has. Raises PredictError if it is no such file."""
        settings = onnxruntime.SessionOptions()
        settings.intra_op_num_threads = threads
        try:
            self._session = onnxruntime.InferenceSession(str(path), settings, providers=["CPUExecutionProvider"])
            facts = self._session.get_modelmeta().custom_metadata_map
            self.classes: list[str] = json.loads(facts["classes"])
            self.preprocess: dict[str, Any] = json.loads(facts["preprocess"])
        except KeyError as error:
            raise PredictError(f"{path}: its metadata lacks {error}, so it is no network of a bundle") from error
        except Exception as error:  # ONNX Runtime has a class of errors for each cause
            raise PredictError(f"{path}: cannot be opened: {error}") from error
        self._input = self._session.get_inputs()[0]

    def pixels(self, content: bytes) -> NDArray[np.uint8]:
        """The prepared pixels of an image file, (R, R, 3), equal to those of training.

        Raises:
            PredictError: it cannot be read; says why.
        """
        try:
            pixels: NDArray[np.uint8] = IMAGES.decode(content, self.preprocess)
        except Exception as error:
            raise PredictError(str(error)) from error
        return pixels

    def logits(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(B, R, R, 3) -> (B, classes)."""
        x = pixels if PIXELS in self._input.type else IMAGES.normalise(pixels, self.preprocess)
        logits: NDArray[np.float32] = self._session.run(None, {self._input.name: x})[0]
        return logits

    def predict(self, content: bytes, top: int) -> list[Guess]:
        """The `top` most probable classes of an image file, most probable first. Raises PredictError as `pixels`."""
        logits = self.logits(self.pixels(content)[None])[0].astype(np.float64)
        shares = np.exp(logits - logits.max())
        shares *= 100 / shares.sum()
        best = np.argsort(-shares, kind="stable")[:top]
        return [Guess(self.classes[place], float(shares[place])) for place in best]


def find_model(folder: Path) -> Path:
    """The ONNX file of an unpacked bundle. Raises PredictError if it has none."""
    for name in MODELS:
        if (folder / name).exists():
            return folder / name
    raise PredictError(
        f"{folder} contains none of {', '.join(MODELS)}: unpack a bundle there, of a search that exports ONNX"
    )


def read_file(path: Path) -> bytes:
    """The content of a file. Raises PredictError if it cannot be read."""
    try:
        return path.read_bytes()
    except IsADirectoryError as error:
        raise PredictError(f"a folder: name the images in it, such as {path / _example(path)}") from error
    except OSError as error:
        raise PredictError(str(error.strerror)) from error


def _example(folder: Path) -> str:
    """A pattern that a shell expands to the files of the folder: by the ending that most of them have."""
    endings = [path.suffix for path in folder.iterdir() if path.suffix]
    return f"*{max(sorted(set(endings)), key=endings.count)}" if endings else "*"


def predictions(classifier: Classifier, images: Sequence[Path], top: int) -> list[dict[str, Any]]:
    """For every image its path, and either its classes, most probable first, or the `error` why there are none."""
    found: list[dict[str, Any]] = []
    for image in images:
        try:
            guesses = classifier.predict(read_file(image), top)
        except PredictError as error:
            found.append({"image": str(image), "error": str(error)})
            continue
        named = [{"class": guess.name, "probability_pct": round(guess.probability_pct, 4)} for guess in guesses]
        found.append({"image": str(image), **named[0], "top": named})
    return found


def lines(prediction: dict[str, Any]) -> list[str]:
    """What is printed of one entry of `predictions`: the image, then its classes."""
    if "error" in prediction:
        return [f"{prediction['image']}: {prediction['error']}"]
    classes = (f"  {guess['probability_pct']:6.2f}%  {guess['class']}" for guess in prediction["top"])
    return [prediction["image"], *classes]


def main() -> int:
    options = _parse()
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # names that a terminal cannot show
    try:
        classifier = Classifier(options.model or find_model(HERE), options.threads)
    except PredictError as error:
        raise SystemExit(str(error)) from error
    found = predictions(classifier, options.images, options.top)
    if options.json:
        print(json.dumps(found, indent=1, ensure_ascii=False))
    else:
        for prediction in found:
            print("\n".join(lines(prediction)), file=sys.stderr if "error" in prediction else sys.stdout)
    return 1 if any("error" in prediction for prediction in found) else 0


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", type=Path, nargs="+", metavar="IMAGE", help="image file")
    parser.add_argument("--model", type=Path, help="ONNX file of this bundle (default: model.onnx)")
    parser.add_argument("--top", type=_count, default=5, help="classes shown for each image (default: 5)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads (default: as many as there are)")
    return parser.parse_args()


def _count(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text} is not a number of classes: 1 or more")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
