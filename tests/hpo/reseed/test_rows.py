"""What of a gain is due to the rows that it was measured on."""

import math

import numpy as np
import pytest

from hpo.reseed.rows import row_spread, with_rows
from hpo.statistics import paired


def test_the_spread_of_a_mean_over_rows_is_its_standard_error() -> None:
    rows = np.random.default_rng(0).normal(size=400)
    spread = row_spread([lambda index: float(rows[index].mean())], 400, seed=1)
    assert spread == pytest.approx(rows.std() / math.sqrt(400), rel=0.15)


def test_rows_that_are_alike_side_by_side_count_as_fewer() -> None:
    rows = np.repeat(np.random.default_rng(0).normal(size=40), 10)
    one, blocks = (
        row_spread([lambda index: float(rows[index].mean())], 400, seed=1, block=block) or 0
        for block in (1, 20)
    )
    assert blocks > 2 * one


def test_what_differs_from_seed_to_seed_is_no_matter_of_the_rows() -> None:
    random = np.random.default_rng(0)
    rows, chance = random.normal(size=400), random.normal(size=(5, 400))
    spread = row_spread(
        [lambda index, c=one: float((rows + 3 * c)[index].mean()) for one in chance], 400, seed=1
    )
    assert spread == pytest.approx(rows.std() / math.sqrt(400), rel=0.3)


def test_a_difference_that_most_resamples_leave_undefined_has_no_spread() -> None:
    assert row_spread([lambda _: math.nan], 10, seed=0) is None


def test_the_errors_of_seeds_and_rows_add_as_squares() -> None:
    gain = paired([0.9, 0.92, 0.94], [0.8, 0.81, 0.85])
    both = with_rows(gain, 0.02)
    assert both.mean == gain.mean
    assert both.low == pytest.approx(
        gain.mean - math.hypot(gain.mean - (gain.low or 0), 1.959964 * 0.02)
    )
    assert with_rows(gain, 0.0).high == pytest.approx(gain.high)
    assert with_rows(paired([0.9], [0.8]), 0.02).low is None
