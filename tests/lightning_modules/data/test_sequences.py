from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lightning_modules.data.config import PrepareConfig
from lightning_modules.data.kinds import ragged
from lightning_modules.data.prepare import fit_preparation, input_of
from lightning_modules.data.sequences import SequencePreparation, fit_sequences
from lightning_modules.errors import DataError


def rows_of(*lengths: int, seed: int = 0, channels: int = 2) -> Any:
    generator = np.random.default_rng(seed)
    return ragged(generator.normal(3, 2, size=(length, channels)) for length in lengths)


def fitted(x: Any, **prepare: Any) -> SequencePreparation:
    return fit_sequences(x, PrepareConfig(**prepare))


@given(
    st.lists(st.integers(1, 6), min_size=1, max_size=6),
    st.integers(0, 2**16),
    st.sampled_from(["standard", "minmax", "robust", "none"]),
    st.one_of(st.none(), st.integers(1, 8)),
)
@settings(max_examples=40, deadline=None)
def test_every_real_step_comes_back_from_what_a_network_is_given(
    lengths: list[int], seed: int, scale: str, length: int | None
) -> None:
    x = rows_of(*lengths, seed=seed)
    preparation = fitted(x, scale=scale, length=length)
    given = preparation.apply(x)
    assert given.shape == (len(x), length or max(lengths), 3)
    center = [one.center for one in preparation.channels]
    sizes = [one.scale for one in preparation.channels]
    for row, raw in zip(given, x, strict=True):
        real = min(len(raw), given.shape[1])
        assert row[:, 2].tolist() == [1.0] * real + [0.0] * (len(row) - real)
        assert not row[real:].any()
        np.testing.assert_allclose(
            row[:real, :2] * sizes + center, raw[:real], rtol=1e-4, atol=1e-4
        )


def test_padding_counts_in_no_statistic() -> None:
    x = rows_of(1, 9, 4)
    steps = np.concatenate(list(x))
    preparation = fitted(x, length=20)
    np.testing.assert_allclose([one.center for one in preparation.channels], steps.mean(axis=0))
    np.testing.assert_allclose([one.scale for one in preparation.channels], steps.std(axis=0))


def test_sequences_of_one_length_are_not_padded_unless_longer_ones_are_wanted() -> None:
    x = np.arange(24.0).reshape(2, 4, 3)
    assert input_of(fitted(x)) == ("sequence", None, False)
    assert fitted(x).apply(x).shape == (2, 4, 3)
    assert fitted(x, length=3).apply(x).shape == (2, 3, 3)
    assert input_of(fitted(x, length=5)) == ("sequence", None, True)
    assert fitted(x, length=5).apply(x).shape == (2, 5, 4)


def test_a_missing_number_becomes_the_mean_of_its_channel() -> None:
    x = np.array([[[1.0, 5.0], [np.nan, 5.0]], [[3.0, 5.0], [5.0, 5.0]]])
    given = fitted(x, scale="none").apply(x)
    assert given[0].tolist() == [[1, 5], [3, 5]]
    assert fitted(x, scale="none", impute="median").apply(x)[0, 1, 0] == 3


@pytest.mark.parametrize("order", [1, 2])
def test_differences_are_those_of_the_steps(order: int) -> None:
    x = ragged([np.array([[1.0], [4.0], [9.0], [16.0]]), np.array([[5.0], [5.0], [8.0]])])
    given = fitted(x, scale="none", difference=order).apply(x)
    assert given.shape == (2, 4 - order, 2)
    for row, raw in zip(given, x, strict=True):
        found = row[row[:, 1] == 1, 0]
        assert found.tolist() == np.diff(raw[:, 0], n=order).tolist()


def test_steps_behind_the_length_are_cut_off() -> None:
    x = np.arange(6.0).reshape(1, 6, 1)
    assert fitted(x, scale="none", length=2).apply(x)[0, :, 0].tolist() == [0, 1]


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.zeros((1, 2, 2)), "row 1 has 2 channels; expected 1"),
        (np.zeros((1, 2, 1)), "row 1 has 2 steps; at least 3 are needed"),
        (np.zeros((1, 0, 1)), "row 1 has no steps; remove the row"),
        (np.full((1, 3, 1), np.inf), "row 1 has an infinite number"),
    ],
)
def test_rows_that_the_training_rows_are_unlike_are_refused(x: Any, message: str) -> None:
    preparation = fitted(np.arange(6.0).reshape(2, 3, 1))
    with pytest.raises(DataError, match=message):
        preparation.apply(x)


def test_too_few_steps_for_the_differences_are_refused() -> None:
    with pytest.raises(DataError, match="difference: row 2 has 1 step; at least 2 are needed"):
        fitted(rows_of(3, 1), difference=1)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"pca": 2.0}, "data.prepare.pca: is for tables, not for sequences; remove it"),
        ({"lowercase": False}, "data.prepare.lowercase: is for texts, not for sequences"),
        ({"scale": "quantile"}, "data.prepare.scale: quantile is for tables, not sequences"),
    ],
)
def test_settings_without_effect_on_sequences_are_refused(
    setting: dict[str, Any], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        fit_preparation(rows_of(2, 3), PrepareConfig(**setting))


def test_the_largest_floats_stay_finite() -> None:
    x = np.array([[[1e308], [-1e308]], [[-1e308], [1e308]]])
    for scale in ("standard", "minmax", "robust", "none"):
        assert np.isfinite(fitted(x, scale=scale, difference=1).apply(x)).all()
