"""Device tables that were not measured: what blocks take follows from their MACs."""

from __future__ import annotations

from autonl_core.spec.device_table import Calibration, DeviceTable, TableMachine, distinct_blocks
from autonl_core.spec.macs import block_macs
from autonl_core.spec.space_families import require_space

STEM_NS, OVERHEAD_NS = 5_000, -2_000
MACHINE = TableMachine(processor="test processor", threads=1, onnxruntime="1.32.0", date="2026-11-28")


def made_up_table(space: str, resolution: int, scale: float = 1.25) -> DeviceTable:
    """A block takes 10,000 ns and one for every ten MACs, times `scale`; LightNL is dear beyond its MACs."""
    family = require_space(space)
    blocks = distinct_blocks(family.bind(resolution, 10))
    heads = (family.head_channels, *family.narrower_heads)
    return DeviceTable(
        machine=MACHINE,
        space=space,
        resolution=resolution,
        reference_ns=150_000,
        stem_ns=STEM_NS,
        ends_ns={str(head): {"10": 4_000 + head, "100": 13_000 + head, "1000": 100_000 + head} for head in heads},
        blocks_ns={
            key: 10_000 + block_macs(block, size).total // 10 + 20_000 * (block.light_nl is not None)
            for key, (block, size) in blocks.items()
        },
        calibration=Calibration(overhead_ns=OVERHEAD_NS, scale=scale, networks=()),
    )
