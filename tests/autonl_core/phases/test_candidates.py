"""Which candidates reach the final, and how the best is compared with the others; gaps worked by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from autonl_core.phases.candidates import WITHOUT_LIGHT_NL, Candidate, better_half, choose_finalists, compare, ranked
from autonl_core.training.evaluate import gap


def candidate(number: int, origin: str, loss: float, right: str = "1111") -> Candidate:
    """`right`: one digit per validation image, 1 where it is right."""
    marks = torch.tensor([digit == "1" for digit in right])
    return Candidate((number,), origin, loss, 100 * float(marks.double().mean()), right=marks)


BEST = candidate(0, "by_scores", 0.5, "1110")
DRAWN = candidate(1, "drawn", 0.4, "1101")
TWIN = candidate(2, WITHOUT_LIGHT_NL, 0.6, "1100")
UNIFORM = candidate(3, "uniform", 0.7, "1000")
RANDOM = [candidate(4, "random", 0.1, "0000"), candidate(5, "random", 0.9, "1111")]
ALL = [BEST, DRAWN, TWIN, UNIFORM, *RANDOM]


class TestSeats:
    def test_the_best_by_all_scores_comes_first_although_another_one_was_luckier(self) -> None:
        assert choose_finalists(ranked(ALL), BEST, 2)[0] == BEST

    def test_without_a_final_the_best_has_to_be_clearly_ahead_of_what_owes_nothing_to_the_search(self) -> None:
        # 50 points are 1.7 standard errors of four images, and 2.6 of eight
        assert gap(torch.tensor([1, 1, 1, 0]), torch.tensor([1, 0, 0, 0])).error_points == 28.87
        assert choose_finalists(ranked(ALL), BEST, 1) == [UNIFORM]
        far, behind = candidate(0, "by_scores", 0.5, "11101110"), candidate(3, "uniform", 0.8, "10001000")
        assert choose_finalists(ranked([far, behind, *RANDOM]), far, 1) == [behind]
        far, behind = candidate(0, "by_scores", 0.5, "11111111"), candidate(3, "uniform", 0.8, "10000000")
        assert choose_finalists(ranked([far, behind, *RANDOM]), far, 1) == [far]  # by 7 standard errors
        level = candidate(3, "uniform", 0.7, "1101")  # right as often, on other images
        assert choose_finalists(ranked([BEST, level, *RANDOM]), BEST, 1) == [level]
        assert choose_finalists(ranked([BEST, *RANDOM]), BEST, 1) == [BEST]

    def test_the_last_of_several_seats_goes_to_one_that_is_independent_of_the_search(self) -> None:
        assert choose_finalists(ranked(ALL), BEST, 2, TWIN) == [BEST, UNIFORM]

    def test_its_twin_without_light_nl_has_a_seat_where_there_are_three(self) -> None:
        assert choose_finalists(ranked(ALL), BEST, 3, TWIN) == [BEST, TWIN, UNIFORM]
        assert choose_finalists(ranked(ALL), BEST, 4, TWIN) == [BEST, TWIN, DRAWN, UNIFORM]
        assert choose_finalists(ranked(ALL), BEST, 3) == [BEST, DRAWN, UNIFORM]

    def test_the_incumbent_has_a_seat_although_another_independent_one_ranks_higher(self) -> None:
        widest = candidate(6, "widest", 0.8, "1000")
        assert choose_finalists(ranked([*ALL, widest]), BEST, 2, TWIN) == [BEST, UNIFORM]
        assert choose_finalists(ranked([*ALL, widest]), BEST, 2, TWIN, "widest") == [BEST, widest]
        assert choose_finalists(ranked([*ALL, widest]), BEST, 1, TWIN, "widest") == [widest]  # by 1.7 standard errors
        far, behind = candidate(0, "by_scores", 0.5, "11101110"), candidate(6, "widest", 0.8, "10001000")
        assert choose_finalists(ranked([far, behind, *RANDOM]), far, 1, None, "widest") == [behind]  # by 2.6, untrained
        far = candidate(0, "by_scores", 0.5, "11111111")
        behind = candidate(6, "widest", 0.8, "10000000")  # 87.5 points, 7 standard errors
        assert choose_finalists(ranked([far, behind, *RANDOM]), far, 1, None, "widest") == [far]
        assert choose_finalists(ranked(ALL), BEST, 1, TWIN, "widest") == [BEST]  # there is none

    def test_random_networks_are_for_comparison_alone(self) -> None:
        assert not set(choose_finalists(ranked(ALL), BEST, 10, TWIN)) & set(RANDOM)


class TestHalving:
    """One round of the final; eight validation images."""

    WIDEST = candidate(6, "widest", 0.8, "10001000")
    CLOSE = candidate(0, "by_scores", 0.5, "11001000")  # one image more
    FAR = candidate(0, "by_scores", 0.5, "11101110")  # 50 points, 2.6 standard errors
    THIRD = candidate(1, "drawn", 0.6, "11100000")

    def test_the_better_half_goes_on(self) -> None:
        assert better_half([self.CLOSE, self.THIRD, self.WIDEST], None) == [self.CLOSE]
        assert better_half([self.CLOSE, self.THIRD, UNIFORM, self.WIDEST], None) == [self.CLOSE, self.THIRD]

    def test_the_incumbent_goes_on_with_it_unless_the_best_is_clearly_ahead(self) -> None:
        assert better_half([self.CLOSE, self.THIRD, self.WIDEST], "widest") == [self.WIDEST]
        assert better_half([self.FAR, self.THIRD, self.WIDEST], "widest") == [self.FAR]
        assert better_half([self.CLOSE, self.THIRD, UNIFORM, self.WIDEST], "widest") == [self.CLOSE, self.WIDEST]
        assert better_half([self.WIDEST, self.CLOSE, self.THIRD], "widest") == [self.WIDEST]

    def test_one_that_memory_does_not_suffice_for_does_not(self) -> None:
        assert better_half([self.CLOSE, replace(self.WIDEST, feasible=False)], "widest") == [self.CLOSE]


class TestComparison:
    def test_a_gap_is_paired_image_by_image(self) -> None:
        # differences of 0, 0, 100 and -100 points: a mean of 0, a standard deviation of 81.65, over the root of 4
        found = gap(torch.tensor([1, 1, 1, 0]), torch.tensor([1, 1, 0, 1]))
        assert (found.points, found.error_points) == (0.0, 40.82)
        assert gap(torch.ones(4), torch.ones(4)).error_points == 0  # certain as far as these images go

    def test_the_best_is_compared_with_the_mean_of_random_networks_and_with_every_independent_one(self) -> None:
        found = compare(ALL, BEST, TWIN)
        # each of four images: 1 1 1 0 against a mean of .5 of two random ones
        assert found.ahead_of["random"].points == 25
        assert found.ahead_of["uniform"].points == 50
        assert found.ahead_of[WITHOUT_LIGHT_NL].points == 25
        assert (found.mean["random"], found.best["random"], found.candidates) == (50, 100, 6)

    def test_a_network_is_not_compared_with_itself(self) -> None:
        assert "uniform" not in compare([UNIFORM, *RANDOM], UNIFORM, None).ahead_of

    @pytest.mark.parametrize("twin", [None, TWIN])
    def test_without_light_nl_there_is_no_twin(self, twin: Candidate | None) -> None:
        assert (WITHOUT_LIGHT_NL in compare(ALL, BEST, twin).ahead_of) == (twin is not None)
