from typing import Any

import numpy as np
import pandas as pd
import pytest

from hpo.errors import DataError
from hpo.export.contents import manifest_of, pack
from hpo.predict.predictor import Raw
from hpo.ship.feeds import feeds_of
from hpo.ship.manifest import Manifest, Statistics, manifest_text, read_manifest
from lightning_modules.data.kinds import ragged
from tests.contracts.exported import Case, first, raw_rows, run_of, source_of

NOTHING = Statistics(n_rows=0, inputs=[], predictions=[])
FAMILIES = {"table": "mlp", "image": "mlp", "window": "mlp", "text": "text_cnn"}


def _manifest(rows: str, form: str = "onnx", **prepare: Any) -> Manifest:
    task = "forecasting" if rows == "window" else "binary"
    case = Case(family=FAMILIES.get(rows, "tcn"), rows=rows, task=task, prepare=prepare)
    source = source_of(run_of(case))
    return manifest_of(source, pack(source), scores=[], statistics=NOTHING, form=form)


def _three() -> pd.DataFrame:
    frame: Any = first(raw_rows("table"), 3, "table")
    frame.loc[0, ["town", "price"]] = [None, np.nan]
    frame.loc[1, "town"] = "Rom"
    frame.loc[2, "town"] = "Köln"
    frame["born"] = pd.Series(["1970-01-02T00:00:01.5", None, "1969-12-31"], dtype="datetime64[us]")
    return frame


def test_a_table_becomes_numbers_texts_and_moments() -> None:
    frame = _three()
    found = feeds_of(_manifest("table"), frame)
    assert list(found) == ["numbers", "texts", "moments"]
    np.testing.assert_array_equal(found["numbers"], frame[["width", "price", "same"]].to_numpy())
    assert found["texts"][:, 0].tolist() == ["", "Rom", "Köln"]
    np.testing.assert_array_equal(found["moments"][:, 0], [86401.5, np.nan, -86400.0])
    assert found["numbers"].flags.c_contiguous


def test_a_pt2_file_takes_codes_in_the_place_of_text() -> None:
    manifest = _manifest("table", "pt2")
    codes = feeds_of(manifest, _three())["codes"]
    known = manifest.vocabularies[0]
    assert codes[:, 0].tolist() == [-1, -2, known.index("Köln")]
    assert codes.dtype == np.int64


def test_columns_are_found_by_name_in_any_order_and_as_categories_too() -> None:
    frame, manifest = _three(), _manifest("table")
    other = frame[frame.columns[::-1]].astype({"town": "category"})
    for name, expected in feeds_of(manifest, frame).items():
        np.testing.assert_array_equal(feeds_of(manifest, other)[name], expected)


def test_an_empty_text_is_unknown_and_not_missing_in_both_formats() -> None:
    frame = _three().assign(town=["", None, "Köln"])
    texts = feeds_of(_manifest("table"), frame)["texts"][:, 0].tolist()
    assert texts[1:] == ["", "Köln"]
    assert texts[0] not in ("", *_manifest("table").vocabularies[0])
    assert feeds_of(_manifest("table", "pt2"), frame)["codes"][:2, 0].tolist() == [-2, -1]


def test_a_series_has_a_window_of_steps_for_each_row() -> None:
    raw: Any = first(raw_rows("window"), 2, "window")
    found = feeds_of(_manifest("window"), raw)
    assert found["numbers"].shape == (2, 6, 4)
    np.testing.assert_array_equal(found["numbers"][1, :, 0], raw["target"].to_numpy()[6:])
    assert found["texts"].shape == (2, 6, 2)


def test_a_step_of_a_series_without_a_logarithm_is_refused_where_one_is_taken() -> None:
    raw: Any = first(raw_rows("window"), 2, "window")
    manifest = _manifest("window", target="log")
    feeds_of(manifest, raw)
    raw.loc[3, "target"] = -1.0
    feeds_of(_manifest("window"), raw)
    with pytest.raises(DataError, match="row 4"):
        feeds_of(manifest, raw)


def test_sequences_are_cut_and_filled_up_to_the_steps_of_the_file() -> None:
    manifest = _manifest("ragged", length=4, difference=1)
    rows = ragged([np.arange(6.0).reshape(3, 2), np.ones((9, 2))])
    found = feeds_of(manifest, rows)
    assert found["sequences"].shape == (2, 5, 2)
    assert found["sequences"][0, 3:].tolist() == [[0.0, 0.0], [0.0, 0.0]]
    assert found["lengths"].tolist() == [3, 9]


def test_texts_are_cut_into_the_tokens_of_training() -> None:
    manifest = _manifest("text")
    found = feeds_of(manifest, np.array(["one never-seen", None], dtype=object))["tokens"]
    assert found.shape == (2, manifest.inputs[0].shape[0])
    assert found[1].tolist()[:2] == [1, 0]


@pytest.mark.parametrize(
    ("rows", "raw", "complaint"),
    [
        ("table", _three().drop(columns="price"), "columns missing: 'price'"),
        ("table", _three().assign(width=np.inf), "'width' has an infinite number in row 1"),
        ("image", np.zeros((2, 8, 8)), r"images have shape \(2, 8, 8\); expected \(rows, 2, 8, 8"),
        ("image", np.full((2, 2, 8, 8), np.nan), "image 1 has a pixel that is NaN"),
        ("sequence", np.zeros((2, 9, 3)), "row 1 has 3 channels; expected 2"),
        ("sequence", np.zeros((2, 5, 2)), "row 1 has 5 steps; at least 9 are needed"),
    ],
)
def test_rows_that_do_not_fit_are_refused(rows: str, raw: Raw, complaint: str) -> None:
    with pytest.raises(DataError, match=complaint):
        feeds_of(_manifest(rows), raw)


def test_a_manifest_is_read_back_equal() -> None:
    manifest = _manifest("table", scale="quantile", indicator=True)
    assert read_manifest(manifest_text(manifest), "model.onnx") == manifest


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('{"schema": "hpo.model/2"}', "is of 'hpo.model/2', this version of hpo reads"),
        ("[]", "is of None"),
        ('{"schema": "hpo.model/1"}', r"its manifest is wrong \(name: Field required\)"),
        ("{", "its manifest is no JSON"),
    ],
)
def test_another_manifest_is_refused(text: str, complaint: str) -> None:
    from hpo.errors import UsageError

    with pytest.raises(UsageError, match=complaint):
        read_manifest(text, "model.onnx")
