"""A process that trains and counts does not load torch's compiler."""

from __future__ import annotations

import subprocess
import sys

import pytest

OPTIMISERS = """
import torch
from autonl_core.training.optim import Adam, make_optimizer

layer = torch.nn.Linear(3, 3)
sgd, adamw = (make_optimizer(layer, name, lr=0.1, momentum=0.9, weight_decay=1e-2) for name in ("sgd", "adamw"))
for optimizer in (sgd, adamw, Adam(list(layer.parameters()), lr=0.1)):
    optimizer.zero_grad()
    layer(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    optimizer.load_state_dict(optimizer.state_dict())
"""
COUNTER = """
from autonl_core.nn.network import build_network
from autonl_core.nn.profile import count_torch_macs
from autonl_core.spec.space_families import get_space

assert count_torch_macs(build_network(get_space("tiny", 8, 10).largest()), 8) > 0
"""


@pytest.mark.long
@pytest.mark.parametrize("program", [OPTIMISERS, COUNTER], ids=["optimisers", "counter"])
def test_the_compiler_stays_out(program: str) -> None:
    check = "import sys\nassert 'torch' in sys.modules\nassert 'torch._dynamo' not in sys.modules"
    subprocess.run([sys.executable, "-c", program + check], check=True)
