"""A bundle as a whole: its files, its model card, reproducible bytes, and what is withheld or refused."""

from __future__ import annotations

import json
import re
import shutil
import sys
import zipfile
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch

from autonl_core.bundle.archive import check_packed, pack
from autonl_core.bundle.build import make_bundle, pack_bundle
from autonl_core.bundle.card import derivation, write_card
from autonl_core.bundle.contents import write_sums
from autonl_core.bundle.files import model
from autonl_core.bundle.scoring import CleanScores
from autonl_core.errors import Interrupted, VerificationError
from autonl_core.export.formats.onnx import save_onnx
from autonl_core.export.formats.pt2 import save_pt2
from autonl_core.export.materials import Materials
from autonl_core.export.tracing import trace
from autonl_core.files import sha256_of
from autonl_core.report.markdown import plain as plain_text
from autonl_core.run.search_run import SearchRun
from autonl_core.spec.arch import ArchSpec
from autonl_core.spec.config_sections import CardConfig
from autonl_core.spec.formats import FORMATS, NETWORK_FORMAT_SPECS, NetworkFormat
from tests.autonl_core.bundle.small_bundle import Made, filled_graph, finish, plain
from tests.autonl_core.report.example_facts import start as pretrained_start


class TestContents:
    def test_it_contains_everything_that_a_user_needs(self, made: Made) -> None:
        files = {file.name for file in made.bundle.folder.iterdir()}
        networks = {"model.safetensors", "model.onnx", "model.uint8.onnx", "model.int8.onnx", "model.pt2"}
        networks |= {"model.torchscript.pt"}
        others = {
            "arch.json", "model.py", "preprocess.json", "labels.txt",
            "pixels.py", "predict.py", "verify.py", "parity.json", "test.npz", "README.md", "SHA256SUMS",
        }  # fmt: skip
        specs = [spec for spec in NETWORK_FORMAT_SPECS.values() if spec.extra is None]
        openers = {spec.opener_file for spec in specs if spec.opener_file}
        assert networks <= {spec.file_name for spec in specs}
        assert files == {spec.file_name for spec in specs} | openers | others
        assert ArchSpec.from_json(json.loads((made.bundle.folder / "arch.json").read_text())) == made.network.arch
        assert (made.bundle.folder / "labels.txt").read_text() == "".join(f"{digit}\n" for digit in range(10))

    def test_progress_moves_on_with_the_stages(self, made: Made) -> None:
        pace = made.run.reporter.pace
        assert pace.ended == 0.6  # all but the report
        assert 0.75 < pace.fraction < 0.999

    def test_files_to_download_are_those_that_were_scored(self, made: Made) -> None:
        assert made.files.keys() == {*made.bundle.parity, "bundle"}
        for name, parity in made.bundle.parity.items():
            assert parity.withheld is None
            file = made.files[name]
            assert (file.sha256, file.size_bytes) == (parity.sha256, parity.size_bytes)
            assert sha256_of(file.path) == file.sha256

    def test_float_formats_agree_with_pytorch_image_by_image(self, made: Made) -> None:
        names: tuple[NetworkFormat, ...] = ("onnx", "onnx-uint8", "pt2", "torchscript")
        for name in names:
            parity = made.bundle.parity[name]
            assert parity.max_logit_diff is not None
            assert (parity.correct, parity.disagreeing_images) == (made.score.correct, 0)
            assert 0 < parity.max_logit_diff < 1e-4
        assert made.bundle.parity["onnx-int8"].max_logit_diff not in (None, 0.0)

    def test_the_card_states_scores_and_cost(self, made: Made) -> None:
        card = (made.bundle.folder / "README.md").read_text()
        assert f"{made.bundle.score.top1_pct:.2f}% top-1" in card
        assert f"{made.bundle.certificate.achieved_macs:,} multiply-adds" in card
        assert "`digits`" in card
        for name in made.bundle.parity:
            assert f"| {name} | " in card
            assert f"`{FORMATS[name].file_name}`: " in card
        assert "All weights were trained on the dataset below" in card
        assert "Derived from" not in card

    def test_the_card_says_when_it_was_made_by_whom_and_under_which_licence(self, made: Made, tmp_path: Path) -> None:
        card = (made.bundle.folder / "README.md").read_text()
        (date,) = re.findall(r"^- date: (\d{4}-\d\d-\d\d \d\d:\d\d) UTC$", card, re.MULTILINE)
        age = datetime.now(UTC) - datetime.strptime(f"{date} +0000", "%Y-%m-%d %H:%M %z")
        assert timedelta(0) <= age < timedelta(hours=3)
        assert "- authors: not stated\n- licence: not stated\n" in card
        stated = CardConfig(licence="CC-BY-4.0 <x>", authors=("Ada *", "Bob"))
        run = replace(made.run, config=made.run.config.model_copy(update={"card": stated}))
        write_card(run, made.network, replace(made.bundle, folder=made.copy(tmp_path / "b")))
        card = (tmp_path / "b" / "README.md").read_text()
        assert "- authors: Ada \\*, Bob\n- licence: CC-BY-4.0 \\<x\\>\n" in card

    def test_the_card_says_which_runtimes_were_tried_and_how_old_the_onnx_files_are(self, made: Made) -> None:
        card = (made.bundle.folder / "README.md").read_text()
        for package in ("torch", "onnxruntime", "numpy", "pillow"):
            assert f"{package} {metadata.version(package)}" in card
        assert "`model.onnx`: opset 11, IR version 6." in card
        assert "`model.uint8.onnx`: opset 11, IR version 6." in card
        assert "`model.int8.onnx`: opset 13, IR version 7." in card

    def test_the_card_names_the_licence_of_the_weights_that_a_network_derives_from(self) -> None:
        card = "\n".join(derivation(pretrained_start()))
        assert "- licence of these weights: Apache-2.0\n" in card
        assert "- source: the training of \\<a lab\\>\n" in card
        assert "weight set `lite0`, architecture `efficientnet_lite0`" in card
        assert "trained for 1,000 classes, published top-1 75.1%" in card
        assert "mean 0.4850, 0.4560, 0.4060" in card
        assert "fine-tuned at 128 pixels (88.4% validation top-1)" in card
        assert "96 (80.1%), 80 (78.3%)" in card
        unknown = "\n".join(derivation(pretrained_start(licence=None, source=None, inherited=False, trials=())))
        assert "licence of these weights: not stated; clear it before you pass the network on" in unknown
        assert "replaced by one that learned from it at 96 pixels" in unknown

    def test_the_card_shows_how_apps_on_phones_read_each_file(self, made: Made) -> None:
        card = (made.bundle.folder / "README.md").read_text()
        apps = [app for name in made.bundle.parity for app in NETWORK_FORMAT_SPECS[name].apps]
        assert {app.language for app in apps} == {"kotlin", "swift"}
        for app in apps:
            assert f"{app.needs}\n\n```{app.language}\n{app.code}\n```\n" in card
        assert "those in Kotlin and Swift, for one image, are not compiled" in card

    def test_the_card_names_every_file_and_no_other(self, made: Made) -> None:
        card = (made.bundle.folder / "README.md").read_text()
        listed = re.findall(r"^- `([\w.]+)`: ", card.partition("## Files")[2], re.MULTILINE)
        assert sorted([*listed, "README.md"]) == sorted(file.name for file in made.bundle.folder.iterdir())
        assert not [line for line in card.splitlines() if line.endswith(" ")]

    def test_the_card_shows_class_names_literally(self, made: Made, tmp_path: Path) -> None:
        classes = ("<img src=x>", "a*b*", *made.run.dataset.classes[2:])
        run = replace(made.run, dataset=replace(made.run.dataset, classes=classes))
        write_card(run, made.network, replace(made.bundle, folder=made.copy(tmp_path / "b")))
        assert r"- classes: \<img src=x\>, a\*b\*, 2" in (tmp_path / "b" / "README.md").read_text()

    @pytest.mark.parametrize("name", ["safetensors", "onnx", "onnx-int8", "pt2"])
    def test_the_snippets_of_the_card_work(
        self, name: NetworkFormat, made: Made, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(made.bundle.folder)
        monkeypatch.syspath_prepend(str(made.bundle.folder))
        monkeypatch.setattr(sys, "dont_write_bytecode", True)  # the folder is shared with other tests
        images = np.zeros((5, 3, 8, 8), np.float32)
        scope = {"images": images if "onnx" in name else torch.from_numpy(images)}
        exec(NETWORK_FORMAT_SPECS[name].usage, scope)  # noqa: S102  (the very lines that users copy)
        assert scope["logits"].shape == (5, 10)


class TestOnnx:
    def test_accepts_any_number_of_images_and_names_its_input_and_output(self, made: Made) -> None:
        session = onnxruntime.InferenceSession(str(made.bundle.folder / "model.onnx"))
        (given,), (answer,) = session.get_inputs(), session.get_outputs()
        assert (given.name, given.shape, answer.name, answer.shape) == (
            "images", ["batch", 3, 8, 8], "logits", ["batch", 10],
        )  # fmt: skip
        x = torch.randn(7, 3, 8, 8)
        whole = session.run(None, {"images": x.numpy()})[0]
        ones = np.concatenate([session.run(None, {"images": x[i : i + 1].numpy()})[0] for i in range(7)])
        np.testing.assert_allclose(whole, ones, rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(whole, made.network(x).numpy(), rtol=1e-4, atol=1e-4)

    def test_is_a_graph_of_standard_operators_with_metadata_for_its_use(self, made: Made) -> None:
        import onnx

        proto = onnx.load(made.bundle.folder / "model.onnx")
        onnx.checker.check_model(proto, full_check=True)
        assert [(opset.domain, opset.version) for opset in proto.opset_import] == [("", 11)]
        assert "BatchNormalization" not in {node.op_type for node in proto.graph.node}
        facts = {entry.key: entry.value for entry in proto.metadata_props}
        assert json.loads(facts["classes"]) == list(made.run.dataset.classes)
        assert json.loads(facts["preprocess"])["resolution"] == 8

    @pytest.mark.long
    def test_contains_nothing_about_the_machine_and_is_the_same_when_made_again(
        self, made: Made, tmp_path: Path
    ) -> None:
        content = (made.bundle.folder / "model.onnx").read_bytes()
        assert b".py" not in content.replace(b"pixels.py", b"")  # its metadata names that one
        assert str(Path.cwd()).encode() not in content
        facts = {"arch_id": made.network.arch.arch_id, "classes": list(made.run.dataset.classes)}
        preprocess = json.loads((made.bundle.folder / "preprocess.json").read_text())
        save_onnx(tmp_path / "again.onnx", filled_graph(made.network), facts | {"preprocess": preprocess})
        assert (tmp_path / "again.onnx").read_bytes() == content


def test_a_full_disk_is_reported_when_a_program_is_saved(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    program = trace(model.fuse(plain(made.network)), 8)
    monkeypatch.setattr("autonl_core.export.formats.pt2.write_atomically", lambda path, write: write(path))
    with pytest.raises(OSError, match="No space left on device"):
        save_pt2(Path("/dev/full"), program)


def test_no_file_contains_paths_of_this_machine(made: Made) -> None:
    here = [str(Path.cwd()).encode(), str(made.bundle.folder.parent).encode(), b"site-packages"]
    for file in made.bundle.folder.iterdir():
        contents = [file.read_bytes()]
        if zipfile.is_zipfile(file):
            with zipfile.ZipFile(file) as archive:
                contents += [archive.read(name) for name in archive.namelist()]
        assert not [path for path in here if any(path in content for content in contents)], file.name


class TestArchive:
    def test_equal_files_give_equal_bytes(self, made: Made, tmp_path: Path) -> None:
        copy = made.copy(tmp_path / "copy")
        (copy / "arch.json").touch()
        pack(copy, tmp_path / "again.zip", f"autonl-{made.run.dataset.name}-{made.network.arch.arch_id}")
        assert sha256_of(tmp_path / "again.zip") == made.files["bundle"].sha256

    def test_holds_one_folder_of_what_was_scored(self, made: Made) -> None:
        with zipfile.ZipFile(made.files["bundle"].path) as archive:
            assert archive.testzip() is None
            names = {Path(name) for name in archive.namelist()}
        assert {name.parts[0] for name in names} == {f"autonl-{made.run.dataset.name}-{made.network.arch.arch_id}"}
        assert {name.name for name in names} == {file.name for file in made.bundle.folder.iterdir()}

    def test_a_format_that_changed_since_it_was_scored_is_not_packed(self, made: Made, tmp_path: Path) -> None:
        copy = made.copy(tmp_path / "copy")
        with (copy / "model.onnx").open("ab") as file:
            file.write(b"x")
        with pytest.raises(VerificationError, match=r"model\.onnx: changed since verify\.py scored it"):
            pack_bundle(made.run, replace(made.bundle, folder=copy), made.network)

    def test_any_other_content_is_detected(self, made: Made, tmp_path: Path) -> None:
        copy = made.copy(tmp_path / "copy")
        sums = write_sums(copy)
        (copy / "labels.txt").write_text("other\n")
        (copy / "stranger").write_text("")
        pack(copy, tmp_path / "other.zip", "b")
        with pytest.raises(VerificationError, match=r"b/labels\.txt, b/stranger"):
            check_packed(tmp_path / "other.zip", "b", sums)


class TestWithheld:
    """With the files and scores of the bundle that was made, so that neither exporters nor verify.py run again."""

    @pytest.fixture(autouse=True)
    def reported(self, made: Made, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
        """What the clean process reports for every bundle of these tests; for tests to change."""
        found: dict[str, Any] = json.loads((made.bundle.folder / "parity.json").read_text())
        kept = {name: found["formats"][name] for name in ("safetensors", "onnx", "onnx-int8")}
        found["formats"] = {name: of | {"disagreeing_beyond_ties": 0, "error": None} for name, of in kept.items()}

        def scored(run: SearchRun, folder: Path, meanwhile: object) -> CleanScores:
            present = {name: of for name, of in found["formats"].items() if (folder / FORMATS[name].file_name).exists()}
            return CleanScores.from_json(found | {"formats": present})

        def copied(materials: Materials, path: Path) -> None:
            shutil.copyfile(made.bundle.folder / path.name, path)

        monkeypatch.setattr("autonl_core.bundle.latency._MEASURED_S", 0.0)  # as few rounds as it ever takes
        monkeypatch.setattr("autonl_core.bundle.build.score_in_clean_process", scored)
        for name in ("onnx", "onnx-int8"):
            monkeypatch.setitem(
                NETWORK_FORMAT_SPECS, name, replace(NETWORK_FORMAT_SPECS[name], make=copied, prepare=None)
            )
        return found

    def test_a_format_that_loses_too_much_is_withheld_with_the_reason_and_the_others_are_delivered(
        self, made: Made, tmp_path: Path, reported: dict[str, Any]
    ) -> None:
        reported["formats"]["onnx-int8"] |= {"correct": 0, "top1_pct": 0.0}
        run = made.start_again(tmp_path, formats=("onnx", "onnx-int8"), int8_max_drop_points=0.5)
        again = finish(run, made.network)
        bundle = again.bundle
        assert again.files.keys() == {"safetensors", "onnx", "bundle"}
        reason = bundle.parity["onnx-int8"].withheld
        assert reason is not None
        assert "int8_max_drop_points allows 0.5 points, here 1 image" in reason
        assert not (bundle.folder / "model.int8.onnx").exists()
        assert f"Withheld: onnx-int8, because {plain_text(reason)}" in (bundle.folder / "README.md").read_text()
        assert "model.int8.onnx" not in (bundle.folder / "SHA256SUMS").read_text()

    def test_so_is_a_format_that_cannot_be_made_and_one_not_asked_for_is_absent(
        self, made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def broken(*_: object) -> None:
            raise ValueError("no such operator")

        pt2 = replace(NETWORK_FORMAT_SPECS["pt2"], prepare=broken, make=broken)
        monkeypatch.setitem(NETWORK_FORMAT_SPECS, "pt2", pt2)
        run = made.start_again(tmp_path, formats=("pt2",))
        again = finish(run, made.network)
        bundle = again.bundle
        assert again.files.keys() == {"safetensors", "bundle"}
        assert bundle.parity.keys() == {"safetensors", "pt2"}
        assert str(bundle.parity["pt2"].withheld).startswith("it cannot be made: ValueError: no such op")
        assert bundle.certificate == made.bundle.certificate  # counted nevertheless

    @pytest.mark.long
    @pytest.mark.parametrize("problem", [Interrupted("cancel"), OSError(28, "No space left on device")])
    def test_a_stop_or_a_full_disk_is_not_blamed_on_a_format(
        self, problem: Exception, made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def quantise(*_: object) -> None:
            raise problem

        int8 = replace(NETWORK_FORMAT_SPECS["onnx-int8"], make=quantise)
        monkeypatch.setitem(NETWORK_FORMAT_SPECS, "onnx-int8", int8)
        with pytest.raises(type(problem)):
            finish(made.start_again(tmp_path, formats=("onnx-int8",)), made.network)

    @pytest.mark.long
    @pytest.mark.parametrize(("more", "allowed"), [(0, True), (1, False)])
    def test_a_checkpoint_with_another_score_than_the_network_fails_the_search(
        self, more: int, allowed: bool, made: Made, tmp_path: Path, reported: dict[str, Any]
    ) -> None:
        """Beyond the number of ties, which rounding may decide."""
        reported["ties"] = 3
        run = made.start_again(tmp_path, formats=())
        ours = replace(made.score, correct=made.score.correct + 3 + more)
        if allowed:
            assert make_bundle(run, made.checkpoint, made.network, ours).score.correct == made.score.correct
        else:
            with pytest.raises(VerificationError, match="in a process of its own"):
                make_bundle(run, made.checkpoint, made.network, ours)

    def test_so_does_another_number_of_test_images(self, made: Made, tmp_path: Path, reported: dict[str, Any]) -> None:
        reported["images"] -= 1
        with pytest.raises(VerificationError, match="reads 358 test images, the search 359"):
            finish(made.start_again(tmp_path, formats=()), made.network)
