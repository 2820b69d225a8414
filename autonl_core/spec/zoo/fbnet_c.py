"""FBNet-C."""

from __future__ import annotations

from autonl_core.spec.published_net import PublishedNet

MEMBER = PublishedNet(
    name="fbnet_c",
    title="FBNet-C",
    arch_string="in224 | cn_k3_s2_c16_nre | ds_r1_k3_s1_c16 | ir_r1_k3_s2_e6_c24 ds_r2_k3_s1_c24"
    " | ir_r1_k5_s2_e6_c32 ir_r1_k5_s1_e3_c32 ir_r1_k5_s1_e6_c32 ir_r1_k3_s1_e6_c32"
    " | ir_r1_k5_s2_e6_c64 ir_r1_k5_s1_e3_c64 ir_r2_k5_s1_e6_c64"
    " | ir_r3_k5_s1_e6_c112 ir_r1_k5_s1_e3_c112 | ir_r4_k5_s2_e6_c184 | ir_r1_k3_s1_e6_c352"
    " | cn_k1_s1_c1984 | fc1000",
    macs=375_000_000,
    params=5_500_000,
    top1_pct=74.9,
    source="Wu et al., FBNet: Hardware-Aware Efficient ConvNet Design via Differentiable NAS, CVPR 2019, "
    "arXiv:1812.03443",
    order=4,
)
