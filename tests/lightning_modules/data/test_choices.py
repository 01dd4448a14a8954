"""The choices of `data.prepare`: what each does to the features, and that no other rows count."""

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from lightning_modules.data.config import CsvConfig, PrepareConfig
from lightning_modules.data.prepare import fit_preparation
from lightning_modules.data.prepared import prepare_task
from lightning_modules.data.split import make_split
from lightning_modules.data.table_preparation import TablePreparation
from lightning_modules.data.target import NumberTarget, fit_target
from lightning_modules.errors import DataError

NUMBERS = pd.DataFrame({"n": [float(i) for i in range(100)] + [1000.0]})
COLOURS = pd.DataFrame({"c": ["red"] * 6 + ["blue"] * 3 + ["lime", "plum"]})
DATES = pd.DataFrame(
    {"d": pd.to_datetime(["2024-01-31 10:00", None, "2024-02-29 10:00", "2023-12-31 10:00"])}
)


def fitted(frame: pd.DataFrame, **choices: Any) -> TablePreparation:
    preparation = fit_preparation(frame, PrepareConfig(**choices))
    assert isinstance(preparation, TablePreparation)
    again = TablePreparation.model_validate(json.loads(preparation.model_dump_json()))
    assert again == preparation
    return again


def test_an_indicator_marks_what_is_missing_in_columns_that_missed_some() -> None:
    frame = pd.DataFrame(
        {"n": [1.0, np.nan], "full": [1.0, 2.0], "c": pd.Series(["x", None], dtype=object)}
    )
    preparation = fitted(frame, indicator=True)
    assert preparation.feature_names == ["n", "n: missing", "full", "c=x", "c: missing"]
    marks = preparation.apply(frame)[:, [1, 4]]
    assert marks.tolist() == [[0, 0], [1, 1]]
    later = frame.assign(full=[np.nan, 1.0], n=[1.0, 2.0])
    assert preparation.apply(later)[:, 1].tolist() == [0, 0]


def test_clip_brings_outliers_to_the_quantile_before_scaling() -> None:
    preparation = fitted(NUMBERS, clip=0.02, scale="none")
    features = preparation.apply(pd.DataFrame({"n": [-5.0, 50.0, 1000.0]}))
    assert features[:, 0].tolist() == [2.0, 50.0, 98.0]
    assert fitted(NUMBERS, clip=0.02).apply(NUMBERS).max() < 2


def test_robust_is_the_median_and_the_quartiles() -> None:
    frame = pd.DataFrame({"n": [0.0, 1.0, 2.0, 3.0, 4000.0]})
    assert fitted(frame, scale="robust").apply(frame)[:4, 0].tolist() == [-1, -0.5, 0, 0.5]


def test_robust_falls_back_to_the_spread_where_the_quartiles_are_equal() -> None:
    frame = pd.DataFrame({"n": [1.0] * 9 + [2.0]})
    features = fitted(frame, scale="robust").apply(frame)
    assert np.isfinite(features).all()
    assert features[-1, 0] > features[0, 0]


def test_quantile_gives_any_distribution_the_shape_of_a_normal_one() -> None:
    frame = pd.DataFrame({"n": np.exp(np.random.default_rng(0).normal(size=2001) * 3)})
    features = fitted(frame, scale="quantile").apply(frame)[:, 0]
    assert abs(features.mean()) < 0.01
    assert features.std() == pytest.approx(1, abs=0.02)
    order = np.argsort(frame["n"])
    assert (np.diff(features[order]) >= 0).all()
    far = fitted(frame, scale="quantile").apply(pd.DataFrame({"n": [-1e9, 1e9]}))[:, 0]
    assert far.tolist() == [features.min(), features.max()]


def test_equal_values_share_the_mean_of_their_places() -> None:
    frame = pd.DataFrame({"n": [0.0] * 50 + [1.0] * 50})
    features = fitted(frame, scale="quantile").apply(frame)[:, 0]
    assert set(features[:50]) == {features[0]}
    assert features[0] == pytest.approx(-features[-1], abs=0.05)


@pytest.mark.parametrize(("rare", "kept"), [(2, ["blue", "red"]), (0.4, ["red"])])
def test_rare_categories_and_unknown_ones_become_one(rare: float, kept: list[str]) -> None:
    preparation = fitted(COLOURS, rare=rare)
    assert preparation.feature_names == [*(f"c={name}" for name in kept), "c: other"]
    later = pd.DataFrame({"c": ["lime", "never seen", "red", None]})
    assert preparation.apply(later)[:, -1].tolist() == [1, 1, 0, 0]


def test_dates_become_the_parts_that_vary_and_days() -> None:
    preparation = fitted(DATES, scale="none", indicator=True)
    names = ["d: year", "d: month", "d: day", "d: weekday", "d: days", "d: missing"]
    assert preparation.feature_names == names
    features = preparation.apply(DATES)
    assert features[0, :4].tolist() == [2024, 1, 31, 2]
    assert features[0, 4] == pytest.approx(19753 + 10 / 24, abs=1e-2)
    assert features[:, 5].tolist() == [0, 1, 0, 0]
    assert features[1, 1] == 5  # the mean month


def test_dates_are_applied_to_text_as_well() -> None:
    preparation = fitted(DATES)
    texts = pd.DataFrame(
        {"d": ["2024-01-31 10:00", None, "2024-02-29T10:00:00", "2023-12-31 10:00"]}
    )
    assert preparation.apply(texts).tolist() == preparation.apply(DATES).tolist()
    with pytest.raises(DataError, match=r"column 'd' holds dates, but row 1 has 'soon'"):
        preparation.apply(pd.DataFrame({"d": ["soon"]}))


def test_components_are_uncorrelated_and_as_many_as_wanted() -> None:
    generator = np.random.default_rng(0)
    base = generator.normal(size=(200, 2))
    frame = pd.DataFrame({"a": base[:, 0], "b": base[:, 0] + 0.1 * base[:, 1], "c": base[:, 1]})
    features = fitted(frame, pca=2).apply(frame)
    assert fitted(frame, pca=2).feature_names == ["component 1", "component 2"]
    assert fitted(frame, pca=2).n_features == features.shape[1] == 2
    assert abs(np.corrcoef(features.T)[0, 1]) < 1e-5
    assert fitted(frame, pca=0.5).n_features == 1
    assert fitted(frame, pca=0.99).n_features == 2
    assert fitted(frame, pca=3).n_features == 3


@pytest.mark.parametrize(
    ("frame", "choices", "message"),
    [
        (NUMBERS, {"indicator": True}, "data.prepare.indicator: no training row misses a value"),
        (COLOURS, {"clip": 0.1}, "data.prepare.clip: no column holds numbers"),
        (NUMBERS, {"rare": 2}, "data.prepare.rare: no column holds categories"),
        (NUMBERS, {"pca": 2}, "data.prepare.pca: 2 components are more than 1"),
    ],
)
def test_a_choice_without_effect_is_refused(
    frame: pd.DataFrame, choices: dict[str, Any], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        fit_preparation(frame, PrepareConfig(**choices))


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"indicator": True}, r"data.prepare.indicator: is for tables, not for images"),
        ({"clip": 0.1}, r"data.prepare.clip: is for tables"),
        ({"rare": 2}, r"data.prepare.rare: is for tables"),
        ({"pca": 2}, r"data.prepare.pca: is for tables"),
        ({"scale": "robust"}, r"data.prepare.scale: robust is for tables.*; standard, minmax or"),
    ],
)
def test_choices_for_tables_are_refused_for_images(choices: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        fit_preparation(np.zeros((2, 1, 4, 4)), PrepareConfig(**choices))


@pytest.mark.parametrize("choice", [{"rare": 2.5}, {"pca": 1.5}, {"clip": 0.5}, {"clip": 0.0}])
def test_a_choice_that_cannot_be_is_refused(choice: dict[str, float]) -> None:
    with pytest.raises(ValidationError, match=r"whole number|less than|greater than"):
        PrepareConfig(**choice)


def test_choices_that_are_off_are_not_in_the_record() -> None:
    assert set(PrepareConfig().model_dump()) == {"impute", "scale", "target"}
    assert set(fitted(COLOURS).columns[0].model_dump()) == {"kind", "name", "fill", "categories"}


def test_a_logarithmic_target_comes_back_in_its_own_units() -> None:
    y = np.array([1.0, 10.0, 100.0, 1e6])
    target = fit_target(y, task_kind="regression", config=PrepareConfig(target="log"))
    assert isinstance(target, NumberTarget)
    scaled = target.apply(y)
    assert abs(scaled.mean()) < 1e-6
    np.testing.assert_allclose(target.invert(scaled), y, rtol=1e-5)


@pytest.mark.parametrize("value", [0.0, -1.0])
def test_a_target_without_logarithm_is_refused(value: float) -> None:
    with pytest.raises(DataError, match=r"data.prepare.target: the target of row 2 is .*0|-1"):
        fit_target(
            np.array([1.0, value]), task_kind="regression", config=PrepareConfig(target="log")
        )
    fine = fit_target(
        np.array([1.0, 2.0]), task_kind="regression", config=PrepareConfig(target="log")
    )
    with pytest.raises(DataError, match="which has no logarithm; set it to standard"):
        fine.apply(np.array([1.0, value]))


CHOICES = (
    {"indicator": True, "clip": 0.05, "rare": 3},
    {"scale": "robust", "impute": "median"},
    {"scale": "quantile", "impute": "most_frequent"},
    {"scale": "minmax", "pca": 0.9},
    {"target": "log", "pca": 3},
)
N_ROWS = 40


@settings(max_examples=25, deadline=None)
@given(
    choices=st.sampled_from(CHOICES),
    numbers=st.lists(st.none() | st.floats(-1e6, 1e6), min_size=N_ROWS, max_size=N_ROWS),
    texts=st.lists(
        st.none() | st.sampled_from(["u", "v", "w", "z"]), min_size=N_ROWS, max_size=N_ROWS
    ),
    days=st.lists(st.none() | st.integers(0, 20_000), min_size=N_ROWS, max_size=N_ROWS),
    y=st.lists(st.floats(0.5, 1e6), min_size=N_ROWS, max_size=N_ROWS),
)
def test_no_statistic_changes_with_the_rows_that_are_not_trained_on(
    tmp_path_factory: pytest.TempPathFactory, choices: dict[str, Any], **columns: list[Any]
) -> None:
    folder = tmp_path_factory.mktemp("leak")
    config = CsvConfig(path=str(folder / "t.csv"), target="y", prepare=PrepareConfig(**choices))
    plain = pd.DataFrame(
        {
            "row": range(N_ROWS),
            "n": [None if i % 7 == 0 else i * 1.5 for i in range(N_ROWS)],
            "c": [None if i % 5 == 0 else "xyz"[i % 3] for i in range(N_ROWS)],
            "d": pd.Timestamp(2020, 1, 1) + pd.to_timedelta(np.arange(N_ROWS) * 9, unit="D"),
            "y": [1.0 + i % 9 for i in range(N_ROWS)],
        }
    )
    split = make_split(np.asarray(plain["y"]), validation=0.2, test=0.2, seed=0, stratify=False)
    others = np.concatenate([split.validation, split.test])
    changed = plain.copy()
    moments = pd.Timestamp(1990, 1, 1) + pd.to_timedelta(pd.Series(columns["days"]), unit="D")
    for name, values in {
        "n": pd.Series(columns["numbers"], dtype=float),
        "c": pd.Series(columns["texts"], dtype=object),
        "d": moments,
        "y": pd.Series(columns["y"]),
    }.items():
        changed.loc[others, name] = values[others].to_numpy()
    found = []
    for frame in (plain, changed):
        frame.to_csv(config.path, index=False)
        found.append(prepare_task(config, task_kind="regression").fitted.model_dump_json())
    assert found[0] == found[1]
