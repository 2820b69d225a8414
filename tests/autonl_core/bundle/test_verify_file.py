"""verify.py as users run it: in the bundle, with four packages and without this one; and the problems it reports."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from autonl_core.bundle.contents import write_contents, write_sums
from autonl_core.bundle.files import verify
from autonl_core.bundle.parity import describe_files
from autonl_core.bundle.scoring import score_in_clean_process
from autonl_core.datasets.scan import scan
from tests.autonl_core.bundle.isolated import run_isolated, site_of
from tests.autonl_core.bundle.small_bundle import Made, start
from tests.autonl_core.digit_archives import digits_zip

NEEDED = ("torch", "numpy", "pillow", "onnxruntime")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return site_of(tmp_path_factory.mktemp("site"), NEEDED)


class TestOnItsOwn:
    def test_reproduces_what_was_reported_without_our_package_and_without_safetensors(
        self, made: Made, site: Path, tmp_path: Path
    ) -> None:
        names = ["autonl_core", "safetensors", "onnx"]
        code = f"import sys, importlib.util as u; sys.path.append({str(site)!r}); print(*map(u.find_spec, {names}))"
        done = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True)
        assert done.stdout.split() == ["None"] * 3
        with zipfile.ZipFile(made.files["bundle"].path) as archive:
            archive.extractall(tmp_path)
        (unpacked,) = tmp_path.iterdir()
        code_of_exit, output, _ = run_isolated(site, unpacked, "verify.py", "--threads", "1", "--json")
        found = json.loads(output)
        assert (code_of_exit, found["ok"], found["problems"]) == (0, True, [])
        assert found["images"] == 359
        for name, parity in made.bundle.parity.items():
            assert found["formats"][name]["correct"] == parity.correct
        assert found["formats"]["safetensors"]["correct"] == made.score.correct == made.bundle.score.correct
        assert not {"autonl_core", "safetensors", "onnx"} & set(found["imported"])
        assert not (unpacked / "__pycache__").exists()


class TestFindings:
    """Problems are listed by file and by format. Run in this process, which has the packages anyway."""

    @pytest.fixture
    def folder(self, made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        folder = made.copy(tmp_path / "b")
        for name in ("model.pt2", "model.torchscript.pt"):
            (folder / name).unlink()
        write_sums(folder)
        monkeypatch.setattr(verify, "HERE", folder)
        return folder

    def problems(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> list[str]:
        monkeypatch.setattr(sys, "argv", ["verify.py", "--json", "--threads", "1"])
        code = verify.main()
        found: list[str] = json.loads(capsys.readouterr().out)["problems"]
        assert code == (1 if found else 0)
        return found

    def test_an_intact_bundle_has_none_and_prints_a_table(
        self, made: Made, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert self.problems(monkeypatch, capsys) == []
        monkeypatch.setattr(sys, "argv", ["verify.py", "--threads", "1"])
        assert verify.main() == 0
        lines = capsys.readouterr().out.splitlines()
        rows = {line.split()[0]: line.split()[1:3] for line in lines[2:-1]}
        present = {name: of for name, of in made.bundle.parity.items() if name not in ("pt2", "torchscript")}
        assert {"safetensors", "onnx", "onnx-int8"} <= present.keys()
        assert rows == {name: [str(parity.correct)] * 2 for name, parity in present.items()}
        assert lines[-1] == "OK: as reported, and all checksums match"

    def test_an_image_is_classified_as_the_network_does(
        self, made: Made, folder: Path, tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    ) -> None:  # fmt: skip
        (pixels, _), mean, std = made.run.data.test.take(np.array([7])), made.run.data.mean[0], made.run.data.std[0]
        Image.fromarray(pixels[0].numpy()).save(tmp_path / "digit.png")
        x = (pixels.float() / 255 - mean) / std  # grey: all channels are alike
        shares = made.network(x.permute(0, 3, 1, 2)).softmax(1)[0]
        monkeypatch.setattr(sys, "argv", ["verify.py", "--json", "--image", str(tmp_path / "digit.png")])
        assert verify.main() == 0
        answer = json.loads(capsys.readouterr().out)
        assert answer["class"] == str(int(shares.argmax()))
        assert answer["probability_pct"] == pytest.approx(100 * float(shares.max()), rel=1e-3)

    def test_a_changed_and_a_missing_file(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (folder / "README.md").write_text("99.9% top-1")
        (folder / "labels.txt").unlink()
        found = self.problems(monkeypatch, capsys)
        assert found == ["README.md does not match SHA256SUMS", "labels.txt is missing"]

    def test_a_bundle_without_its_checkpoint(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (folder / "model.safetensors").unlink()
        assert self.problems(monkeypatch, capsys) == ["model.safetensors is missing"]

    def test_other_images_are_refused_if_the_bundle_includes_its_own(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sys, "argv", ["verify.py", "--data", str(folder)])
        with pytest.raises(SystemExit, match="leave --data out"):
            verify.main()

    def test_weights_with_another_score(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        weights = folder / "model.safetensors"
        content = bytearray(weights.read_bytes())
        content[-2000:] = bytes(2000)
        weights.write_bytes(content)
        write_sums(folder)
        found = " ".join(self.problems(monkeypatch, capsys))
        assert "safetensors has" in found
        assert "onnx predicts another class" in found  # compared with the weights that lie there

    def test_a_file_that_its_runtime_cannot_read(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (folder / "model.onnx").write_bytes(b"not a graph")
        write_sums(folder)
        (problem,) = self.problems(monkeypatch, capsys)
        assert problem.startswith("onnx cannot be scored: ")

    def test_a_format_whose_runtime_is_not_installed_is_named_with_what_installs_it(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        described = json.loads((folder / "parity.json").read_text())
        described["files"]["onnx"]["packages"] = ["no-such-runtime"]
        (folder / "parity.json").write_text(json.dumps(described))
        write_sums(folder)
        (problem,) = self.problems(monkeypatch, capsys)
        assert problem.startswith("onnx cannot be scored: ")
        assert problem.endswith("it needs no-such-runtime, which is not installed: pip install no-such-runtime")

    def test_other_images(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with np.load(folder / "test.npz") as test:
            np.savez(folder / "test.npz", images=test["images"][1:], labels=test["labels"][1:])
        write_sums(folder)
        (problem,) = self.problems(monkeypatch, capsys)
        assert "not the 359 test images that were scored for the report: there are 358" in problem

    def test_a_lossy_format_that_loses_more_than_allowed(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        parity = json.loads((folder / "parity.json").read_text())
        parity["int8_max_drop_images"] = -400
        (folder / "parity.json").write_text(json.dumps(parity))
        write_sums(folder)
        (problem,) = self.problems(monkeypatch, capsys)
        assert problem.startswith("onnx-int8 has")
        assert "images fewer right than safetensors; -400 are allowed" in problem


@pytest.mark.long
def test_test_images_that_are_too_large_to_include_are_listed_and_decoded_from_the_archive(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Damaged ones are skipped by both."""
    digits_zip(tmp_path / "digits.zip", per_class=30)
    with zipfile.ZipFile(tmp_path / "digits.zip", "a") as archive:
        for number in range(9):  # some of them test images
            archive.writestr(f"3/damaged{number}.png", b"\x89PNG nothing")
    dataset = scan("digits", tmp_path / "digits.zip")
    monkeypatch.setattr("autonl_core.bundle.contents.MAX_TEST_BYTES", 1000)
    of_archive = start(tmp_path / "run", made.network.arch, dataset)
    folder = tmp_path / "b"
    folder.mkdir()
    write_contents(folder, made.network, dataset, of_archive.data)
    describe_files(folder, ())
    (folder / "model.safetensors").write_bytes(made.checkpoint.read_bytes())
    assert not (folder / "test.npz").exists()
    found = score_in_clean_process(of_archive, folder)
    images, _ = of_archive.data.test.take(np.arange(len(of_archive.data.test)))
    assert found.images == len(of_archive.data.test) < dataset.test_images
    assert found.pixels_sha256 == hashlib.sha256(images.numpy().tobytes()).hexdigest()
