"""EfficientNet-Lite1: the blocks of Lite0, more often (depth x1.1).

Stem, head, and the number of blocks in the first and the last stage are not scaled. More in efficientnet_lite0.py.
"""

from __future__ import annotations

from autonl_core.spec.published_net import PublishedNet

MEMBER = PublishedNet(
    name="efficientnet_lite1",
    title="EfficientNet-Lite1",
    arch_string="in240 | cn_k3_s2_c32_same_nr6 | ds_r1_k3_s1_c16 | ir_r3_k3_s2_e6_c24 | ir_r3_k5_s2_e6_c40"
    " | ir_r4_k3_s2_e6_c80 | ir_r4_k5_s1_e6_c112 | ir_r5_k5_s2_e6_c192 | ir_r1_k3_s1_e6_c320"
    " | cn_k1_s1_c1280 | fc1000",
    macs=631_000_000,
    params=5_400_000,
    top1_pct=76.7,
    source="EfficientNet-Lite, released in 2020 with the TPU models of TensorFlow, after Tan and Le, EfficientNet: "
    "Rethinking Model Scaling for Convolutional Neural Networks, ICML 2019, arXiv:1905.11946",
    order=10,
)
