"""ProxylessNAS mobile."""

from __future__ import annotations

from autonl_core.spec.published_net import PublishedNet

MEMBER = PublishedNet(
    name="proxyless_mobile",
    title="ProxylessNAS mobile",
    arch_string="in224 | cn_k3_s2_c32_nr6 | ds_r1_k3_s1_c16 | ir_r1_k5_s2_e3_c32 ir_r1_k3_s1_e3_c32"
    " | ir_r1_k7_s2_e3_c40 ir_r1_k3_s1_e3_c40 ir_r2_k5_s1_e3_c40 | ir_r1_k7_s2_e6_c80 ir_r3_k5_s1_e3_c80"
    " | ir_r1_k5_s1_e6_c96 ir_r3_k5_s1_e3_c96 | ir_r2_k7_s2_e6_c192 ir_r2_k7_s1_e3_c192"
    " | ir_r1_k7_s1_e6_c320 | cn_k1_s1_c1280 | fc1000",
    macs=320_000_000,
    params=4_100_000,
    top1_pct=74.6,
    source="Cai et al., ProxylessNAS: Direct Neural Architecture Search on Target Task and Hardware, "
    "ICLR 2019, arXiv:1812.00332",
    order=6,
)
