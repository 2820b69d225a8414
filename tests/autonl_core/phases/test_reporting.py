"""The facts of a report match its run: layers add up to the network, counts to the images and the result."""

from __future__ import annotations

import base64
import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from autonl_core.data.decoding_report import DecodingReport, UnreadableImage
from autonl_core.dataset_check.findings import Finding
from autonl_core.datasets.check_report import DatasetReport
from autonl_core.datasets.limits import DEFAULT_LIMITS
from autonl_core.nn.network import build_network
from autonl_core.nn.profile import time_layers
from autonl_core.phases.layer_facts import layer_facts
from autonl_core.phases.reporting import READINGS, readings_of, used_settings, warnings_of
from autonl_core.spec.macs import count_macs, count_params
from autonl_core.spec.not_sure import NotSure
from autonl_core.spec.result import SearchResult
from autonl_core.spec.right_images import count_right
from autonl_core.spec.zoo import ZOO
from tests.autonl_core.bundle.small_bundle import Made
from tests.autonl_core.digit_archives import few_digits
from tests.autonl_core.small_searches import Recorder, search


@pytest.mark.parametrize("name", ZOO)
def test_layers_add_up_to_the_network(name: str) -> None:
    arch = ZOO[name].arch
    times = {f"blocks.{index}": 2.0 for index in range(len(arch.blocks))} | {
        "stem": 1.0,
        "head": 3.0,
        "classifier": 4.0,
    }
    layers = layer_facts(arch, times)
    assert sum(layer.macs for layer in layers) == count_macs(arch).total
    assert sum(layer.params for layer in layers) == count_params(arch)
    assert sum(layer.time_ms for layer in layers) == 8 + 2 * len(arch.blocks)
    assert sum(bool(layer.light_nl) for layer in layers) == sum(block.light_nl is not None for block in arch.blocks)
    of_light_nl = sum(layer.light_nl_macs for layer in layers)
    assert (of_light_nl > 0) == name.startswith("autonl")
    assert all(layer.light_nl_macs < layer.macs for layer in layers)


def test_layers_are_timed_on_a_copy_that_leaves_the_network_as_it_was() -> None:
    arch = ZOO["autonl_s"].arch
    network = build_network(arch, seed=0).train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    asked = []
    times = time_layers(network, 32, lambda: asked.append(1))
    assert set(times) == {"stem", "head", "classifier", *(f"blocks.{i}" for i in range(len(arch.blocks)))} | {
        f"blocks.{i}.light_nl" for i, block in enumerate(arch.blocks) if block.light_nl
    }
    assert all(time > 0 for time in times.values())
    assert all(times[name.removesuffix(".light_nl")] > time for name, time in times.items() if "light_nl" in name)
    assert network.training
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert not any(module._forward_hooks for module in network.modules())
    assert len(asked) >= 5


def test_a_search_delivers_its_report_in_both_forms(uninterrupted: tuple[SearchResult, Recorder]) -> None:
    """`tests/worker/test_search_process.py` has the report of a whole bundle."""
    result, _ = uninterrupted
    html, markdown = (result.files[kind].path.read_text(encoding="utf-8") for kind in ("report-html", "report-md"))
    scored = f"{result.test_correct:,} of {result.test_images:,}"
    for text in (html, markdown.replace("\\", "")):
        assert f"({scored}; 95% interval" in text
        assert f"{result.architecture.macs:,}" in text
        assert result.architecture.arch_id in text
        assert few_digits().fingerprint in text


def test_its_confusion_matrix_counts_what_the_result_counts(uninterrupted: tuple[SearchResult, Recorder]) -> None:
    html = uninterrupted[0].files["report-html"].path.read_text(encoding="utf-8")
    matrix = html[html.index('<table class="matrix">') :]
    matrix = matrix[: matrix.index("</table>")]
    right = [int(n) for n in re.findall(r'<td class="right[^"]*"[^>]*>(\d+)<', matrix)]
    every = [int(n) for n in re.findall(r"<td[^>]*>(\d+)<", matrix)]
    assert len(right) == 10
    assert len(every) == 100
    assert sum(every) == few_digits().test_images
    assert abs(sum(right) - uninterrupted[0].test_correct) <= 1  # rounding may decide a tie


def test_classes_of_the_result_add_up_to_it(uninterrupted: tuple[SearchResult, Recorder]) -> None:
    result, spec = uninterrupted[0], few_digits()
    assert [each.name for each in result.classes] == list(spec.classes)
    assert sum(each.train_images for each in result.classes) == spec.train_images
    assert sum(each.test_images for each in result.classes) == spec.test_images
    assert sum(each.predicted for each in result.classes) == spec.test_images
    assert abs(sum(each.correct for each in result.classes) - result.test_correct) <= 1  # rounding may decide a tie
    assert all(each.correct <= min(each.test_images, each.predicted) for each in result.classes)
    assert result.test_right is not None
    assert count_right(result.test_right) == sum(each.correct for each in result.classes)
    assert len(base64.b64decode(result.test_right)) == -(-spec.test_images // 8)


def test_a_network_that_is_mostly_wrong_is_never_sure(uninterrupted: tuple[SearchResult, Recorder]) -> None:
    result, images = uninterrupted[0], few_digits().test_images
    assert result.test_right is not None
    correct = count_right(result.test_right)
    if 2 * correct < images:  # as this short search leaves it, on most machines
        assert result.not_sure == NotSure(1.0, images, correct)
    elif result.not_sure is not None:
        assert 2 * result.not_sure.test_correct < result.not_sure.test_images < images


NAMELESS = {"parent", "repeat_of", "teacher.resolution"}  # without a value: there is no parent, and no teacher


@pytest.mark.long
def test_every_setting_that_may_be_left_open_has_a_value_in_the_report(made: Made) -> None:
    config = made.run.config.to_json()
    sections = {
        f"{name}.{key}": value for name, part in config.items() if isinstance(part, dict) for key, value in part.items()
    }
    left_open = {name for name, value in (config | sections).items() if value is None}
    used = used_settings(made.run)
    assert {"resolution", "augment.horizontal_flip", "card.licence"} <= left_open
    assert {name for name in left_open if used.get(name) is None} == NAMELESS
    assert (used["resolution"], used["augment.horizontal_flip"]) == (8, False)  # digits are never mirrored


def test_where_classes_come_from_is_part_of_the_report() -> None:
    check = DatasetReport()
    check.add("info", "label_files", "the class of every image is what these files say", ["patients.csv"])
    check.add("info", "alpha", "transparent images", ["a.png"])
    check.add("warning", "imbalance", "one class is large")
    assert readings_of(check) == ("The class of every image is what these files say (1: patients.csv).",)
    assert readings_of(None) == ()
    assert set(READINGS) <= {finding.value[0] for finding in Finding}


@pytest.mark.long
def test_a_report_that_cannot_be_rendered_does_not_cost_the_result(
    uninterrupted: tuple[SearchResult, Recorder], tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def draw(facts: object, pictures: object) -> None:
        raise ValueError("no such colour")

    monkeypatch.setattr("autonl_core.phases.reporting.render", draw)
    recorder = Recorder()
    result = search(tmp_path, cache, recorder=recorder, resume_from=uninterrupted[1].states, report=True)
    assert recorder.events[-1] == ("report_failed", {"problem": "ValueError: no such colour"})
    assert list(result.files) == ["safetensors", "doubtful-labels"]
    assert result.weights_sha256 == uninterrupted[0].weights_sha256


def test_findings_of_the_dataset_check_are_repeated_in_the_report() -> None:
    channels = (0.5, 0.5, 0.5)
    cut = tuple(UnreadableImage(f"a/{number}.png", "cut") for number in range(5))
    whole = DecodingReport(20, 0, (), channels, channels, DEFAULT_LIMITS)
    broken = replace(whole, unreadable=5, problems=cut)
    check = DatasetReport()
    check.add("warning", "x", "two images are equal", ["a", "b"])
    check.add("warning", "y", "Class 'c' is small.")
    check.add("info", "z", "All are JPEG.")
    assert warnings_of(whole, None) == ()
    assert warnings_of(broken, check) == (
        "5 images could not be read and were left out: a/0.png (cut), a/1.png (cut), a/2.png (cut), ...",
        "Two images are equal (2: a, b).",
        "Class 'c' is small.",
    )
