"""What a report says of its own search: how far ahead the chosen network was, of what, and how sure that is."""

from __future__ import annotations

import itertools
import math
import re
from dataclasses import replace

import pytest

from autonl_core.report.facts import Facts
from autonl_core.report.searched import about_candidates, in_points, measured
from autonl_core.spec.comparison import Comparison, Gap
from autonl_core.spec.measured_network import MeasuredNetwork
from tests.autonl_core.report.example_facts import facts


def facts_with(comparison: Comparison) -> Facts:
    """The example with another comparison."""
    example = facts()
    return replace(example, architecture=replace(example.architecture, comparison=comparison))


def test_a_difference_has_an_interval_of_two_standard_errors_and_says_if_it_may_be_chance() -> None:
    assert in_points(Gap(11.0, 2.0), 30) == "11.0 points (95% interval 7.1 to 14.9)"
    assert in_points(Gap(1.0, 2.0), 30) == "1.0 points (95% interval -2.9 to 4.9, which may be chance)"


POINTS = re.compile(
    r"^(-?[0-9.]+) points \((?:95% interval (-?[0-9.]+) to (-?[0-9.]+)(, which may be chance)?|.*few.*|no .*)\)$"
)


@pytest.mark.parametrize("images", [2, 5, 13, 16, 100, 5_000])
def test_an_interval_contains_zero_exactly_if_the_difference_may_be_chance(images: int) -> None:
    """All gaps of two networks on so many images, `ahead` of which only the first gets right, `behind` the second."""
    seen = set()
    for ahead, behind in itertools.product(range(min(images, 12) + 1), repeat=2):
        if ahead + behind <= images:
            points = 100 * (ahead - behind) / images
            variance = ((ahead + behind) / images - (points / 100) ** 2) * images / (images - 1)
            shown = in_points(Gap(points, 100 * math.sqrt(max(0.0, variance) / images)), images)
            found = POINTS.match(shown)
            assert found, shown
            if found[2] is not None:
                assert (float(found[2]) < 0 < float(found[3])) == (found[4] is not None), shown
                assert float(found[2]) <= float(found[1]) <= float(found[3]), shown
            seen.add(found[2] is not None)
    assert seen == ({True, False} if images > 2 else {False, True}), images


def test_too_few_images_have_no_interval() -> None:
    assert in_points(Gap(25.0, 6.0), 16) == "25.0 points (too few images to show whether by chance)"
    assert in_points(Gap(0.0, 0.0), 13) == "0.0 points (no image distinguishes them)"
    assert in_points(Gap(100.0, 0.0), 1) == "100.0 points (1 image: too few to show more)"


def test_why_a_network_with_a_higher_score_was_not_chosen() -> None:
    chosen = facts().architecture.arch_string
    networks = (
        MeasuredNetwork(chosen, 99_000, 2_000, 20_480, "by_scores", 92.3, final_val_top1_pct=92.3),
        MeasuredNetwork("better", 98_500, 1_900, 20_480, "random", 100.0),
        MeasuredNetwork("better, with more MACs", 99_500, 1_900, 20_480, "random", 100.0),
    )
    comparison = replace(facts().architecture.comparison, networks=networks)
    assert about_candidates(facts_with(comparison))[-1] == (
        "With shared weights, the one network with no more MACs than the chosen one scored 100.0%, the chosen one "
        "92.3%. Single scores on 30 validation images are noisy, so all scores together chose the finalists, and the "
        "loss after their training decided."
    )
    without_better = replace(comparison, networks=(networks[0], networks[2]))
    assert "noisy" not in " ".join(about_candidates(facts_with(without_better)))


def test_the_best_network_is_compared_with_those_that_owe_nothing_to_the_search() -> None:
    assert about_candidates(facts())[2] == (
        "At equal MACs, on 30 validation images with shared weights, the best network by all scores was ahead of "
        "random networks by 11.0 points (95% interval 7.1 to 14.9) and the network with every block alike by 1.0 "
        "points (95% interval -2.9 to 4.9, which may be chance)."
    )


def test_light_nl_is_worth_what_its_macs_would_not_have_been_elsewhere() -> None:
    assert about_candidates(facts())[3].startswith("LightNL was worth -1.0 points (95% interval -1.4 to -0.6) there")


def test_the_winner_of_the_final_is_compared_with_the_last_it_beat_and_with_its_twin() -> None:
    assert about_candidates(facts())[4] == (
        "After a short training of their own, on the same 30 validation images, the best finalist was ahead of the "
        "network with the most parameters (60.0%) by 2.0 points (95% interval -1.9 to 5.9, which may be chance) and "
        "the best network without LightNL (58.0%) by 2.0 points (95% interval 1.0 to 3.0)."
    )


def test_an_earlier_version_measured_none_of_this_and_nothing_is_said() -> None:
    earlier = replace(facts().architecture.comparison, ahead_of={}, rounds=())
    assert len(about_candidates(facts_with(earlier))) == 2


def test_a_final_is_mentioned_only_where_there_was_one() -> None:
    without = replace(facts().architecture.comparison, rounds=())
    assert "trained briefly" in about_candidates(facts())[0]
    assert "trained briefly" not in " ".join(about_candidates(facts_with(without)))


def test_a_comparison_survives_its_json_and_that_of_an_earlier_version() -> None:
    comparison = facts().architecture.comparison
    assert Comparison.from_json(comparison.to_json()) == comparison
    earlier = {key: value for key, value in comparison.to_json().items() if key != "ahead_of"}
    assert Comparison.from_json(earlier) == replace(comparison, ahead_of={})


def test_whether_options_matter_is_said_with_how_often_chance_does_as_well() -> None:
    example = facts().architecture.comparison
    (_, _, matters, *_) = about_candidates(facts_with(replace(example, chance=0.01)))
    assert matters == (
        "Which options a network has explains the accuracy of the 12 networks that were scored: with labels at random, "
        "it would be as much in 1% of cases."
    )
    (_, _, luck, *_) = about_candidates(facts_with(replace(example, chance=0.4)))
    assert "explains no more" in luck
    assert "as much in 40% of cases" in luck
    assert "the choice may be luck" in luck
    assert "final was held" not in luck


@pytest.mark.parametrize(("freed", "passes"), [(1, "1 pass"), (3, "3 passes")])
def test_a_final_that_was_not_held_is_said_with_what_its_time_went_to(freed: int, passes: str) -> None:
    example = replace(facts().architecture.comparison, chance=0.4, freed_epochs=freed)
    (_, _, luck, *_) = about_candidates(facts_with(example))
    assert luck.endswith(f"So no final was held, and the chosen network trained {passes} more.")


def test_measured_networks_are_listed_if_they_were_chosen_in_the_final_or_on_the_front() -> None:
    chosen = facts().architecture.arch_string
    networks = (
        MeasuredNetwork(chosen, 99_000, 2_000, 20_480, "by_scores", 50.0, final_val_top1_pct=61.0),
        MeasuredNetwork("beaten in the final", 98_500, 2_100, 20_480, "widest", 47.0, final_val_top1_pct=60.0),
        MeasuredNetwork("on the front", 98_000, 1_900, 10_240, "random", 48.0),
        MeasuredNetwork("neither", 98_200, 1_900, 10_240, "random", 46.0),
    )
    table = measured(facts_with(replace(facts().architecture.comparison, networks=networks)))
    assert table is not None
    assert [row[0] for row in table.rows] == [
        "one of the best by scores, chosen",
        "the network with the most parameters",
        "a random network",
    ]
    assert table.rows[0][1:] == ("99,000", "2,000", "20.5 kB", "50.0%", "61.0%", "yes")
    assert [row[-1] for row in table.rows] == ["yes", "no", "yes"]
    assert measured(facts()) is None  # by an earlier version
