"""The tables of `benchmarks.peers`: ratios to a peer, by threads and allocator."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from autonl_core.spec.zoo import ZOO
from benchmarks.table_format import ratio, result, table

_SETTINGS = ((1, False), (1, True), (2, False), (2, True))  # threads, whether freed memory is kept
_OWN_LAYOUT_SETTING = (1, True)  # where arithmetic alone is compared: the peer in channels_last
_HEADERS = ("1 thread", "*1 thread*", "2 threads", "*2 threads*", "*channels_last, 1 thread*")


def peer_networks_table(peer: str) -> str:
    """Whole networks of one peer."""
    rows = []
    for subject, by_setting in _by_subject(peer).items():
        if subject == "light_nl":
            continue
        for index, one in enumerate(by_setting[_OWN_LAYOUT_SETTING]):
            of_row = {setting: rows_of_one[index] for setting, rows_of_one in by_setting.items()}
            for ours in (name for name in one["seconds"] if name.startswith("ours")):
                what = one["what"] if ours == "ours" else "fused"
                size = f"{one['batch']} at {one['resolution']} px"
                time_s = one["seconds"][ours]
                rows.append([ZOO[subject].title, f"{what}, {size}", f"{1e3 * time_s:.1f} ms", *_ratios(of_row, ours)])
    return table(["network", "run", "*ours, 1 thread*", *_HEADERS], rows)


def peer_light_nl_table() -> str:
    """LightNL of the port."""
    rows = []
    by_setting = _by_subject("port")["light_nl"]
    for index, one in enumerate(by_setting[_OWN_LAYOUT_SETTING]):
        of_row = {setting: rows_of_one[index] for setting, rows_of_one in by_setting.items()}
        shape = f"{one['channels']}, {one['size']}x{one['size']}, {one['nl_ratio']:g}, {one['nl_stride']}"
        rows.append([shape, f"{1e3 * one['seconds']['ours']:.1f} ms", *_ratios(of_row, "ours")])
    return table(["shape", "*ours, 1 thread*", *_HEADERS], rows)


def _ratios(by_setting: dict[tuple[int, bool], dict[str, Any]], ours: str) -> Iterator[str]:
    yield from (ratio(by_setting[setting], "peer", ours) for setting in _SETTINGS)
    yield ratio(by_setting[_OWN_LAYOUT_SETTING], "peer, channels_last", ours)


def _by_subject(peer: str) -> dict[str, dict[tuple[int, bool], list[dict[str, Any]]]]:
    """Subject -> (threads, whether freed memory is kept) -> measured rows."""
    found: dict[str, dict[tuple[int, bool], list[dict[str, Any]]]] = {}
    for run in result(f"peers_{peer}")["runs"]:
        found.setdefault(run["subject"], {})[run["threads"], run["keep_memory"]] = run["rows"]
    return found
