"""Single-Path NAS."""

from __future__ import annotations

from autonl_core.spec.published_net import PublishedNet

MEMBER = PublishedNet(
    name="single_path_nas",
    title="Single-Path NAS",
    arch_string="in224 | cn_k3_s2_c32_nre | ds_r1_k3_s1_c16_noskip | ir_r3_k3_s2_e3_c24"
    " | ir_r1_k5_s2_e6_c40 ir_r3_k3_s1_e3_c40 | ir_r1_k5_s2_e6_c80 ir_r3_k3_s1_e3_c80"
    " | ir_r1_k5_s1_e6_c96 ir_r3_k5_s1_e3_c96 | ir_r4_k5_s2_e6_c192 | ir_r1_k3_s1_e6_c320_noskip"
    " | cn_k1_s1_c1280 | fc1000",
    macs=334_000_000,
    params=4_400_000,
    top1_pct=75.0,
    source="Stamoulis et al., Single-Path NAS: Designing Hardware-Efficient ConvNets, ECML 2019, arXiv:1904.02877",
    order=5,
)
