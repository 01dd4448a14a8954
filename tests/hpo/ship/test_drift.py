"""Drift: chance stays below the alert at the window that is used, a shift does not."""

import numpy as np
import pandas as pd
import pytest

from hpo.predict.predictor import Answers
from hpo.ship.drift import (
    ALERT,
    LEAST_ROWS,
    MOST_BINS,
    bins_of,
    counts_of,
    of_images,
    of_sequences,
    psi,
    quantities_of,
    shares_of,
    statistics_of,
)
from hpo.ship.manifest import Shares, Statistics
from lightning_modules.data.columns import CategoryColumn, DateColumn, NumericColumn
from lightning_modules.data.fitted import Fitted
from lightning_modules.data.forecasting import WindowPreparation
from lightning_modules.data.frames import Array
from lightning_modules.data.image_preparation import ImagePreparation
from lightning_modules.data.sequences import Channel, SequencePreparation
from lightning_modules.data.table_preparation import TablePreparation
from lightning_modules.data.target import NumberTarget
from lightning_modules.data.texts import TextPreparation

RANDOM = np.random.default_rng(0)


def index(trained: Array, recent: Array) -> float:
    shares = shares_of("x", trained)
    return psi(shares, counts_of(shares, recent))


def fitted(preparation, shape: list[int]) -> Fitted:
    target = NumberTarget(mean=0.0, sd=1.0)
    return Fitted(input_shape=shape, preparation=preparation, target=target)


@pytest.mark.parametrize("n_training", [150, 400, 5000])
@pytest.mark.parametrize("kind", ["normal", "skewed", "counts", "zeros", "towns"])
def test_an_unchanged_quantity_stays_below_the_alert_at_the_smallest_window(
    n_training: int, kind: str
) -> None:
    def draw(n: int) -> Array:
        if kind == "normal":
            return RANDOM.normal(size=n)
        if kind == "skewed":
            return RANDOM.lognormal(sigma=2, size=n)
        if kind == "counts":
            return RANDOM.poisson(1.5, n).astype(float)
        if kind == "zeros":
            return np.where(RANDOM.random(n) < 0.95, 0.0, RANDOM.normal(size=n))
        shares = np.array([0.4, 0.2, 0.1, 0.1, 0.05, 0.05, 0.03, 0.03, 0.02, 0.01, 0.01])
        return np.array([*"abcdefghijk"], dtype=object)[RANDOM.choice(11, n, p=shares)]

    found = [index(draw(n_training), draw(LEAST_ROWS)) for _ in range(200)]
    assert sum(value > ALERT for value in found) <= 1


@pytest.mark.parametrize(
    "shifted",
    [
        RANDOM.normal(0.6, 1, 1000),
        RANDOM.normal(0, 2, 1000),
        np.where(RANDOM.random(1000) < 0.1, np.nan, RANDOM.normal(size=1000)),
    ],
    ids=["mean", "spread", "missing"],
)
def test_a_shifted_quantity_rises_above_the_alert(shifted: Array) -> None:
    assert index(RANDOM.normal(size=5000), shifted) > ALERT


def test_a_new_category_rises_above_the_alert() -> None:
    trained = np.array(["red", "blue"] * 500, dtype=object)
    assert index(trained, np.array(["red", "blue", "green"] * 200, dtype=object)) > ALERT
    assert index(trained, np.array(["red", "blue"] * 300, dtype=object)) == 0


def test_fewer_rows_than_the_window_needs_say_nothing() -> None:
    trained = RANDOM.normal(size=5000)
    assert np.isnan(index(trained, RANDOM.normal(9, 1, LEAST_ROWS - 1)))
    assert index(trained, RANDOM.normal(9, 1, LEAST_ROWS)) > 1


def test_a_bin_that_is_empty_in_both_counts_nothing() -> None:
    shares = Shares(name="x", edges=[0.0, 1.0], shares=[1.0, 0.0, 0.0, 0.0])
    assert psi(shares, [LEAST_ROWS, 0, 0, 0]) == 0


def test_shares_of_numbers_have_their_edges_in_the_lower_bin_and_missing_ones_last() -> None:
    values = np.array([0.0, 1.0, 1.5, np.nan])
    shares = Shares(name="x", edges=[0.0, 1.0], shares=[])
    assert bins_of(shares, values).tolist() == [0, 1, 2, 3]


def test_shares_survive_json_to_the_last_bit() -> None:
    shares = shares_of("x", RANDOM.normal(size=1000))
    assert Shares.model_validate_json(shares.model_dump_json()) == shares
    assert len(shares.edges or ()) == MOST_BINS - 1
    assert sum(shares.shares) == pytest.approx(1)


def test_a_column_of_two_values_and_one_of_none_have_bins_too() -> None:
    assert shares_of("x", np.array([0.0, 1.0] * 500)).edges == [0.0, 1.0]
    assert shares_of("x", np.full(500, np.nan)).shares == [0.0, 1.0]
    assert shares_of("x", np.full(500, 7.0)).shares == [1.0, 0.0, 0.0]


def test_of_a_table_every_column_is_watched() -> None:
    columns = [
        NumericColumn(name="age", fill=0.0, center=0.0, scale=1.0),
        CategoryColumn(name="town", fill="a", categories=["a"]),
        DateColumn(name="day", order="ymd", parts=[]),
    ]
    frame = pd.DataFrame(
        {
            "day": pd.to_datetime(["1970-01-02", None]),
            "town": np.array(["a", None], dtype=object),
            "age": [1.0, np.nan],
        }
    )
    found = quantities_of(fitted(TablePreparation(columns=columns), [3]), frame)
    assert list(found) == ["age", "town", "day"]
    assert found["town"].tolist() == ["a", None]
    np.testing.assert_array_equal(found["day"], [86_400, np.nan])
    np.testing.assert_array_equal(found["age"], [1, np.nan])


def test_of_a_series_the_last_step_of_each_row_is_watched() -> None:
    other = NumericColumn(name="rain", fill=0.0, center=0.0, scale=1.0)
    others = TablePreparation(columns=[other])
    preparation = WindowPreparation(target="sales", others=others, window=2, horizon=1)
    frame = pd.DataFrame({"rain": [1.0, 2.0, 3.0, 4.0], "sales": [5.0, 6.0, 7.0, 8.0]})
    found = quantities_of(fitted(preparation, [2, 2]), frame)
    assert {name: values.tolist() for name, values in found.items()} == {
        "sales": [6, 8],
        "rain": [2, 4],
    }


def test_of_images_mean_and_spread_of_the_pixels_are_watched() -> None:
    images = RANDOM.integers(0, 256, (3000, 1, 4, 4), dtype=np.uint8)
    found = quantities_of(fitted(ImagePreparation(mean=[0.0], sd=[1.0]), [1, 4, 4]), images)
    flat = images.reshape(3000, -1).astype(np.float64)
    np.testing.assert_allclose(found["mean of pixels"], flat.mean(1), rtol=1e-6)
    np.testing.assert_allclose(found["sd of pixels"], flat.std(1), rtol=1e-5)
    same = of_images(images.astype(np.float32))
    np.testing.assert_array_equal(same["sd of pixels"], found["sd of pixels"])


def test_of_sequences_lengths_and_the_means_of_what_is_known_are_watched() -> None:
    channel = Channel(fill=0.0, center=0.0, scale=1.0)
    preparation = SequencePreparation(
        channels=[channel, channel], length=2, difference=0, padded=True
    )
    raw = np.empty(2, dtype=object)
    raw[:] = [np.array([[1.0, np.nan]]), np.array([[1.0, 2.0], [3.0, np.nan], [9.0, 9.0]])]
    found = quantities_of(fitted(preparation, [2, 3]), raw)
    assert found["length"].tolist() == [1, 2]
    np.testing.assert_array_equal(found["mean of channel 1"], [1, 2])
    np.testing.assert_array_equal(found["mean of channel 2"], [np.nan, 2])
    padded = of_sequences(np.zeros((1, 4, 1)), np.array([9]))
    assert padded["length"].tolist() == [4]


def test_of_texts_tokens_and_unknown_ones_are_watched() -> None:
    preparation = TextPreparation(tokens="words", lowercase=True, length=4, vocabulary=["a"])
    texts = np.array(["a b", "a a a", None], dtype=object)
    found = quantities_of(fitted(preparation, [4]), texts)
    assert found["tokens"].tolist() == [2, 3, 1]
    assert found["share of unknown tokens"].tolist() == [0.5, 0, 1]


@pytest.mark.parametrize(
    ("answers", "outputs", "names"),
    [
        (
            Answers(kind="binary", classes=["no", "yes"], target_names=None),
            [[0.4, 0.6], [0.9, 0.1]],
            {"prediction": ["yes", "no"], "confidence": [0.6, 0.9]},
        ),
        (
            Answers(kind="multilabel", classes=None, target_names=["a", "b"]),
            [[0.4, 0.6], [0.9, 0.1]],
            {"a": [0.4, 0.9], "b": [0.6, 0.1]},
        ),
        (
            Answers(kind="regression", classes=None, target_names=None),
            [3.0, 4.0],
            {"prediction": [3, 4]},
        ),
        (
            Answers(kind="forecasting", classes=None, target_names=None),
            [[3.0, 4.0]],
            {"step 1": [3], "step 2": [4]},
        ),
    ],
    ids=["classes", "labels", "number", "steps"],
)
def test_predictions_of_every_kind_of_task_are_watched(
    answers: Answers, outputs: list[object], names: dict[str, list[object]]
) -> None:
    array = np.array(outputs, dtype=np.float32)
    found = statistics_of({}, array, answers)
    assert found.n_rows == len(array)
    assert [shares.name for shares in found.predictions] == list(names)
    assert Statistics.model_validate_json(found.model_dump_json()) == found
    for shares, values in zip(found.predictions, names.values(), strict=True):
        if shares.values is not None:
            assert set(shares.values) == set(values)
