"""Peers are given, never fetched: a missing one is named, a wrong folder refused, equal outputs demanded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from autonl_core.nn.network import build_network
from autonl_core.spec.arch_string import decode
from benchmarks import peer_runs, peers
from benchmarks.peers import PEERS, paths_of
from benchmarks.straightforward import PlainNetwork

SMALL = decode(
    "in32 | cn_k3_s2_c8 | ds_r1_k3_s1_c8 | ir_r1_k5_s2_e3_c16_se0.25_nl0.25-1 ir_r1_k3_s1_e3_c16 | cn_k1_s1_c24 | fc5"
)


@pytest.fixture
def port(tmp_path: Path) -> Path:
    """A folder that looks like the port's."""
    folder = tmp_path / "port"
    (folder / "models").mkdir(parents=True)
    for name in ("mobilenet_supernet.py", "mobilenet_base.py"):
        (folder / "models" / name).write_text("raise ImportError('not the real one')\n")
    return folder


@pytest.mark.parametrize("arguments", [[], ["--port", "", "--timm", ""]], ids=["none", "empty, as make passes them"])
def test_without_any_path_it_says_how_to_get_each_peer(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exited:
        paths_of(arguments)
    message = capsys.readouterr().err
    assert exited.value.code == 2
    assert all(
        text in message for peer in PEERS for text in (f"--{peer.name} ", f"{peer.name.upper()}=", peer.how_to_get)
    )


def test_a_folder_that_holds_something_else_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        paths_of(["--timm", str(tmp_path)])
    assert f"{tmp_path} does not hold the timm" in capsys.readouterr().err


def test_a_missing_peer_is_named_and_its_results_stay(
    port: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(peers, "RESULTS", tmp_path)
    monkeypatch.setattr(peers, "measure_alone", lambda *_, **__: [])
    monkeypatch.setattr("sys.argv", ["peers", "--port", str(port)])
    assert peers.main() == 0
    assert "timm: NOT MEASURED" in capsys.readouterr().out
    assert [file.name for file in tmp_path.glob("*.json")] == ["peers_port.json"]


def straightforward(change: Callable[[nn.Module], object] = lambda _: None) -> peer_runs.Peers:
    """The straightforward formulation in the place of a peer, after `change`."""

    def at(_: int) -> nn.Module:
        network = PlainNetwork(SMALL)
        network.load_state_dict(build_network(SMALL, seed=0).state_dict())
        change(network)
        return network

    return at


@pytest.mark.long
def test_a_peer_that_computes_the_same_passes_the_check() -> None:
    peer_runs.check(build_network(SMALL, seed=0), straightforward())


def test_a_peer_that_computes_something_else_is_not_measured() -> None:
    def other_epsilon(network: nn.Module) -> None:
        for layer in network.modules():
            if isinstance(layer, nn.BatchNorm2d):
                layer.eps = 2e-3

    with pytest.raises(RuntimeError, match="differs from the peer"):
        peer_runs.check(build_network(SMALL, seed=0), straightforward(other_epsilon))


def test_a_result_that_is_no_number_is_not_equal() -> None:
    with pytest.raises(RuntimeError, match="differs from the peer by nan"):
        peer_runs.require_equal({"peer": torch.ones(2), "ours": torch.tensor([1.0, torch.nan])}, 1e-3)
