import numpy as np
import pandas as pd
import torch

from lightning_modules.data.columns import date_parts
from lightning_modules.packaged.dates import PARTS, Dates


def _parts(seconds: np.ndarray) -> dict[str, np.ndarray]:
    found = Dates()(torch.from_numpy(seconds)[:, None]).numpy()
    return dict(zip(PARTS, found.T, strict=True))


def test_every_day_of_eight_hundred_years_has_the_parts_that_pandas_gives_it() -> None:
    days = np.arange("1600-01-01", "2400-01-01", dtype="datetime64[D]").astype("datetime64[us]")
    moments = pd.Series(days + np.timedelta64(23 * 3600 + 59 * 60, "s"))
    expected = date_parts(moments)
    found = _parts(moments.to_numpy().astype(np.int64) / 1e6)
    assert list(expected) == list(PARTS)
    for name in PARTS:
        np.testing.assert_array_equal(found[name], expected[name], err_msg=name)


def test_the_ends_of_what_dates_can_be_are_taken_too() -> None:
    texts = ["0001-01-01", "0099-12-31T23:59:59", "1969-12-31T23:00", "9999-12-31T12:00"]
    moments = pd.Series(np.array(texts, dtype="datetime64[us]"))
    expected = date_parts(moments)
    found = _parts(moments.to_numpy().astype(np.int64) / 1e6)
    for name in PARTS:
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-15, err_msg=name)


def test_a_missing_date_has_no_parts() -> None:
    assert np.isnan(np.stack([*_parts(np.array([np.nan])).values()])).all()
