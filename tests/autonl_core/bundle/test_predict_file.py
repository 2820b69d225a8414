"""predict.py as users run it: in the bundle, without torch and without this package; and what it says of bad input."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from PIL import Image
from safetensors import safe_open

from autonl_core.bundle.contents import write_contents
from autonl_core.bundle.exporting import export_network
from autonl_core.bundle.files.pixels import decode
from autonl_core.bundle.files.predict import MODELS, Classifier, PredictError, find_model, predictions
from autonl_core.bundle.files.verify import normalise
from autonl_core.datasets.spec import DIGITS
from autonl_core.nn.checkpoint import save_checkpoint
from tests.api.test_page_predictions import prepared
from tests.autonl_core.bundle.isolated import run_isolated, site_of
from tests.autonl_core.bundle.picture_grid import picture_grid
from tests.autonl_core.bundle.small_bundle import Made, start
from tests.browser.trial_images import content_of, noisy

# What programs turn into numbers, booleans, nothing or markup.
ODD_NAMES = ("NA", "null", "no", "007", "7", "1e5", "True", "a,b", "it's", "<b>x é名\u200d\U0001f600")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return site_of(tmp_path_factory.mktemp("site"), ("numpy", "pillow", "onnxruntime"))


@pytest.fixture
def image(made: Made, tmp_path: Path) -> Path:
    """A test image."""
    pixels, _ = made.run.data.test.take(np.array([7]))
    Image.fromarray(pixels[0].numpy()).save(tmp_path / "digit.png")
    return tmp_path / "digit.png"


def shares(made: Made) -> list[float]:
    """What PyTorch answers for that image: the probability of every class in percent."""
    pixels, _ = made.run.data.test.take(np.array([7]))
    preprocess = {"mean": made.run.data.mean, "std": made.run.data.std}
    with torch.no_grad():
        return (100 * made.network(normalise(pixels.numpy(), preprocess)).softmax(1)[0]).tolist()


class TestOnItsOwn:
    def test_it_answers_as_the_network_without_torch(self, made: Made, site: Path, image: Path) -> None:
        code, output, _ = run_isolated(site, made.bundle.folder, "predict.py", "--json", "--top", "10", str(image))
        (found,) = json.loads(output)
        expected = shares(made)
        assert code == 0
        assert found["image"] == str(image)
        assert found["class"] == str(int(np.argmax(expected)))
        by_name = {guess["class"]: guess["probability_pct"] for guess in found["top"]}
        assert [by_name[str(digit)] for digit in range(10)] == pytest.approx(expected, abs=1e-3)
        assert list(by_name.values()) == sorted(by_name.values(), reverse=True)
        assert not (made.bundle.folder / "__pycache__").exists()

    @pytest.mark.parametrize("model", MODELS)
    def test_every_onnx_file_can_be_asked(self, model: str, made: Made, site: Path, image: Path) -> None:
        code, output, _ = run_isolated(site, made.bundle.folder, "predict.py", "--model", model, "--top=1", str(image))
        assert code == 0
        name, guess = output.splitlines()
        assert name == str(image)
        assert guess.endswith(f"%  {int(np.argmax(shares(made)))}")

    def test_what_cannot_be_read_is_named_with_the_reason_and_the_rest_is_answered(
        self, made: Made, site: Path, image: Path, tmp_path: Path
    ) -> None:
        (tmp_path / "a.jpg").write_text("no image")
        bad = [str(tmp_path / "a.jpg"), str(tmp_path / "none.jpg"), str(tmp_path)]
        code, output, errors = run_isolated(site, made.bundle.folder, "predict.py", *bad, str(image))
        assert code == 1
        assert output.splitlines()[0] == str(image)
        assert errors.splitlines()[0].startswith(f"{bad[0]}: not an image in a supported format (")
        assert errors.splitlines()[1:] == [
            f"{bad[1]}: No such file or directory",
            f"{bad[2]}: a folder: name the images in it, such as {tmp_path}/*.jpg",
        ]

    @pytest.mark.parametrize("top", ["0", "-1", "x"])
    def test_a_number_of_classes_that_is_none_is_refused(self, top: str, made: Made, site: Path, image: Path) -> None:
        code, _, errors = run_isolated(site, made.bundle.folder, "predict.py", f"--top={top}", str(image))
        assert code == 2
        assert f"{top} is not a number of classes: 1 or more" in errors

    def test_a_bundle_without_onnx_says_what_it_lacks(
        self, made: Made, site: Path, image: Path, tmp_path: Path
    ) -> None:
        folder = made.copy(tmp_path / "b")
        for name in MODELS:
            (folder / name).unlink()
        code, _, errors = run_isolated(site, folder, "predict.py", str(image))
        assert code == 1
        assert "contains none of model.onnx, model.uint8.onnx, model.int8.onnx" in errors

    def test_heic_images_name_the_package_that_they_need(self, made: Made, site: Path, tmp_path: Path) -> None:
        import pillow_heif

        pillow_heif.from_pillow(Image.new("RGB", (20, 20))).save(tmp_path / "a.heic")
        code, _, errors = run_isolated(site, made.bundle.folder, "predict.py", str(tmp_path / "a.heic"))
        assert code == 1
        assert "install the package pillow-heif" in errors


class TestPixelsOfTraining:
    @pytest.mark.long
    def test_the_uint8_file_answers_as_the_float_one_for_every_format_depth_and_mode(self, made: Made) -> None:
        floats, pixels = (Classifier(made.bundle.folder / name) for name in MODELS[:2])
        compared = 0
        for name, content in picture_grid():
            found = floats.pixels(content)
            assert np.array_equal(found, pixels.pixels(content)), name
            np.testing.assert_allclose(floats.logits(found[None]), pixels.logits(found[None]), rtol=0, atol=1e-4)
            compared += 1
        assert compared > 100


class TestClassNames:
    @pytest.mark.long
    def test_index_and_name_are_the_same_in_every_file_byte_for_byte(self, made: Made, tmp_path: Path) -> None:
        dataset = type(DIGITS)(**{**vars(DIGITS), "name": "odd", "classes": ODD_NAMES})
        run = start(tmp_path / "run", made.network.arch, dataset, cache_dir=made.run.work_dir / "cache")
        folder, checkpoint = tmp_path / "b", tmp_path / "run" / "model.safetensors"
        folder.mkdir()
        write_contents(folder, made.network, dataset, run.data)
        save_checkpoint(checkpoint, made.network, dataset, run.data)
        assert export_network(run, folder, checkpoint, made.network) == {}
        names = list(ODD_NAMES)
        assert (folder / "labels.txt").read_bytes() == "".join(f"{name}\n" for name in names).encode()
        with safe_open(folder / "model.safetensors", framework="pt") as file:
            assert json.loads(file.metadata()["classes"]) == names
        for model in MODELS:
            facts = onnxruntime.InferenceSession(str(folder / model)).get_modelmeta().custom_metadata_map
            assert json.loads(facts["classes"]) == names, model
            assert Classifier(folder / model).classes == names, model
        (found,) = predictions(Classifier(find_model(folder)), [self.picture(tmp_path)], top=10)
        assert sorted(guess["class"] for guess in found["top"]) == sorted(names)

    @staticmethod
    def picture(folder: Path) -> Path:
        Image.new("RGB", (8, 8)).save(folder / "a.png")
        return folder / "a.png"


def test_files_that_are_no_network_of_a_bundle_are_refused(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"not a graph")
    with pytest.raises(PredictError, match=r"model\.onnx: cannot be opened"):
        Classifier(tmp_path / "model.onnx")
    with pytest.raises(PredictError, match="contains none of"):
        find_model(tmp_path / "elsewhere")


def test_the_web_page_does_every_step_of_its_recipe(made: Made) -> None:
    preprocess = json.loads((made.bundle.folder / "preprocess.json").read_text(encoding="utf-8"))
    content = content_of(noisy(301, 200, np.random.default_rng(10)), "JPEG", 6)
    assert len(preprocess["operations"]) == 7
    (found,) = prepared([(content, preprocess)])
    assert np.array_equal(np.asarray(found), decode(content, preprocess))
