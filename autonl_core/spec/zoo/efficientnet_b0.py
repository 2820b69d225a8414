"""EfficientNet-B0."""

from __future__ import annotations

from autonl_core.spec.published_net import PublishedNet

MEMBER = PublishedNet(
    name="efficientnet_b0",
    title="EfficientNet-B0",
    arch_string="in224 | cn_k3_s2_c32 | ds_r1_k3_s1_c16_se0.25 | ir_r2_k3_s2_e6_c24_se0.25"
    " | ir_r2_k5_s2_e6_c40_se0.25 | ir_r3_k3_s2_e6_c80_se0.25 | ir_r3_k5_s1_e6_c112_se0.25"
    " | ir_r4_k5_s2_e6_c192_se0.25 | ir_r1_k3_s1_e6_c320_se0.25 | cn_k1_s1_c1280 | fc1000",
    macs=390_000_000,
    params=5_300_000,
    top1_pct=76.3,
    source="Tan and Le, EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks, ICML 2019, "
    "arXiv:1905.11946",
    order=8,
)
