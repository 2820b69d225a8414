"""MBConv, the inverted residual block (MobileNetV2), with optional squeeze-excite and LightNL."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from autonl_core.nn.blocks.conv import ConvNorm, SqueezeExcite
from autonl_core.nn.blocks.light_nl import LightNL
from autonl_core.spec.arch import BlockSpec, Padding


class MBConv(nn.Module):
    """Expand, depthwise, squeeze-excite, project, LightNL, residual. Missing parts are None.

    `skip_chance`: of an image, in training, to take the shortcut alone, if there is one (stochastic depth). What is not
    skipped is scaled up, so that the mean stays.
    """

    def __init__(self, spec: BlockSpec, padding: Padding = "symmetric") -> None:
        super().__init__()
        expanded, act = spec.expanded_channels, spec.activation
        self.residual = spec.residual
        self.skip_chance = 0.0
        self.expand = ConvNorm(spec.in_channels, expanded, 1, activation=act) if spec.expand_ratio > 1 else None
        self.depthwise = ConvNorm(
            expanded,
            expanded,
            spec.kernel_size,
            stride=spec.stride,
            groups=expanded,
            activation=act,
            padding=padding,
        )
        self.squeeze_excite = SqueezeExcite(expanded, spec.se_channels, act, spec.se_gate) if spec.se_channels else None
        self.project = ConvNorm(expanded, spec.out_channels, 1, activation=None)
        self.light_nl = LightNL(spec.out_channels, spec.light_nl) if spec.light_nl else None

    def forward(self, x: Tensor) -> Tensor:
        h = x if self.expand is None else self.expand(x)  # (B, E, H, W)
        h = self.depthwise(h)  # (B, E, H', W')
        h = h if self.squeeze_excite is None else self.squeeze_excite(h)
        z = self.project(h)  # (B, C, H', W')
        z = z if self.light_nl is None else self.light_nl(z)
        if not self.residual:
            return z
        if self.training and self.skip_chance:
            z = z * _kept(z, self.skip_chance)
        return x + z if torch.is_grad_enabled() else z.add_(x)


def _kept(z: Tensor, skip_chance: float) -> Tensor:
    """(B, 1, 1, 1): 0 for an image that is skipped, else what keeps the mean. Draws from torch's own generator."""
    stays = 1 - skip_chance
    return torch.empty((len(z), 1, 1, 1), dtype=z.dtype).bernoulli_(stays).div_(stays).to(z.device)
