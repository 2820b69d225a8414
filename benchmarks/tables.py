"""Updates the tables in docs/macs.md (computed), docs/speed.md and docs/quotas.md (from benchmarks/results).

    python -m benchmarks.tables

A table stands between `<!-- table NAME -->` and `<!-- end -->`; the surrounding text is left unchanged.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any

from autonl_core.spec.arch import LightNLSpec
from autonl_core.spec.macs import MacsBreakdown, block_sizes, count_macs, count_params, light_nl_macs, non_local_macs
from autonl_core.spec.zoo import ZOO
from benchmarks.harness import say
from benchmarks.peer_tables import peer_light_nl_table, peer_networks_table
from benchmarks.table_format import ratio, result, table

DOCS = Path(__file__).parents[1] / "docs"
_TABLE = re.compile(r"<!-- table (?P<name>\w+) -->\n.*?<!-- end -->", re.DOTALL)


def published_table() -> str:
    """Published figures of every network beside ours."""
    rows = []
    for net in ZOO.values():
        macs, params = count_macs(net.arch).total, count_params(net.arch)
        macs_columns = [f"{net.macs / 1e6:.0f}M", f"{macs:,}", f"{macs / net.macs - 1:+.2%}"]
        params_columns = [f"{net.params / 1e6:.1f}M", f"{params:,}", f"{params / net.params - 1:+.2%}"]
        rows.append([net.title, *macs_columns, *params_columns, f"{net.top1_pct:.1f}"])
    return table(["network", "MACs published", "ours", "", "parameters published", "ours", "", "top-1 published"], rows)


def columns_table() -> str:
    """The MACs of the AutoNL networks, by kind of layer."""
    columns = [field.name for field in fields(MacsBreakdown)]
    rows = []
    for name in ("autonl_s", "autonl_l"):
        macs = count_macs(ZOO[name].arch)
        rows.append([ZOO[name].title, *(f"{getattr(macs, column):,}" for column in columns), f"{macs.total:,}"])
    return table(["network", *(f"`{column}`" for column in columns), "total"], rows)


def non_local_table() -> str:
    """MACs of the classic non-local block relative to LightNL, on feature maps of published networks."""
    rows = []
    for where, channels, size, spec in _named_maps():
        light, classic = light_nl_macs(channels, size, spec).total, non_local_macs(channels, size)
        half = non_local_macs(channels, size, max(1, channels // 2))
        named = [where, f"{channels} x {size}x{size}", f"{spec.nl_ratio:g}, {spec.nl_stride}"]
        rows.append([*named, f"{light:,}", f"{classic:,}", f"{classic / light:,.0f}x", f"{half / light:,.0f}x"])
    headers = ["maps of", "channels x size", "nl_ratio, nl_stride", "LightNL", "classic, C_i = C", "ratio"]
    return table([*headers, "ratio at C_i = C/2"], rows)


def _named_maps() -> list[tuple[str, int, int, LightNLSpec]]:
    """(network, channels, size, LightNL) without repeats: block outputs of MobileNetV2, LightNL blocks of AutoNL."""
    network_by_map: dict[tuple[int, int, LightNLSpec], str] = {}
    for name in ("mobilenet_v2", "autonl_s", "autonl_l"):
        arch = ZOO[name].arch
        for block, size in zip(arch.blocks, block_sizes(arch)[1:], strict=True):
            spec = LightNLSpec(0.25, 1) if name == "mobilenet_v2" else block.light_nl
            if spec is not None:
                network_by_map.setdefault((block.out_channels, size, spec), ZOO[name].title)
    return [(where, *key) for key, where in network_by_map.items()]


def light_nl_table() -> str:
    rows = []
    default, kept = result("light_nl"), result("light_nl_keep_memory")
    for one, other in zip(default["shapes"], kept["shapes"], strict=True):
        memory = one["saved_bytes"]["ours"] / one["saved_bytes"]["straightforward"]
        shape = f"{one['channels']}, {one['size']}x{one['size']}, {one['nl_ratio']:g}, {one['nl_stride']}"
        limit = f"{one['limit_s'] / one['seconds']['ours']:.0%}"
        rows.append([shape, *_times(one), *_times(other), f"{memory:.2f}", limit])
    headers = ["shape", "straightforward", "ours", "ratio", "*straightforward*", "*ours*", "*ratio*"]
    return table([*headers, "kept bytes", "share of the limit"], rows)


def networks_table() -> str:
    rows = []
    default, kept = result("networks")["networks"], result("networks_keep_memory")["networks"]
    for name in default:
        for one, other in zip(default[name]["runs"], kept[name]["runs"], strict=True):
            limit = f"{one['limit_s'] / one['seconds']['ours']:.0%}"
            what = f"{one['what']}, batch {one['batch']}"
            rows.append([ZOO[name].title, what, *_times(one), *_times(other), limit])
    headers = ["network", "run", "straightforward", "ours", "ratio", "*straightforward*", "*ours*", "*ratio*"]
    return table([*headers, "share of the limit"], rows)


def inference_table() -> str:
    """Every form of the fused network, elapsed / CPU."""
    rows = []
    for name, runs in result("inference")["networks"].items():
        title = ZOO[name].title if name in ZOO else f"`{name}`, 4.5M MACs"
        for run in runs:
            threads = f"{run['threads']} thread{'s' if run['threads'] > 1 else ''}"
            rows.append([title, f"batch {run['batch']}, {threads}", *_elapsed_and_cpu(run)])
    return table(["network", "run", "operators", "kernels", "ONNX Runtime"], rows)


def _elapsed_and_cpu(run: dict[str, dict[str, float]]) -> list[str]:
    """Milliseconds."""
    return [f"{1e3 * run['seconds'][form]:.2f} / {1e3 * cpu_s:.2f}" for form, cpu_s in run["cpu_seconds"].items()]


def reading_table() -> str:
    rows = []
    for one in result("reading")["sets"]:
        rates = [f"{one['images_per_s'][name]:,.0f}" for name in ("decoding", "in_processes", "cached", "sharded")]
        rows.append([f"{one['resolution']} px", f"{one['file_bytes'] / 1000:.1f} kB", *rates, f"{one['ratio']:.0f}x"])
    headers = ["resolution", "a file", "decoding, one process", "decoding, all cores", "cached", "sharded"]
    return table([*headers, "cached / decoding"], rows)


def reading_memory_table() -> str:
    rows, found = [], result("reading_memory")
    headers = ["peak memory", "with a network", "on disk", "prepared in", "images per second"]
    for mode, one in found["modes"].items():
        sizes = [f"{one[name] / 1e6:,.0f} MB" for name in ("peak_bytes", "peak_with_network_bytes", "disk_bytes")]
        rows.append([mode, *sizes, f"{one['prepare_s']:.0f} s", f"{one['images_per_s']:,.0f}"])
    return table([f"{found['images']:,} images of {found['resolution']} px", *headers], rows)


def augmentation_table() -> str:
    costs = result("augmentation")["us_per_image"]
    rows = [[name, *(f"{cost:,.0f} us" for cost in by_resolution.values())] for name, by_resolution in costs.items()]
    return table(["per image", *(f"{resolution} px" for resolution in costs["none"])], rows)


def gpu_table() -> str:
    rows = []
    for name, title in (("autonl_s", "AutoNL-S, 224 px"), ("mobile-32", "the largest of `mobile-32`, 32 px")):
        for precision in ("default", "float32"):
            one = result("cuda_path")["speed"][f"{name}, {precision}"]
            rows.append([title, precision, f"{one['ms']:.1f} ms", f"{one['images_per_s']:,}", f"{one['peak_gib']} GiB"])
    return table(["network", "precision", "a training step", "images per second", "peak memory"], rows)


def starts_table() -> str:
    cpu_s = result("starts_and_idle")["start_cpu_s"]
    empty_s = cpu_s["python -c pass"]
    rows = [[f"`{name}`", f"{one:.2f} s", f"{one / empty_s:.1f}"] for name, one in cpu_s.items()]
    return table(["command", "CPU time", "relative to an empty program"], rows)


def idle_table() -> str:
    processes = result("starts_and_idle")["processes"]
    sums = {name: sum(one[name] for one in processes) for name in ("cpu_pct", "rss_bytes", "pss_bytes")}
    rows = [
        [one["name"], f"{one['cpu_pct']:.2f}%", *(f"{one[size] / 1e6:.0f} MB" for size in ("rss_bytes", "pss_bytes"))]
        for one in [*({**one, "name": f"`{one['name']}`"} for one in processes), {"name": "together", **sums}]
    ]
    return table(["process", "of one core", "resident", "proportional"], rows)


def estimates_table() -> str:
    rows = []
    for one in result("estimates")["searches"]:
        before = "" if one["low_s"] is None else f"{one['low_s']:.0f} to {one['high_s']:.0f} s"
        times = ["" if one[kind] is None else f"{one[kind]:.2f}" for kind in ("off", "off_by_others", "off_by_each")]
        rows.append([one["name"], f"{one['elapsed_s']:.0f} s", f"{one['cpu_s']:.0f} s", before, *times])
    return table(["search", "elapsed", "CPU", "before", "off", "by all others", "by one, at most"], rows)


TABLES: dict[str, Callable[[], str]] = {
    "published": published_table,
    "columns": columns_table,
    "non_local": non_local_table,
    "light_nl": light_nl_table,
    "networks": networks_table,
    "peer_light_nl": peer_light_nl_table,
    "peer_port": partial(peer_networks_table, "port"),
    "peer_timm": partial(peer_networks_table, "timm"),
    "inference": inference_table,
    "reading": reading_table,
    "reading_memory": reading_memory_table,
    "augmentation": augmentation_table,
    "gpu": gpu_table,
    "starts": starts_table,
    "idle": idle_table,
    "estimates": estimates_table,
}


def fill(page: str) -> str:
    """`page` with every table in it regenerated."""

    def regenerated(match: re.Match[str]) -> str:
        name = match["name"]
        return f"<!-- table {name} -->\n{TABLES[name]()}<!-- end -->"

    return _TABLE.sub(regenerated, page)


def main() -> int:
    for name in ("macs.md", "speed.md", "quotas.md"):
        page = DOCS / name
        page.write_text(fill(page.read_text()))
        say(f"{page} is up to date")
    return 0


def _times(row: dict[str, Any]) -> list[str]:
    plain, ours = row["seconds"]["straightforward"], row["seconds"]["ours"]
    return [f"{1e3 * plain:.1f} ms", f"{1e3 * ours:.1f} ms", ratio(row, "straightforward")]


if __name__ == "__main__":
    sys.exit(main())
