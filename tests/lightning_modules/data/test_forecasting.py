from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lightning_modules.data.arrays import give_arrays
from lightning_modules.data.cache import prepare_cached
from lightning_modules.data.config import ArraysConfig, CsvConfig, PrepareConfig
from lightning_modules.data.facts import facts_of
from lightning_modules.data.fingerprint import fingerprint_json
from lightning_modules.data.forecasting import WindowPreparation, first_steps, split_steps
from lightning_modules.data.prepared import PreparedData, prepare_task
from lightning_modules.data.synthetic_config import SeasonalConfig
from lightning_modules.errors import DataError
from lightning_modules.task import ForecastingConfig

N = 40


def table(**columns: Any) -> pd.DataFrame:
    days = pd.date_range("2024-01-30", periods=N).strftime("%Y-%m-%d")
    return pd.DataFrame({"day": days, "y": np.arange(float(N)) ** 1.5, **columns})


def saved(folder: Path, frame: pd.DataFrame) -> str:
    path = folder / "series.csv"
    frame.to_csv(path, index=False)
    return str(path)


def prepared(
    path: str, *, window: int = 5, horizon: int = 3, with_test: bool = True, **changes: Any
) -> PreparedData:
    config = CsvConfig(path=path, target="y", **{"time": "day", **changes})
    task = ForecastingConfig(window=window, horizon=horizon)
    return prepare_task(config, task_kind="forecasting", with_test=with_test, forecast=task)


def in_units(data: PreparedData, scaled: Any) -> Any:
    return facts_of(data).in_units(scaled).numpy()


def test_a_sample_is_the_last_steps_and_those_that_follow(tmp_path: Path) -> None:
    data = prepared(saved(tmp_path, table()))
    assert (data.input_kind, data.input_shape, data.n_outputs) == ("sequence", (5, 1), 3)
    assert data.test is not None
    series = np.arange(float(N)) ** 1.5
    starts = {"train": range(5, 22), "validation": range(24, 30), "test": range(32, 38)}
    for name, rows in (("train", data.train), ("validation", data.validation), ("test", data.test)):
        assert data.n_rows[name] == len(rows.y) == len(starts[name])
        for start, x, y in zip(starts[name], rows.x, rows.y, strict=True):
            np.testing.assert_allclose(
                in_units(data, x[:, 0]), series[start - 5 : start], rtol=1e-4
            )
            np.testing.assert_allclose(in_units(data, y), series[start : start + 3], rtol=1e-4)


@given(st.integers(1, 6), st.integers(1, 4), st.floats(0.15, 0.35), st.floats(0.15, 0.35))
@settings(max_examples=60, deadline=None)
def test_predicted_steps_lie_in_their_split_whatever_the_window(
    window: int, horizon: int, validation: float, test: float
) -> None:
    task = ForecastingConfig(window=window, horizon=horizon)
    split = split_steps(N, validation=validation, test=test, task=task)
    for steps in (split.train, split.validation, split.test):
        starts = first_steps(steps, task)
        assert set(starts) | set(starts + horizon - 1) <= set(steps)
        assert starts.min() >= window
    wider = ForecastingConfig(window=window + 1, horizon=horizon)
    for steps in (split.validation, split.test):
        assert first_steps(steps, task).tolist() == first_steps(steps, wider).tolist()


def test_statistics_are_of_the_training_steps_each_counted_once(tmp_path: Path) -> None:
    frame = table(other=np.arange(N) ** 2.0, word=["a", "b"] * (N // 2))
    data = prepared(saved(tmp_path, frame), test=None, with_test=False)
    preparation = data.fitted.preparation
    assert isinstance(preparation, WindowPreparation)
    assert data.input_shape == (5, 1 + 3)
    other = preparation.others.columns[0]
    assert other.kind == "number"
    assert other.center == pytest.approx(np.mean(np.arange(32) ** 2.0))
    assert facts_of(data).target_mean == pytest.approx(np.mean(np.arange(32) ** 1.5))


@given(st.integers(24, N - 1), st.floats(-100, 100))
@settings(max_examples=20, deadline=None)
def test_later_steps_change_no_statistic(tmp_path_factory: Any, step: int, value: float) -> None:
    folder = tmp_path_factory.mktemp("series")
    frame = table(other=np.arange(float(N)))
    first = prepared(saved(folder, frame))
    frame.loc[step, ["y", "other"]] = value
    second = prepared(saved(folder, frame))
    assert first.fitted == second.fitted
    assert (first.train.x == second.train.x).all()
    assert (first.train.y == second.train.y).all()


def test_rows_are_put_in_the_order_of_their_moments(tmp_path: Path) -> None:
    frame = table(other=np.arange(N) ** 2.0)
    ordered = prepared(saved(tmp_path, frame))
    mixed = prepared(saved(tmp_path, frame.sample(frac=1, random_state=1)))
    assert (ordered.train.x == mixed.train.x).all()
    assert ordered.split_sha256 == mixed.split_sha256
    unordered = prepared(saved(tmp_path, frame), time=None, ignore=["day"])
    assert (ordered.train.x == unordered.train.x).all()


def test_parts_of_the_moments_may_be_channels(tmp_path: Path) -> None:
    data = prepared(saved(tmp_path, table()), use_split_column=True)
    assert data.input_shape[1] > 3


def test_a_horizon_of_one_step_is_one_number_a_row() -> None:
    task = ForecastingConfig(window=4, horizon=1)
    data = prepare_task(SeasonalConfig(n_rows=60), task_kind="forecasting", forecast=task)
    assert (data.train.y.ndim, data.n_outputs, facts_of(data).n_outputs) == (1, 1, 1)


def test_window_and_horizon_belong_to_the_cached_data(tmp_path: Path) -> None:
    found = [
        prepare_cached(
            SeasonalConfig(n_rows=60), task_kind="forecasting", folder=tmp_path, forecast=task
        )
        for task in (ForecastingConfig(window=4, horizon=2), ForecastingConfig(window=5, horizon=2))
    ]
    assert [data.input_shape for data in found] == [(4, 1), (5, 1)]
    assert (found[0].validation.y == found[1].validation.y).all()
    assert found[0].split_sha256 == found[1].split_sha256


def test_a_series_is_in_memory_and_on_the_disk_once_however_long_the_window(
    tmp_path: Path,
) -> None:
    task = ForecastingConfig(window=400, horizon=100)
    config = SeasonalConfig(n_rows=2000, test=None)
    plain = prepare_task(config, task_kind="forecasting", forecast=task)
    cached = prepare_cached(config, task_kind="forecasting", folder=tmp_path, forecast=task)
    assert plain.train.x.shape == (1101, 400, 1)
    for data in (plain, cached):
        assert (data.train.x == plain.train.x).all()
        assert (data.train.y == plain.train.y).all()
        for rows in (data.train, data.validation):
            assert rows.x.untyped_storage().nbytes() <= 2000 * 4
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 40_000


def test_a_logarithm_is_that_of_the_past_too(tmp_path: Path) -> None:
    frame = table()
    frame["y"] += 1
    data = prepared(saved(tmp_path, frame), prepare=PrepareConfig(target="log"))
    np.testing.assert_allclose(
        in_units(data, data.train.x[0, :, 0]), frame["y"].to_numpy()[:5], rtol=1e-4
    )


def test_a_series_may_be_given_as_an_array(monkeypatch: pytest.MonkeyPatch) -> None:
    y, x = np.arange(30.0), np.arange(60.0).reshape(30, 2)
    for name, inputs, channels in (("lone series", None, 1), ("series", x, 3)):
        give_arrays(name, inputs, y)
        task = ForecastingConfig(window=3, horizon=2)
        data = prepare_task(ArraysConfig(name=name), task_kind="forecasting", forecast=task)
        assert data.input_shape == (3, channels)


@pytest.mark.parametrize(
    ("change", "settings", "message"),
    [
        (
            lambda frame: frame.assign(day=["2024-01-30", "2024-02-05", *frame["day"][2:]]),
            {},
            "line 3 and line 8 are of the same moment; a series has one row for each moment",
        ),
        (
            lambda frame: frame.head(20),
            {"window": 10},
            "20 steps leave 12 for training; task.window and task.horizon need 13; lower them",
        ),
        (
            lambda frame: frame.head(20),
            {"validation": 0.1},
            "20 steps leave 2 for validation; task.horizon need 3",
        ),
        (lambda frame: frame.assign(y=None), {}, "40 rows have no target"),
        (lambda frame: frame, {"prepare": PrepareConfig(scale="none")}, "not for a series of one"),
        (lambda frame: frame, {"test": None}, "has no test split; set data.test"),
    ],
)
def test_a_series_that_cannot_be_cut_is_refused(
    tmp_path: Path, change: Any, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        prepared(saved(tmp_path, change(table())), **settings)


def test_what_is_no_series_is_refused() -> None:
    give_arrays("pictures", np.zeros((30, 1, 4, 4)), np.arange(30.0))
    with pytest.raises(DataError, match=r"holds float64 of shape \(30, 1, 4, 4\), no series"):
        prepare_task(ArraysConfig(name="pictures"), task_kind="forecasting")
    give_arrays("two", np.zeros((30, 1)), np.arange(30.0), test=(np.zeros((2, 1)), np.arange(2.0)))
    with pytest.raises(DataError, match="brings a test split, but a series is cut by time"):
        prepare_task(ArraysConfig(name="two", test=None), task_kind="forecasting")


def test_a_preparation_of_another_task_is_refused() -> None:
    fitted = prepare_task(SeasonalConfig(n_rows=90), task_kind="forecasting").fitted
    assert fingerprint_json(fitted.model_dump(mode="json"))
    give_arrays("plain", np.arange(90.0)[:, None], np.arange(90.0))
    other = prepare_task(ArraysConfig(name="plain"), task_kind="regression").fitted
    with pytest.raises(DataError, match="the preparation is not for forecasting"):
        prepare_task(SeasonalConfig(n_rows=90), task_kind="forecasting", fitted=other)
