"""MnasNet-A1."""

from __future__ import annotations

from autonl_core.spec.published_net import PublishedNet

MEMBER = PublishedNet(
    name="mnasnet_a1",
    title="MnasNet-A1",
    arch_string="in224 | cn_k3_s2_c32_nre | ds_r1_k3_s1_c16_noskip | ir_r2_k3_s2_e6_c24"
    " | ir_r3_k5_s2_e3_c40_se0.25 | ir_r4_k3_s2_e6_c80 | ir_r2_k3_s1_e6_c112_se0.25"
    " | ir_r3_k5_s2_e6_c160_se0.25 | ir_r1_k3_s1_e6_c320 | cn_k1_s1_c1280 | fc1000",
    macs=312_000_000,
    params=3_900_000,
    top1_pct=75.2,
    source="Tan et al., MnasNet: Platform-Aware Neural Architecture Search for Mobile, CVPR 2019, arXiv:1807.11626",
    order=3,
)
