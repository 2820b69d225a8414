"""Latencies of a bundle: every form, repeated while other work disturbs them, and how far they spread."""

from __future__ import annotations

import time

import pytest
import torch

from autonl_core.bundle import latency
from autonl_core.bundle.latency import measure_latency
from autonl_core.export.formats.onnx import open_onnx
from autonl_core.report import latencies, words
from autonl_core.spec.formats import NETWORK_FORMAT_SPECS
from tests.autonl_core.bundle.small_bundle import Made
from tests.autonl_core.report.example_facts import facts


class TestLatency:
    def test_every_form_is_measured_at_both_batch_sizes(self, made: Made) -> None:
        latency_ms = made.bundle.latencies.median_ms
        measured = {name for name, spec in NETWORK_FORMAT_SPECS.items() if spec.latency}
        assert {"onnx", "onnx-int8"} <= measured
        assert latency_ms.keys() == {"eager", "fused"} | measured
        assert all(of_form.keys() == {"1", "32"} for of_form in latency_ms.values())
        assert all(milliseconds > 0 for of_form in latency_ms.values() for milliseconds in of_form.values())
        assert made.bundle.machine["threads"] == 1
        spread_pct = made.bundle.latencies.spread_pct
        assert {name: of.keys() for name, of in spread_pct.items()} == {n: of.keys() for n, of in latency_ms.items()}
        assert all(pct >= 0 for of_form in spread_pct.values() for pct in of_form.values())

    def test_a_disturbed_measurement_is_repeated_and_one_that_stays_noisy_says_so(
        self, made: Made, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A form that takes 5 ms; every third of its disturbed runs takes 20."""
        monkeypatch.setattr(latency, "_MEASURED_S", 60.0)
        monkeypatch.setattr(latency, "_REPEATED_S", 60.0)
        runs = 0

        def form(disturbed_runs: int) -> latency.Form:
            def run(_: torch.Tensor) -> None:
                nonlocal runs
                runs += 1
                time.sleep(0.02 if runs % 3 == 0 and runs <= disturbed_runs else 0.005)

            return run

        x = {"a": torch.zeros(1)}
        calm = latency._undisturbed({"a": form(45)}, x, lambda: None)
        assert 50 < runs <= 3 * 41  # repeated
        assert latency._worst_spread_pct(calm) < 100
        runs = 0
        noisy = latency._undisturbed({"a": form(1000)}, x, lambda: None)
        assert runs == 3 * 41
        assert latency._worst_spread_pct(noisy) > 100
        spreads = {"eager": {"1": 300.0}}
        shown = facts(latency_ms={"eager": {"1": 1.0}}, latency_spread_pct=spreads)
        table = latencies.latency(shown)
        assert table is not None
        assert table.rows == (("PyTorch, as trained", "1.000, spread 300%, noisy"),)
        assert "Noisy: above 25%" in words.about_latency(shown)
        assert "Noisy" not in words.about_latency(facts(latency_ms={"eager": {"1": 1.0}}))

    def test_the_exported_graph_is_no_slower_than_pytorch_on_one_image(self, made: Made) -> None:
        assert made.bundle.latencies.median_ms["onnx"]["1"] <= made.bundle.latencies.median_ms["eager"]["1"]

    def test_an_idle_runtime_does_not_occupy_the_processor(self, made: Made) -> None:
        form = open_onnx(made.bundle.folder / "model.onnx", threads=2)
        form(torch.zeros(32, 3, 8, 8))
        began = time.process_time()
        time.sleep(0.5)
        assert time.process_time() - began < 0.1  # threads that wait by spinning take all of it

    def test_a_stop_takes_effect_between_rounds(self, made: Made) -> None:
        def stop() -> None:
            raise InterruptedError

        began = time.monotonic()
        with pytest.raises(InterruptedError):
            measure_latency(made.network, {}, 8, stop)
        assert time.monotonic() - began < 5
