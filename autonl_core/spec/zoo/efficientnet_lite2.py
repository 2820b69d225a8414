"""EfficientNet-Lite2: the blocks of Lite0, more often (depth x1.2) and wider (x1.1).

Stem, head, and the number of blocks in the first and the last stage are not scaled. More in efficientnet_lite0.py.
"""

from __future__ import annotations

from autonl_core.spec.published_net import PublishedNet

MEMBER = PublishedNet(
    name="efficientnet_lite2",
    title="EfficientNet-Lite2",
    arch_string="in260 | cn_k3_s2_c32_same_nr6 | ds_r1_k3_s1_c16 | ir_r3_k3_s2_e6_c24 | ir_r3_k5_s2_e6_c48"
    " | ir_r4_k3_s2_e6_c88 | ir_r4_k5_s1_e6_c120 | ir_r5_k5_s2_e6_c208 | ir_r1_k3_s1_e6_c352"
    " | cn_k1_s1_c1280 | fc1000",
    macs=899_000_000,
    params=6_100_000,
    top1_pct=77.6,
    source="EfficientNet-Lite, released in 2020 with the TPU models of TensorFlow, after Tan and Le, EfficientNet: "
    "Rethinking Model Scaling for Convolutional Neural Networks, ICML 2019, arXiv:1905.11946",
    order=11,
)
