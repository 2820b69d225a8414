"""Weight sets over HTTP: built-in and uploaded ones, what is stated about them, checks, refusals."""

from __future__ import annotations

import hashlib
from typing import Any

import httpx
import pytest
import torch
from safetensors.torch import save
from torch import Tensor

from autonl_core.data.prepare import prepare
from autonl_core.datasets.spec import DIGITS
from autonl_core.nn.checkpoint import save_checkpoint
from autonl_core.nn.network import build_network
from autonl_core.spec.arch_string import decode, encode
from autonl_core.spec.builtin_weights import BUILTIN_WEIGHTS, BuiltinWeights
from autonl_core.spec.macs import count_macs, count_params
from autonl_core.spec.published_net import adapt
from autonl_core.spec.weight_set import IMAGENET
from autonl_core.spec.zoo import ZOO
from store.settings import Settings
from tests.api.http_service import check_weights, refusal

ARCH = decode("in8 | cn_k3_s1_c8 | ds_r1_k3_s1_c8 | ir_r1_k5_s2_e3_c16 | cn_k1_s1_c24 | fc10")
V2 = adapt(ZOO["mobilenet_v2"].arch, num_classes=7)


def send(client: httpx.Client, name: str, content: Any, **stated: Any) -> httpx.Response:
    return client.post("/weights", params={"name": name, **stated}, content=content)


def tensors() -> dict[str, Tensor]:
    return {name: value.contiguous() for name, value in build_network(V2, seed=0).state_dict().items()}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A checkpoint as a search delivers it."""
    folder = tmp_path_factory.mktemp("checkpoint")
    data = prepare(DIGITS, 8, folder / "cache")
    save_checkpoint(folder / "network.safetensors", build_network(ARCH, seed=0), DIGITS, data)
    return (folder / "network.safetensors").read_bytes()


def test_the_built_in_weights_are_listed_with_their_provenance(client: httpx.Client) -> None:
    listed = client.get("/weights").json()["weights"]
    installed = [member for member in BUILTIN_WEIGHTS.members() if member.path() is not None]
    assert [weights["name"] for weights in listed] == [member.name for member in installed]
    (lite0,) = (weights for weights in listed if weights["name"] == "efficientnet-lite0")
    assert (lite0["state"], lite0["origin"], lite0["network"]) == ("ready", "built-in", "efficientnet_lite0")
    assert (lite0["num_classes"], lite0["resolution"], lite0["top1_pct"]) == (1000, 224, 75.1)
    assert lite0["licence"] == "Apache-2.0"
    assert (lite0["created_at"], lite0["architecture"], lite0["problems"]) == (None, None, [])


def test_a_checkpoint_is_uploaded_checked_and_says_its_architecture(
    client: httpx.Client, settings: Settings, checkpoint: bytes
) -> None:
    answer = send(client, "mine", checkpoint, licence="MIT", top1_pct=97.5)
    assert answer.status_code == 202, answer.text
    assert (answer.headers["Location"], answer.headers["Retry-After"]) == ("/weights/mine", "1")
    waiting = answer.json()
    assert (waiting["state"], waiting["num_classes"], waiting["architecture"]) == ("checking", None, None)
    assert (waiting["origin"], waiting["licence"], waiting["top1_pct"]) == ("uploaded", "MIT", 97.5)
    sha256 = hashlib.sha256(checkpoint).hexdigest()
    assert (waiting["sha256"], waiting["size_bytes"]) == (sha256, len(checkpoint))
    assert (settings.weights_dir / f"{sha256}.weights").read_bytes() == checkpoint
    assert client.get("/weights/mine").headers["Retry-After"] == "1"

    check_weights(settings)
    answer = client.get("/weights/mine")
    assert "Retry-After" not in answer.headers
    ready = answer.json()
    assert (ready["state"], ready["num_classes"], ready["resolution"]) == ("ready", 10, 8)
    assert (ready["network"], ready["format"], ready["licence"]) == (None, "safetensors", "MIT")
    assert "'digits'" in ready["source"]
    held = ready["architecture"]
    assert (held["arch_id"], held["arch_string"], held["arch"]) == (ARCH.arch_id, encode(ARCH), ARCH.to_json())
    assert (held["macs"], held["params"]) == (count_macs(ARCH).total, count_params(ARCH))
    listed = client.get("/weights").json()["weights"][-1]
    assert listed == ready | {"architecture": None}


def test_tensors_alone_belong_to_the_stated_architecture(client: httpx.Client, settings: Settings) -> None:
    content = save(tensors())
    stated = {"arch": "mobilenet_v2", "mean": "0.5,0.5,0.5", "std": "0.25,0.5,1", "source": "Zoë & Co., 1/2"}
    send(client, "mine", content, **stated)
    send(client, "yours", content, arch="mobilenet_v2")
    check_weights(settings)
    mine, yours = (client.get(f"/weights/{name}").json() for name in ("mine", "yours"))
    assert (mine["state"], mine["network"], mine["num_classes"]) == ("ready", "mobilenet_v2", 7)
    assert mine["normalisation"] == {"mean": [0.5, 0.5, 0.5], "std": [0.25, 0.5, 1.0]}
    assert mine["source"] == "Zoë & Co., 1/2"
    assert yours["normalisation"] == {"mean": list(IMAGENET.mean), "std": list(IMAGENET.std)}
    assert yours["source"] is None


def test_weights_that_do_not_fit_are_refused_with_everything_that_does_not(
    client: httpx.Client, settings: Settings
) -> None:
    content = tensors()
    del content["stem.conv.weight"]
    content |= {"strange": torch.zeros(3), "head.conv.weight": torch.zeros(2, 2, 1, 1)}
    send(client, "mine", save(content), arch="mobilenet_v2")
    check_weights(settings)
    refused = client.get("/weights/mine").json()
    assert (refused["state"], refused["architecture"]) == ("refused", None)
    (problem,) = refused["problems"]
    assert problem["code"] == "does_not_fit"
    assert sorted(problem["tensors"]) == [
        "head.conv.weight has shape (2, 2, 1, 1), the architecture needs (1280, 320, 1, 1)",
        "missing stem.conv.weight",
        "unexpected strange",
    ]
    again = send(client, "mine", save(tensors()), arch="mobilenet_v2")  # under the same name, once corrected
    assert (again.status_code, again.json()["state"]) == (202, "checking")


def test_the_same_upload_again_is_recognised_and_any_other_is_refused(
    client: httpx.Client, settings: Settings, checkpoint: bytes
) -> None:
    send(client, "mine", checkpoint, licence="MIT")
    assert send(client, "mine", checkpoint, licence="MIT").status_code == 202  # not checked yet
    check_weights(settings)
    again = send(client, "mine", checkpoint, licence="MIT")
    assert (again.status_code, again.json()) == (200, client.get("/weights/mine").json())
    for content, licence in ((checkpoint, "GPL-3.0"), (checkpoint + b"!", "MIT")):
        problem = refusal(send(client, "mine", content, licence=licence), 409, "weights-exist")
        assert "choose another name, or delete that weight set first" in problem["detail"]
    refusal(send(client, "efficientnet-lite0", checkpoint), 409, "weights-exist")
    assert [path.suffix for path in settings.weights_dir.iterdir() if path.name != ".lock"] == [".weights"]


def test_weights_are_deleted_unless_they_are_built_in(
    client: httpx.Client, settings: Settings, checkpoint: bytes
) -> None:
    send(client, "mine", checkpoint)
    assert client.delete("/weights/mine").status_code == 204
    assert [path.name for path in settings.weights_dir.iterdir()] == [".lock"]
    for method in ("GET", "DELETE"):
        problem = refusal(client.request(method, "/weights/mine"), 404, "not-found")
        assert "no weight set 'mine'; the existing ones are: efficientnet-lite0" in problem["detail"]
    refusal(client.delete("/weights/efficientnet-lite0"), 409, "weights-in-use")


@pytest.mark.parametrize(
    ("stated", "pointer", "reason"),
    [
        ({"arch": "resnet50"}, "arch", "'autonl_s'"),
        ({"mean": "0.5,0.5,0.5"}, "std", "is needed together with mean"),
        ({"std": "0.5,0.5,0.5"}, "mean", "is needed together with std"),
        ({"mean": "127,127,127", "std": "0.5,0.5,0.5"}, "mean", "divide what is meant for 0 to 255 by 255"),
        ({"mean": "0.5,0.5,0.5", "std": "0.5,0,0.5"}, "std", "cannot be 0"),
        ({"mean": "0.5", "std": "0.5,0.5,0.5"}, "mean", "match pattern"),
        ({"top1_pct": "nan"}, "top1_pct", "must be at most 100"),
        ({"top1_pct": "101"}, "top1_pct", "must be at most 100"),
        ({"source": "x" * 501}, "source", "at most 500 characters"),
        ({"name": "../../etc/passwd"}, "name", "a name has 1 to 64 characters"),
        ({"name": None}, "name", "is required"),
    ],
)
def test_what_cannot_be_stated_is_refused_and_nothing_is_stored(
    client: httpx.Client, settings: Settings, checkpoint: bytes, stated: dict[str, Any], pointer: str, reason: str
) -> None:
    params = {name: value for name, value in ({"name": "mine"} | stated).items() if value is not None}
    answer = client.post("/weights", params=params, content=checkpoint)
    (field,) = refusal(answer, 422, "invalid-request")["errors"]
    assert (field["source"], field["pointer"]) == ("query", pointer)
    assert reason in field["detail"]
    assert not list(settings.weights_dir.glob("*"))


def test_without_its_package_a_built_in_set_is_not_listed(
    client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(BuiltinWeights, "path", lambda member: None)
    assert client.get("/weights").json() == {"weights": []}


# This needs the network of the set in `autonl_core/spec/zoo`.


def test_a_built_in_weight_set_says_its_architecture(client: httpx.Client) -> None:
    found = client.get("/weights/efficientnet-lite0").json()
    arch = BUILTIN_WEIGHTS.get("efficientnet-lite0").weights.arch
    assert (found["architecture"]["arch_id"], found["architecture"]["macs"]) == (arch.arch_id, count_macs(arch).total)
