"""AutoNL-L."""

from __future__ import annotations

from autonl_core.spec.published_net import PublishedNet

MEMBER = PublishedNet(
    name="autonl_l",
    title="AutoNL-L",
    arch_string="in224 | cn_k3_s2_c32 | ds_r1_k3_s1_c16"
    " | ir_r1_k5_s2_e3_c24_nl0.25-1 ir_r1_k5_s1_e3_c24 ir_r1_k3_s1_e3_c24_nl0.25-2"
    " | ir_r1_k5_s2_e6_c40_nl0.25-1 ir_r3_k3_s1_e3_c40_nl0.25-2"
    " | ir_r1_k5_s2_e6_c80_nl0.25-1 ir_r2_k3_s1_e3_c80_se0.5 ir_r1_k3_s1_e3_c80_se0.5_nl0.125-2"
    " | ir_r1_k5_s1_e6_c96_se0.5_nl0.25-1 ir_r2_k5_s1_e3_c96_se0.5 ir_r1_k3_s1_e3_c96_se0.5_nl0.25-2"
    " | ir_r1_k5_s2_e6_c192_se0.5_nl0.25-1 ir_r2_k5_s1_e6_c192_se0.5_nl0.125-1 ir_r1_k5_s1_e6_c192_se0.5"
    " | ir_r1_k5_s1_e6_c320_se0.5_nl0.25-1 | cn_k1_s1_c1280 | fc1000",
    macs=353_000_000,
    params=5_600_000,
    top1_pct=77.7,
    source="Li et al., Neural Architecture Search for Lightweight Non-Local Networks, CVPR 2020, arXiv:2004.01961",
    order=1,
)
