"""Which images are right, as bits: by hand, and against counting them one by one."""

from __future__ import annotations

import base64

from hypothesis import given, settings
from hypothesis import strategies as st

from autonl_core.spec.right_images import count_right, only_one_right, packed

PAIRS = st.lists(st.tuples(st.booleans(), st.booleans()), max_size=70)


def test_bits_by_hand() -> None:
    right = [True, False, False, False, False, False, False, True, True]
    assert base64.b64decode(packed(right)) == bytes([0b1000_0001, 0b1000_0000])
    assert (packed([]), count_right(packed([])), count_right(packed(right))) == ("", 0, 3)
    assert only_one_right(packed(right), packed([True, True] + [False] * 7)) == (2, 1)


@settings(max_examples=40)
@given(PAIRS)
def test_what_only_one_network_gets_right_is_counted(pairs: list[tuple[bool, bool]]) -> None:
    one, other = (packed([pair[place] for pair in pairs]) for place in (0, 1))
    assert only_one_right(one, other) == (pairs.count((True, False)), pairs.count((False, True)))
    assert count_right(one) == sum(pair[0] for pair in pairs)


def test_of_fifty_thousand_images_a_few_kilobytes_are_stored() -> None:
    assert len(packed([True] * 50_000)) < 8_400
