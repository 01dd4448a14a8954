import itertools
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lightning_modules.data.columns import Curve, NumericColumn
from lightning_modules.data.config import PrepareConfig
from lightning_modules.data.prepare import fit_preparation
from lightning_modules.data.table_preparation import TablePreparation, fit_table
from lightning_modules.packaged.columns import MISSING, UNKNOWN, RawColumns, raw_columns
from lightning_modules.packaged.numbers import Curves, Numbers, Take
from lightning_modules.packaged.table import Table

N_ROWS = 80
SETTINGS = [
    dict(zip(("impute", "indicator", "clip", "rare", "scale", "pca"), values, strict=True))
    for values in itertools.product(
        ("mean", "most_frequent"),
        (False, True),
        (None, 0.1),
        (None, 0.2),
        ("standard", "robust", "quantile", "minmax", "none"),
        (None, 3.0),
    )
]


def _table(seed: int) -> pd.DataFrame:
    drawn = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "a": drawn.normal(5.0, 2.0, N_ROWS),
            "b": drawn.choice(["x", "y", "z"], N_ROWS, p=[0.6, 0.3, 0.1]).astype(object),
            "c": drawn.lognormal(10.0, 2.0, N_ROWS),
            "d": pd.to_datetime(drawn.integers(-(10**9), 10**9, N_ROWS), unit="s"),
            "e": drawn.choice(["p", "q"], N_ROWS).astype(object),
            "f": np.full(N_ROWS, 2.0),
            "g": drawn.integers(0, 3, N_ROWS).astype(np.float64),
        }
    )
    frame["d"] = frame["d"].astype("datetime64[us]")
    for name, empty in (("a", np.nan), ("b", None), ("d", pd.NaT)):
        frame.loc[drawn.random(N_ROWS) < 0.2, name] = empty
    return frame


def _raw(frame: pd.DataFrame, raw: RawColumns) -> dict[str, torch.Tensor]:
    """Return the inputs that rows become, written without the code that is tested."""
    codes = [
        [MISSING if pd.isna(text) else known.index(text) if text in known else UNKNOWN]
        for name, known in zip(raw.texts, raw.vocabularies, strict=True)
        for text in frame[name]
    ]
    moments = frame[list(raw.moments)].to_numpy("datetime64[us]")
    seconds = np.where(np.isnat(moments), np.nan, moments.astype(np.int64) / 1e6)
    return {
        "numbers": torch.tensor(frame[list(raw.numbers)].to_numpy(np.float64)),
        "codes": torch.tensor(codes).view(len(raw.texts), len(frame)).T,
        "moments": torch.from_numpy(seconds),
    }


def _both(preparation: TablePreparation, frame: pd.DataFrame) -> tuple[Any, Any]:
    raw = raw_columns([preparation])
    return Table(preparation, raw)(_raw(frame, raw)).numpy(), preparation.apply(frame)


@pytest.mark.parametrize("way", [0, 1, 2, 3])
def test_every_setting_of_tables_gives_the_features_that_numpy_gives(way: int) -> None:
    trained, new = _table(way), _table(way + 10)
    new.loc[0, "b"], new.loc[1, "c"], new.loc[2, "a"] = "never seen", 1e300, -1e6
    for settings in SETTINGS[way::4]:
        plain = {name: value for name, value in settings.items() if value is not None}
        preparation = fit_table(trained, PrepareConfig.model_validate(plain), {"d": "ymd"})
        found, expected = _both(preparation, new)
        exact = settings["pca"] is None
        tolerance = {"rtol": 0.0 if exact else 1e-6, "atol": 0.0 if exact else 1e-5}
        np.testing.assert_allclose(found, expected, err_msg=str(settings), **tolerance)


def test_a_table_read_back_from_json_is_packaged_as_before() -> None:
    frame = _table(0)
    fitted = fit_table(frame, PrepareConfig(scale="quantile", indicator=True), {"d": "ymd"})
    again = TablePreparation.model_validate(fitted.model_dump(mode="json"))
    found, expected = _both(again, frame)
    np.testing.assert_array_equal(found, expected)


def test_rows_of_windows_are_prepared_like_single_ones() -> None:
    frame = _table(0)
    preparation = fit_table(frame, PrepareConfig(indicator=True), {"d": "ymd"})
    raw = raw_columns([preparation])
    table, given_rows = Table(preparation, raw), _raw(frame, raw)
    windows = {name: x.reshape(8, 10, -1) for name, x in given_rows.items()}
    found = table(windows).numpy()
    np.testing.assert_array_equal(found.reshape(N_ROWS, -1), preparation.apply(frame))


finite = st.floats(-1e30, 1e30, allow_nan=False, width=64)


@given(
    values=st.lists(finite, min_size=1, max_size=20),
    knots=st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=9, unique=True),
)
def test_a_curve_is_what_numpy_interpolates(values: list[float], knots: list[float]) -> None:
    levels = np.linspace(-3.0, 3.0, len(knots)).tolist()
    curve = Curve(knots=sorted(knots), levels=levels)
    given_values = np.array([*values, *knots])
    found = Curves([None, curve])(torch.from_numpy(np.stack([given_values] * 2, axis=1))).numpy()
    np.testing.assert_array_equal(found[:, 0], given_values)
    np.testing.assert_allclose(found[:, 1], curve.apply(given_values), rtol=1e-12, atol=1e-12)


@given(
    value=st.one_of(st.floats(allow_nan=True, allow_infinity=False, width=64), st.just(np.nan)),
    center=st.floats(-1e9, 1e9),
    scale=st.floats(1e-300, 1e300),
    clip=st.one_of(st.none(), st.just([-10.0, 1e5])),
)
def test_any_number_becomes_the_float32_that_numpy_makes_of_it(
    value: float, center: float, scale: float, clip: list[float] | None
) -> None:
    column = NumericColumn(name="a", fill=1.5, center=center, scale=scale, clip=clip)
    found = Numbers([column])(torch.tensor([[value]], dtype=torch.float64)).numpy()
    np.testing.assert_array_equal(found, column.apply(pd.Series([value], name="a")))
    assert np.isfinite(found).all()


def test_members_of_an_ensemble_share_a_vocabulary_of_what_each_knows() -> None:
    frame = _table(0)
    every = fit_table(frame, PrepareConfig(), {"d": "ymd"})
    rare = fit_table(frame, PrepareConfig(rare=0.2, indicator=True, clip=0.1), {"d": "ymd"})
    raw = raw_columns([rare, every])
    assert set(raw.vocabularies[raw.texts.index("b")]) == {"x", "y", "z"}
    for preparation in (every, rare):
        found = Table(preparation, raw)(_raw(frame, raw)).numpy()
        np.testing.assert_array_equal(found, preparation.apply(frame))


def test_preparations_of_other_columns_are_no_ensemble() -> None:
    frame = _table(0)
    first = fit_table(frame, PrepareConfig(), {"d": "ymd"})
    second = fit_table(frame.drop(columns="g"), PrepareConfig(), {"d": "ymd"})
    with pytest.raises(ValueError, match="take different columns"):
        raw_columns([first, second])


def test_rows_without_columns_have_none() -> None:
    images = fit_preparation(np.zeros((3, 1, 2, 2), np.uint8), PrepareConfig())
    assert raw_columns([images]) == RawColumns()


def test_taking_all_places_in_order_computes_nothing() -> None:
    x = torch.arange(6.0).view(2, 3)
    assert Take([0, 1, 2], 3)(x) is x
    assert Take([2, 0], 3)(x).tolist() == [[2.0, 0.0], [5.0, 3.0]]
