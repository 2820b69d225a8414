"""MobileNetV3-Large."""

from __future__ import annotations

from autonl_core.spec.published_net import PublishedNet

MEMBER = PublishedNet(
    name="mobilenet_v3_large",
    title="MobileNetV3-Large",
    # Squeezes to a quarter of the expanded width, rounded to 8; relative to the input that is 1, 0.8 and 1.5.
    arch_string="in224 | cn_k3_s2_c16_nhs | ds_r1_k3_s1_c16_nre"
    " | ir_r1_k3_s2_e4_c24_nre ir_r1_k3_s1_e3_c24_nre"
    " | ir_r1_k5_s2_e3_c40_hse1.0_nre ir_r2_k5_s1_e3_c40_hse0.8_nre"
    " | ir_r1_k3_s2_e6_c80 ir_r1_k3_s1_e2.5_c80 ir_r2_k3_s1_e2.3_c80"
    " | ir_r2_k3_s1_e6_c112_hse1.5 | ir_r3_k5_s2_e6_c160_hse1.5 | cn_k1_s1_c960 fc1280 | fc1000",
    macs=219_000_000,
    params=5_400_000,
    top1_pct=75.2,
    source="Howard et al., Searching for MobileNetV3, ICCV 2019, arXiv:1905.02244",
    order=7,
)
