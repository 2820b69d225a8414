"""The list of safeguards matches the code; `mutants.py` verifies that the tests detect each missing one."""

from __future__ import annotations

import pytest

from tests.reliability.mutants import ROOT
from tests.reliability.safeguards import SAFEGUARDS, Safeguard


@pytest.mark.parametrize("safeguard", SAFEGUARDS, ids=lambda safeguard: safeguard.name)
def test_every_safeguard_can_be_removed(safeguard: Safeguard) -> None:
    safeguard.check(ROOT)


def test_their_names_are_unique() -> None:
    assert len({safeguard.name for safeguard in SAFEGUARDS}) == len(SAFEGUARDS)
