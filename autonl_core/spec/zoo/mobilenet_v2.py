"""MobileNetV2."""

from __future__ import annotations

from autonl_core.spec.published_net import PublishedNet

MEMBER = PublishedNet(
    name="mobilenet_v2",
    title="MobileNetV2",
    arch_string="in224 | cn_k3_s2_c32_nr6 | ds_r1_k3_s1_c16 | ir_r2_k3_s2_e6_c24 | ir_r3_k3_s2_e6_c32"
    " | ir_r4_k3_s2_e6_c64 | ir_r3_k3_s1_e6_c96 | ir_r3_k3_s2_e6_c160 | ir_r1_k3_s1_e6_c320"
    " | cn_k1_s1_c1280 | fc1000",
    macs=300_000_000,
    params=3_500_000,
    top1_pct=72.0,
    source="Sandler et al., MobileNetV2: Inverted Residuals and Linear Bottlenecks, CVPR 2018, arXiv:1801.04381",
    order=2,
)
