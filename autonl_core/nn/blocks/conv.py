"""Convolution with batch normalisation and activation, and squeeze-excite."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from autonl_core.nn.blocks.activation import SE_GATES, activate
from autonl_core.nn.blocks.batch_norm import normalise_in_training
from autonl_core.nn.blocks.depthwise import depthwise_conv
from autonl_core.nn.blocks.inference import FastPath, kernel_of, squeeze_excite_of
from autonl_core.nn.blocks.padding import SameConv2d, pad, padding_of
from autonl_core.spec.arch import Activation, Padding, SeGate

BN_EPS = 1e-3  # of the published networks
BN_MOMENTUM = 0.1  # running statistics are recalibrated before every evaluation, so they may be quick
_FEW_POSITIONS = 4096  # of a batch: above, oneDNN's convolution is as fast as a matrix product, or faster
_FOLDING_PAYS = 4  # a map this many times larger than the weights costs more to normalise than they cost to scale


def convolve(x: Tensor, conv: nn.Conv2d, weight: Tensor, bias: Tensor | None) -> Tensor:
    """`conv` of x with the given weight and bias."""
    if conv.kernel_size == (1, 1) and conv.stride == (1, 1) and conv.groups == 1:
        return pointwise(x, weight, bias)
    padded, margin = pad(x, conv.kernel_size[0], conv.stride[0], padding_of(conv))
    return F.conv2d(padded, weight, bias, conv.stride, margin, conv.dilation, conv.groups)


def pointwise(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """A 1x1 convolution, (B, C_in, H, W), (C_out, C_in, 1, 1) -> (B, C_out, H, W).

    That of a single image, or of few positions, is computed as the matrix product that it is, which needs no set-up.
    """
    if x.shape[0] > 1 and x.shape[0] * x.shape[2] * x.shape[3] > _FEW_POSITIONS:
        return F.conv2d(x, weight, bias)
    rows = x.permute(0, 2, 3, 1)  # (B, H, W, C_in): a view when `x` is channels_last
    return F.linear(rows, weight.flatten(1), bias).permute(0, 3, 1, 2)


def folded_weights(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Weight and bias of the one convolution that does what `conv` and then `norm`, in evaluation mode, do."""
    mean, variance = norm.running_mean, norm.running_var
    assert mean is not None
    assert variance is not None
    scale = (variance + norm.eps).rsqrt_().mul_(norm.weight)  # in place: on small maps every operation counts
    return conv.weight * scale.view(-1, 1, 1, 1), torch.addcmul(norm.bias, mean, scale, value=-1)


def normalise(x: Tensor, norm: nn.BatchNorm2d) -> Tensor:
    """`norm(x)` in evaluation mode, without the checks of the module, which take longer than a small map."""
    mean, variance, use_cudnn = norm.running_mean, norm.running_var, torch.backends.cudnn.enabled
    return torch.batch_norm(x, norm.weight, norm.bias, mean, variance, False, 0.0, norm.eps, use_cudnn)


class ConvNorm(nn.Module):
    """A square convolution without bias, batch normalisation, and `activation` if one is given.

    An output has ceil(size / stride) rows and columns, whatever the `padding`.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        *,
        stride: int = 1,
        groups: int = 1,
        activation: Activation | None,
        padding: Padding = "symmetric",
    ) -> None:
        super().__init__()
        kind = SameConv2d if padding == "same" and stride > 1 else nn.Conv2d  # with a stride of 1 the two are equal
        margin = kernel_size // 2
        self.conv = kind(in_channels, out_channels, kernel_size, stride, margin, groups=groups, bias=False)
        self.norm = nn.BatchNorm2d(out_channels, eps=BN_EPS, momentum=BN_MOMENTUM)
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        conv = self.conv
        if self.norm.training:
            return self._forward_in_training(x)
        if torch.is_grad_enabled() or x.numel() < _FOLDING_PAYS * conv.weight.numel():
            return activate(normalise(convolve(x, conv, conv.weight, None), self.norm), self.activation)
        return activate(convolve(x, conv, *folded_weights(conv, self.norm)), self.activation)

    def _forward_in_training(self, x: Tensor) -> Tensor:
        conv = self.conv
        if conv.groups > 1:
            z = depthwise_conv(x, conv.weight, conv.stride[0], padding_of(conv))
        else:
            z = convolve(x, conv, conv.weight, None)
        return normalise_in_training(z, self.norm, self.activation)

    def fold(self) -> FoldedConv:
        """The same at inference, with the batch norm's running statistics folded in once and for all."""
        return FoldedConv(self.conv, self.norm, self.activation)


class FoldedConv(nn.Module):
    """A convolution with bias, then `activation`: a trained ConvNorm, for inference."""

    def __init__(self, conv: nn.Conv2d, norm: nn.BatchNorm2d, activation: Activation | None) -> None:
        super().__init__()
        self.conv = fuse_conv_bn_eval(conv, norm)
        self.activation = activation
        self._fast = FastPath()

    def forward(self, x: Tensor) -> Tensor:
        conv = self.conv
        assert conv.bias is not None
        found = self._fast.run(x, (conv.weight, conv.bias), lambda: kernel_of(conv, self.activation))
        return found if found is not None else activate(convolve(x, conv, conv.weight, conv.bias), self.activation)


class SqueezeExcite(nn.Module):
    """Scale channels by a gate computed from their means (Hu et al., 2018).

    Between the two layers stands Swish in networks of Swish, ReLU in all others, as their authors have it. Works in
    place where no gradient will ask for the map again.
    """

    def __init__(
        self, channels: int, squeezed_channels: int, activation: Activation = "swish", gate: SeGate = "sigmoid"
    ) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(channels, squeezed_channels, 1)
        self.expand = nn.Conv2d(squeezed_channels, channels, 1)
        self.activation: Activation = "swish" if activation == "swish" else "relu"
        self.gate = gate
        self._fast: FastPath | None = None

    def fold(self) -> SqueezeExcite:
        """Itself, which from now on may run as a kernel: its weights are at rest."""
        self._fast = FastPath()
        return self

    def forward(self, x: Tensor) -> Tensor:
        found = self._run_kernel(x, self._fast) if self._fast else None
        if found is not None:
            return found
        s = x.mean((2, 3))  # (B, C)
        s = activate(_pointwise(s, self.reduce), self.activation)  # (B, squeezed)
        gate = SE_GATES[self.gate](_pointwise(s, self.expand))  # (B, C)
        gate = gate.view(*gate.shape, 1, 1)  # (B, C, 1, 1)
        return x * gate if torch.is_grad_enabled() else x.mul_(gate)

    def _run_kernel(self, x: Tensor, fast: FastPath) -> Tensor | None:
        reduce, expand = self.reduce, self.expand
        assert reduce.bias is not None
        assert expand.bias is not None
        weights = reduce.weight, reduce.bias, expand.weight, expand.bias
        return fast.run(x, weights, lambda: squeeze_excite_of(reduce, expand, self.activation, self.gate))


def _pointwise(s: Tensor, layer: nn.Conv2d) -> Tensor:
    """A 1x1 convolution of single positions, (B, C_in) -> (B, C_out): as a matrix product it needs no set-up."""
    return F.linear(s, layer.weight.flatten(1), layer.bias)
