"""The tabular tier: ways to search where the best network is known, each over seeds, with its 95% interval."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from benchmarks.search_quality.tabular import (
    Share,
    Way,
    best_of_random,
    fitted,
    likeliest,
    share_of_gain,
    summed_slopes,
    with_prior,
)
from benchmarks.trained_table import DATA, trained_table

SEEDS = 6


def least(share: Share) -> float:
    """The lower end of the interval."""
    return share.mean - share.half_width


@pytest.fixture(scope="module")
def shares() -> dict[Way, Share]:
    return {way: share_of_gain(way, SEEDS) for way in (best_of_random, fitted, with_prior, summed_slopes, likeliest)}


@pytest.mark.long
def test_twenty_four_scores_find_more_than_half_of_the_gain(shares: dict[Way, Share]) -> None:
    assert least(shares[fitted]) >= 0.55


def test_a_prior_of_other_budgets_finds_four_fifths_of_it(shares: dict[Way, Share]) -> None:
    assert least(shares[with_prior]) >= 0.8


@pytest.mark.parametrize("way", [fitted, with_prior])
def test_it_is_ahead_of_the_best_of_six_random_networks(shares: dict[Way, Share], way: Way) -> None:
    assert least(shares[way].ahead_of(shares[best_of_random])) > 0


def test_utility_is_ahead_of_likelihood(shares: dict[Way, Share]) -> None:
    assert least(shares[summed_slopes].ahead_of(shares[likeliest])) > 0


def test_the_interval_is_students() -> None:
    """Three seeds: a standard error of .1, and a factor of 4.303."""
    share = Share(np.array([0.4, 0.6, 0.8]) / 2)
    assert share.mean == pytest.approx(0.3)
    assert share.half_width == pytest.approx(4.303 * 0.1 / 3**0.5, rel=1e-3)


def test_the_table_is_what_was_published() -> None:
    table, network = trained_table(), (0, 2, 0, 1, 2, 1, 0, 0)
    assert table.top1_pct(network) == pytest.approx(89.1967, abs=1e-3)
    assert table.costs.macs(network) == 47_327_744


def test_the_macs_of_all_networks_are_sums_over_their_options() -> None:
    table = trained_table()
    with np.load(DATA) as saved:
        published = saved["macs"]
    networks = itertools.product(range(3), repeat=8)  # in the order of the rows: their digits in base 3
    assert [table.costs.macs(network) for network in networks] == published.tolist()


def test_shares_go_from_the_mean_network_to_the_best() -> None:
    table = trained_table()
    shares = [table.share_of_gain(choice, 60_000_000) for choice in table.within(60_000_000)]
    assert max(shares) == 1
    assert np.mean(shares) == pytest.approx(0, abs=1e-9)
