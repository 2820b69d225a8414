"""The check of uploaded weights: which architecture a file holds, and every reason to refuse it."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from autonl_core.data.prepare import prepare
from autonl_core.datasets.spec import DIGITS
from autonl_core.errors import CheckpointMisfit
from autonl_core.nn.checkpoint import save_checkpoint
from autonl_core.nn.network import build_network
from autonl_core.nn.weight_check import CheckedFile, WeightsRefused, check_weights
from autonl_core.nn.weight_formats.pytorch_port import port_arch
from autonl_core.nn.weights import load_weights
from autonl_core.spec.arch import ArchSpec
from autonl_core.spec.arch_string import decode
from autonl_core.spec.published_net import adapt
from autonl_core.spec.weight_set import IMAGENET, Normalisation, WeightProblem, WeightSetDetails
from autonl_core.spec.zoo import ZOO
from tests.autonl_core.reference_vectors import port_state

SMALL = decode("in8 | cn_k3_s1_c8 | ds_r1_k3_s1_c8 | ir_r1_k5_s2_e3_c16 | cn_k1_s1_c24 | fc10")
V2 = adapt(ZOO["mobilenet_v2"].arch, num_classes=7)
NOTHING = WeightSetDetails()
HALF = Normalisation((0.5, 0.5, 0.5), (0.25, 0.25, 0.25))


def named(network: str, **more: Any) -> WeightSetDetails:
    return WeightSetDetails(network=network, **more)


def tensors(arch: ArchSpec) -> dict[str, Tensor]:
    """The tensors of a network, by our names."""
    return {name: value.contiguous() for name, value in build_network(arch, seed=1).state_dict().items()}


def saved(tmp_path: Path, content: Any, **metadata: str) -> Path:
    """A file of tensors by our names."""
    path = tmp_path / "weights"
    save_file(content, path, metadata)
    return path


def pickled(tmp_path: Path, content: Any) -> Path:
    path = tmp_path / "weights"
    torch.save(content, path)
    return path


def checkpoint(tmp_path: Path, cache: Path, arch: ArchSpec = SMALL) -> Path:
    data = prepare(DIGITS, 8, cache)
    save_checkpoint(tmp_path / "weights", build_network(arch, seed=1).eval(), DIGITS, data)
    return tmp_path / "weights"


def refusal(path: Path, details: WeightSetDetails = NOTHING) -> WeightProblem:
    with pytest.raises(WeightsRefused) as refused:
        check_weights(path, details)
    assert str(path.parent) not in refused.value.problem.detail  # a place on the service's disk
    return refused.value.problem


def test_a_checkpoint_says_everything_itself(tmp_path: Path, cache: Path) -> None:
    path = checkpoint(tmp_path, cache)
    data = prepare(DIGITS, 8, cache)
    found = check_weights(path, NOTHING)
    assert (found.arch, found.network, found.format) == (SMALL, None, "safetensors")
    assert found.normalisation == Normalisation(data.mean, data.std)
    assert "'digits'" in (found.source or "")
    assert check_weights(path, WeightSetDetails(normalisation=HALF)).normalisation == HALF


def test_a_checkpoint_of_another_architecture_than_stated_is_refused(tmp_path: Path, cache: Path) -> None:
    problem = refusal(checkpoint(tmp_path, cache), named("autonl_s"))
    assert problem.code == "other_architecture"
    assert "in8 | cn_k3_s1_c8" in problem.detail
    assert "not autonl_s; leave out `arch`" in problem.detail


def test_a_checkpoint_of_a_network_of_the_zoo_bears_its_name(tmp_path: Path, cache: Path) -> None:
    path = checkpoint(tmp_path, cache, V2)
    assert check_weights(path, NOTHING) == check_weights(path, named("mobilenet_v2"))
    assert check_weights(path, NOTHING).network == "mobilenet_v2"


def test_tensors_by_our_names_belong_to_the_named_network_with_as_many_classes_as_they_have(tmp_path: Path) -> None:
    path = saved(tmp_path, tensors(V2), format="pt")  # as other libraries write
    found = check_weights(path, named("mobilenet_v2", normalisation=HALF))
    assert found == CheckedFile(V2, "mobilenet_v2", HALF, "safetensors", None)
    assert check_weights(path, named("mobilenet_v2")).normalisation == IMAGENET
    loaded = load_weights(path, found.arch).state_dict()
    assert all(torch.equal(value, loaded[name]) for name, value in tensors(V2).items())


@pytest.mark.long
@pytest.mark.parametrize("name", ["autonl_s", "autonl_l"])
def test_weights_of_the_port_are_recognised_by_their_shapes(name: str, tmp_path: Path) -> None:
    shares: list[float] = []
    path = pickled(tmp_path, {"model": port_state(name)})
    found = check_weights(path, NOTHING, shares.append)
    assert found == CheckedFile(port_arch(ZOO[name].arch), name, IMAGENET, "pytorch-port", None)
    assert found == check_weights(path, named(name))
    assert shares == sorted(shares)
    assert shares[-1] == 1


def test_what_fits_no_network_is_refused_with_everything_that_does_not_fit_the_closest(tmp_path: Path) -> None:
    state = tensors(V2)
    dropped, renamed = state.pop("blocks.3.project.conv.weight"), state.pop("stem.conv.weight")
    state |= {"stem.kernel": renamed, "head.conv.weight": dropped}
    problem = refusal(saved(tmp_path, state))
    assert problem.code == "unknown_architecture"
    assert "the closest is mobilenet_v2, with " in problem.detail
    assert {"missing blocks.3.project.conv.weight", "missing stem.conv.weight", "unexpected stem.kernel"} <= set(
        problem.tensors
    )
    (shape,) = (line for line in problem.tensors if line.startswith("head.conv.weight has shape "))
    assert shape.endswith("the architecture needs (1280, 320, 1, 1)")


def test_what_does_not_fit_the_named_network_is_listed_at_once(tmp_path: Path) -> None:
    path = saved(tmp_path, tensors(V2))
    problem = refusal(path, named("autonl_s"))
    assert (problem.code, "tensors do not fit autonl_s" in problem.detail) == ("does_not_fit", True)
    with pytest.raises(CheckpointMisfit) as misfit:
        load_weights(path, adapt(ZOO["autonl_s"].arch, num_classes=7))
    assert list(problem.tensors) == [str(one) for one in misfit.value.misfits]
    assert len(problem.tensors) > 100


@pytest.mark.parametrize("classes", [1, 200_000])
def test_a_classifier_that_no_network_has_does_not_fit(classes: int, tmp_path: Path) -> None:
    state = tensors(V2)
    state["classifier.weight"] = torch.zeros(classes, 1280) if classes == 1 else torch.zeros(1).expand(classes, 1280)
    state["classifier.bias"] = torch.zeros(classes)
    if classes > 1:  # a few bytes in a file of PyTorch stand for a gigabyte
        port = port_state("autonl_s")
        port |= {"classifier.1.weight": state["classifier.weight"], "classifier.1.bias": state["classifier.bias"]}
        problem = refusal(pickled(tmp_path, port), named("autonl_s"))
    else:
        problem = refusal(saved(tmp_path, state), named("mobilenet_v2"))
    assert problem.code == "does_not_fit"
    assert [line.partition(" ")[0] for line in problem.tensors] in (
        ["classifier.weight", "classifier.bias"],
        ["classifier.1.weight", "classifier.1.bias"],
    )


class Payload:
    """Unpickling it creates a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.path}",)


@pytest.mark.parametrize("details", [NOTHING, named("autonl_s")], ids=["unnamed", "named"])
def test_code_in_a_pickle_is_refused_and_does_not_run(details: WeightSetDetails, tmp_path: Path) -> None:
    path = pickled(tmp_path, port_state("autonl_s") | {"extra": Payload(tmp_path / "ran")})
    problem = refusal(path, details)
    assert problem.code == "not_readable"
    assert "reading it would run code" in problem.detail
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("content", [b"", b"not weights", b"PK\x03\x04", b"\x80\x02", bytes(8) + b"{", b"--boundary"])
def test_what_is_no_file_of_weights_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "weights").write_bytes(content)
    problem = refusal(tmp_path / "weights", named("autonl_s"))
    assert (problem.code, problem.detail.startswith("the file ")) == ("not_readable", True)


def test_text_from_the_file_is_cut_to_a_length_that_can_be_shown(tmp_path: Path) -> None:
    path = saved(tmp_path, {"x" * 10_000: torch.zeros(1)})
    assert max(map(len, refusal(path, named("autonl_s")).tensors)) < 600
    strangers = {f"entry {number}": number for number in range(100_000)}
    assert len(refusal(pickled(tmp_path, strangers)).detail) < 11_000


def test_numbers_that_are_not_finite_are_refused_with_their_tensors(tmp_path: Path) -> None:
    state = tensors(V2)
    state["head.conv.weight"][0, 0] = float("nan")
    state["classifier.bias"][3] = float("inf")
    problem = refusal(saved(tmp_path, state), named("mobilenet_v2"))
    assert (problem.code, problem.tensors) == ("not_finite", ("head.conv.weight", "classifier.bias"))


def test_a_checkpoint_with_an_impossible_normalisation_is_refused(tmp_path: Path, cache: Path) -> None:
    path = checkpoint(tmp_path, cache)
    content = path.read_bytes()
    start = content.index(b'"std') + content[content.index(b'"std') :].index(b"[") + 1
    path.write_bytes(content[:start] + b"-" + content[start + 1 :])
    assert "damaged metadata" in refusal(path).detail


@pytest.mark.long
def test_weights_that_fit_several_networks_have_to_be_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    twin = replace(ZOO["mobilenet_v2"], name="twin")
    monkeypatch.setitem(ZOO, "twin", twin)
    problem = refusal(saved(tmp_path, tensors(V2)))
    assert problem.code == "unknown_architecture"
    assert "mobilenet_v2, twin; state which they belong to, as `arch`" in problem.detail
