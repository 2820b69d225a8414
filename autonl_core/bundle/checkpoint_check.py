"""Scored = shipped: what the written checkpoint holds and costs, before a process without our code scores it."""

from __future__ import annotations

from pathlib import Path

from autonl_core.errors import VerificationError
from autonl_core.nn.checkpoint import load_checkpoint, weights_sha256
from autonl_core.nn.network import Network
from autonl_core.nn.profile import count_live_macs, count_live_params, count_torch_macs
from autonl_core.spec.macs import count_macs, count_params


def verify_checkpoint(checkpoint: Path, network: Network, flops_budget: int) -> None:
    """Raises VerificationError unless the written file costs and weighs what is about to be reported."""
    loaded = load_checkpoint(checkpoint)
    if weights_sha256(loaded.network.state_dict()) != weights_sha256(network.state_dict()):
        raise VerificationError(f"{checkpoint.name}: the weights read back differ from those written")
    analytic, live = count_macs(loaded.arch), count_live_macs(loaded.network, loaded.arch.resolution)
    if analytic != live:
        raise VerificationError(f"{checkpoint.name}: MACs are {analytic} by formula, {live} counted on the network")
    products = count_torch_macs(loaded.network, loaded.arch.resolution)
    if products != live.total - live.se_pool - live.head_pool:
        raise VerificationError(f"{checkpoint.name}: PyTorch counts {products:,} MACs without poolings, we {live}")
    if live.total > flops_budget:
        raise VerificationError(f"{checkpoint.name}: {live.total:,} MACs exceed the budget {flops_budget:,}")
    if count_params(loaded.arch) != count_live_params(loaded.network):
        raise VerificationError(f"{checkpoint.name}: the parameters counted differ from those by formula")
