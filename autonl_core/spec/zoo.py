"""Published mobile networks as data: AutoNL-S and -L, and what they, and every search, are compared with.

The figures are those of the papers, as the papers count. Ours of the same networks stand beside them in docs/macs.md;
the two differ by less than 1% in MACs and 2% in parameters, and that page says why wherever they do.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

from autonl_core.errors import ArchError
from autonl_core.spec.arch import ArchSpec
from autonl_core.spec.arch_string import decode


@dataclass(frozen=True)
class PublishedNet:
    """A network of the literature at 224 pixels and 1,000 classes, with its published figures."""

    name: str
    title: str
    arch_string: str
    macs: int  # published, by the counting rule of its authors
    params: int  # published
    top1_pct: float  # ImageNet, published
    source: str

    @cached_property
    def arch(self) -> ArchSpec:
        return decode(self.arch_string)


_AUTONL = "Li et al., Neural Architecture Search for Lightweight Non-Local Networks, CVPR 2020, arXiv:2004.01961"

ZOO: dict[str, PublishedNet] = {
    net.name: net
    for net in (
        PublishedNet(
            name="autonl_s",
            title="AutoNL-S",
            arch_string="in224 | cn_k3_s2_c32 | ds_r1_k3_s1_c16"
            " | ir_r1_k3_s2_e3_c24_nl0.25-1 ir_r1_k3_s1_e3_c24"
            " | ir_r1_k5_s2_e3_c40_nl0.25-1 ir_r1_k3_s1_e3_c40_nl0.25-2 ir_r1_k3_s1_e3_c40"
            " | ir_r1_k5_s2_e6_c80_se0.25_nl0.25-1 ir_r2_k3_s1_e3_c80_se0.5"
            " | ir_r1_k5_s1_e6_c96_se0.25_nl0.25-1 ir_r3_k3_s1_e3_c96_se0.5"
            " | ir_r1_k5_s2_e6_c192_se0.25_nl0.25-1 ir_r3_k5_s1_e3_c192_se0.5"
            " | ir_r1_k5_s1_e6_c320_se0.5_nl0.25-1 | cn_k1_s1_c1280 | fc1000",
            macs=267_000_000,
            params=4_400_000,
            top1_pct=76.5,
            source=_AUTONL,
        ),
        PublishedNet(
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
            source=_AUTONL,
        ),
        PublishedNet(
            name="mobilenet_v2",
            title="MobileNetV2",
            arch_string="in224 | cn_k3_s2_c32_nr6 | ds_r1_k3_s1_c16 | ir_r2_k3_s2_e6_c24 | ir_r3_k3_s2_e6_c32"
            " | ir_r4_k3_s2_e6_c64 | ir_r3_k3_s1_e6_c96 | ir_r3_k3_s2_e6_c160 | ir_r1_k3_s1_e6_c320"
            " | cn_k1_s1_c1280 | fc1000",
            macs=300_000_000,
            params=3_500_000,
            top1_pct=72.0,
            source="Sandler et al., MobileNetV2: Inverted Residuals and Linear Bottlenecks, CVPR 2018, "
            "arXiv:1801.04381",
        ),
        PublishedNet(
            name="mnasnet_a1",
            title="MnasNet-A1",
            arch_string="in224 | cn_k3_s2_c32_nre | ds_r1_k3_s1_c16_noskip | ir_r2_k3_s2_e6_c24"
            " | ir_r3_k5_s2_e3_c40_se0.25 | ir_r4_k3_s2_e6_c80 | ir_r2_k3_s1_e6_c112_se0.25"
            " | ir_r3_k5_s2_e6_c160_se0.25 | ir_r1_k3_s1_e6_c320 | cn_k1_s1_c1280 | fc1000",
            macs=312_000_000,
            params=3_900_000,
            top1_pct=75.2,
            source="Tan et al., MnasNet: Platform-Aware Neural Architecture Search for Mobile, CVPR 2019, "
            "arXiv:1807.11626",
        ),
        PublishedNet(
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
        ),
        PublishedNet(
            name="single_path_nas",
            title="Single-Path NAS",
            arch_string="in224 | cn_k3_s2_c32_nre | ds_r1_k3_s1_c16_noskip | ir_r3_k3_s2_e3_c24"
            " | ir_r1_k5_s2_e6_c40 ir_r3_k3_s1_e3_c40 | ir_r1_k5_s2_e6_c80 ir_r3_k3_s1_e3_c80"
            " | ir_r1_k5_s1_e6_c96 ir_r3_k5_s1_e3_c96 | ir_r4_k5_s2_e6_c192 | ir_r1_k3_s1_e6_c320_noskip"
            " | cn_k1_s1_c1280 | fc1000",
            macs=334_000_000,
            params=4_400_000,
            top1_pct=75.0,
            source="Stamoulis et al., Single-Path NAS: Designing Hardware-Efficient ConvNets, ECML 2019, "
            "arXiv:1904.02877",
        ),
        PublishedNet(
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
        ),
        PublishedNet(
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
        ),
        PublishedNet(
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
        ),
    )
}
BASELINES = tuple(name for name in ZOO if not name.startswith("autonl"))


def find_net(name: str) -> PublishedNet:
    """The network called `name`. Raises ArchError listing all names if there is none."""
    if name not in ZOO:
        raise ArchError(f"there is no published network {name!r}; there are: {', '.join(ZOO)}")
    return ZOO[name]


def adapt(arch: ArchSpec, *, resolution: int | None = None, num_classes: int | None = None) -> ArchSpec:
    """`arch` for another input size or class count; every width stays."""
    return replace(
        arch,
        resolution=arch.resolution if resolution is None else resolution,
        num_classes=arch.num_classes if num_classes is None else num_classes,
    )
