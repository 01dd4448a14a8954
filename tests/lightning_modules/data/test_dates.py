from typing import Any

import pandas as pd
import pytest

from lightning_modules.data.dates import looks_like_dates, with_dates
from lightning_modules.data.frames import Reading
from lightning_modules.errors import DataError


def read(values: list[Any], **reading: Any) -> tuple["pd.Series[Any]", str | None]:
    frame, orders = with_dates(pd.DataFrame({"d": values}), Reading(where="t", **reading))
    return frame["d"], orders.get("d")


@pytest.mark.parametrize(
    ("texts", "order", "first"),
    [
        (["2024-01-31", None, "2023-12-01"], "ymd", "2024-01-31"),
        (["2024/1/31 7:05", "2023/12/01 23:59"], "ymd", "2024-01-31 07:05"),
        (["2024-01-31T07:05:09.25Z", "2023-12-01T00:00:00+02:00"], "ymd", "2024-01-31 07:05:09.25"),
        (["1.2.2024", "13.2.2024"], "dmy", "2024-02-01"),
        (["1/2/2024", "2/13/2024"], "mdy", "2024-01-02"),
    ],
)
def test_dates_are_read_in_the_order_that_all_of_them_fit(
    texts: list[Any], order: str, first: str
) -> None:
    moments, found = read(texts)
    assert found == order
    assert moments.iloc[0] == pd.Timestamp(first)


@pytest.mark.parametrize(
    "values", [["2024", "2025"], ["1.5", "2.5"], [1.0, 2.0], ["x", "y"], [None]]
)
def test_what_is_no_date_stays_as_it_is(values: list[Any]) -> None:
    column, order = read(values)
    assert order is None
    assert column.equals(pd.DataFrame({"d": values})["d"])


def test_dates_listed_as_categories_stay_text() -> None:
    assert read(["2024-01-31", "2024-02-01"], categorical=["d"])[1] is None


def test_a_text_among_dates_is_named_with_its_row() -> None:
    dates = [f"2024-01-{day:02}" for day in range(1, 29)]
    with pytest.raises(DataError, match=r"column 'd' holds dates, but row 29 has '2024-02-31'"):
        read([*dates, "2024-02-31"])


def test_a_column_that_can_be_read_in_two_ways_is_refused() -> None:
    with pytest.raises(DataError, match=r"such as '1/2/2024': which is the month\?; write them as"):
        read(["1/2/2024", "3/4/2024"])


def test_nearly_all_must_be_dates() -> None:
    assert looks_like_dates(["2024-01-31"] * 19 + ["soon"])
    assert not looks_like_dates(["2024-01-31"] * 8 + ["soon"] * 2)
    assert not looks_like_dates([])
