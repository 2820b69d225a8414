"""Published mobile networks, one file each: AutoNL-S and -L, and what they, and every search, are compared with.

The figures are those of the papers, as the papers count. Ours of the same networks stand beside them in docs/macs.md;
the two differ by less than 1% in MACs (6% for EfficientNet-Lite, whose authors count more) and 2% in parameters, and
that page says why wherever they do.
"""

from __future__ import annotations

from autonl_core.errors import ArchError
from autonl_core.registry import Registry
from autonl_core.spec.published_net import PublishedNet, adapt

__all__ = ["NETWORKS", "ZOO", "PublishedNet", "adapt", "find_net"]

NETWORKS = Registry[PublishedNet]("autonl_core.spec.zoo", "published network", separator="_")
ZOO: dict[str, PublishedNet] = {
    net.name: net for net in sorted(NETWORKS.members(), key=lambda net: (net.order, net.name))
}


def find_net(name: str) -> PublishedNet:
    """The network called `name`. Raises ArchError listing all names if there is none."""
    if name not in ZOO:
        raise ArchError(f"there is no published network {name!r}; there are: {', '.join(ZOO)}")
    return ZOO[name]
