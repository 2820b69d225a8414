"""The checkpoint as it was written to disk: its weights, MACs and parameters, checked before it is scored."""

from __future__ import annotations

from pathlib import Path

from autonl_core.errors import VerificationError
from autonl_core.nn.checkpoint import load_checkpoint, weights_sha256
from autonl_core.nn.network import Network
from autonl_core.nn.profile import count_live_macs, count_live_params, count_torch_macs
from autonl_core.spec.macs import count_macs, count_params


def verify_checkpoint(checkpoint: Path, network: Network, budget_macs: int) -> None:
    """Raises VerificationError unless the file has the weights, MACs and parameters of `network`, within the budget."""
    loaded = load_checkpoint(checkpoint)
    if weights_sha256(loaded.network.state_dict()) != weights_sha256(network.state_dict()):
        raise VerificationError(f"{checkpoint.name}: the weights read back differ from those written")
    analytic, live = count_macs(loaded.arch), count_live_macs(loaded.network, loaded.arch.resolution)
    if analytic != live:
        raise VerificationError(
            f"{checkpoint.name}: MACs are {analytic} by formula, but {live} when counted on the network"
        )
    products = count_torch_macs(loaded.network, loaded.arch.resolution)
    if products != live.total - live.se_pool - live.head_pool:
        raise VerificationError(f"{checkpoint.name}: PyTorch counts {products:,} MACs without pooling, AutoNL {live}")
    if live.total > budget_macs:
        raise VerificationError(f"{checkpoint.name}: {live.total:,} MACs exceed the budget {budget_macs:,}")
    if count_params(loaded.arch) != count_live_params(loaded.network):
        raise VerificationError(f"{checkpoint.name}: the parameters counted on the network differ from the formula")
