"""Rows of every kind, in every form that they can be sent in; the answers are the model's own."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from hpo.predict.onnx_file import OnnxPredictor
from hpo.predict.typed import typed_json
from hpo.serve.reading import Reading
from hpo.ship.feeds import feeds_of
from tests.serve.conftest import Serve, Server
from tests.serve.models import people as made_people

RANDOM = np.random.default_rng(1)


def npy(array: np.ndarray[Any, Any]) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


@pytest.fixture(scope="module")
def rows() -> list[dict[str, Any]]:
    frame = made_people(9, seed=2)
    frame.loc[2, "age"] = np.nan
    frame.loc[3, "town"] = None
    frame.loc[4, "town"] = "Nowhere"
    plain = frame.astype(object).where(frame.notna(), None)
    return plain.to_dict("records")


def expected(files: Path, rows: list[dict[str, Any]]) -> np.ndarray[Any, Any]:
    predictor = OnnxPredictor.open(files / "table.onnx", threads=1)
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    return predictor.outputs(typed_json(predictor.inputs, columns, "rows"))


def probabilities(answer: Any) -> np.ndarray[Any, Any]:
    return np.array([[*one["probabilities"].values()] for one in answer["predictions"]])


def test_json_by_rows_by_columns_and_csv_come_to_the_same(
    people: Server, files: Path, rows: list[dict[str, Any]]
) -> None:
    wanted = expected(files, rows)
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    table = pd.DataFrame(rows).to_csv(index=False)
    semicolons = pd.DataFrame(rows).to_csv(index=False, sep=";")
    answers = [
        people.predict({"rows": rows}),
        people.predict({"columns": columns}),
        people.predict({"rows": [{**row, "id": 1, "buys": "no"} for row in rows]}),
        people.predict(table, "text/csv"),
        people.predict(semicolons.encode("utf-16"), "text/csv; charset=utf-16"),
    ]
    for got in answers:
        assert got.status == 200, got.body
        np.testing.assert_allclose(probabilities(got.json), wanted, atol=2e-9)
    said = [one["prediction"] for one in answers[0].json["predictions"]]
    assert said == ["no" if row[0] > row[1] else "yes" for row in wanted]


def test_an_answer_as_csv_is_the_table_of_hpo_predict(
    people: Server, files: Path, rows: list[dict[str, Any]]
) -> None:
    got = people.predict({"rows": rows}, accept="text/csv")
    assert got.headers["content-type"].startswith("text/csv")
    assert got.headers["x-model"] == people.predict({"rows": rows}).json["model"]
    table = pd.read_csv(io.BytesIO(got.body))
    assert list(table.columns) == ["prediction", "p_no", "p_yes"]
    wanted = expected(files, rows)
    np.testing.assert_array_equal(table[["p_no", "p_yes"]].to_numpy(np.float32), wanted)


@pytest.mark.parametrize(
    "wrong",
    [
        {"age": "1", "income": 1, "town": "a"},
        {"age": True, "income": 1, "town": "a"},
        {"age": 10**400, "income": 1, "town": "a"},
        {"age": 1, "income": 1, "town": 3},
        {"age": 1, "income": 1, "town": 3.0},
        {"age": 1, "income": 1, "town": True},
        {"age": 1, "income": 1, "town": "a", "more": 1},
        {"age": 1, "income": 1},
    ],
)
def test_what_is_not_plain_is_left_to_the_reader_that_all_share(
    files: Path, wrong: dict[str, Any]
) -> None:
    reading = Reading(OnnxPredictor.open(files / "table.onnx").manifest, most_rows=10)
    quick = reading._quick
    assert quick is not None
    assert quick.feeds([wrong]) is None


def test_plain_rows_are_read_fast_to_the_same_inputs(
    files: Path, rows: list[dict[str, Any]]
) -> None:
    predictor = OnnxPredictor.open(files / "table.onnx")
    reading = Reading(predictor.manifest, most_rows=10)
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    wanted = feeds_of(predictor.manifest, typed_json(predictor.inputs, columns, "rows"))
    quick = reading._quick
    assert quick is not None
    for given in (rows, [{**row, "town": row["town"] or ""} for row in rows]):
        found = quick.feeds(given)
        assert found is not None
        assert found.keys() == wanted.keys()
        for name, values in wanted.items():
            np.testing.assert_array_equal(found[name], values)
            assert found[name].dtype == values.dtype


def test_numbers_come_as_an_array_too(serve: Serve, files: Path) -> None:
    server = serve(files / "numbers.onnx")
    values = RANDOM.normal(size=(7, 30))
    values[0, 0] = np.nan
    names = [f"x{i}" for i in range(30)]
    cells = pd.DataFrame(values, columns=names).astype(object).where(~np.isnan(values), None)
    of_json = server.predict({"rows": cells.to_dict("records")})
    of_array = server.predict(npy(values), "application/x-npy")
    assert of_json.status == of_array.status == 200
    assert of_json.json == of_array.json


def test_images_come_nested_flat_and_as_an_array(serve: Serve, files: Path) -> None:
    server = serve(files / "images.onnx")
    pixels = RANDOM.integers(0, 17, (3, 1, 8, 8))
    predictor = OnnxPredictor.open(files / "images.onnx")
    wanted = predictor.outputs(pixels.astype(np.float32))
    for got in (
        server.predict({"rows": pixels.tolist()}),
        server.predict({"rows": pixels[:, 0].tolist()}),
        server.predict({"rows": pixels.reshape(3, -1).tolist()}),
        server.predict(npy(pixels.astype(np.uint8)), "application/x-npy"),
    ):
        assert got.status == 200, got.body
        np.testing.assert_allclose(probabilities(got.json), wanted, atol=2e-9)
    for rows in ([[1, 2]], [pixels[0].tolist(), [1]], [["a"] * 64], [[None] * 64]):
        got = server.predict({"rows": rows})
        assert got.status == 422
        assert got.error["where"].startswith("rows")


def test_texts_are_answered_label_by_label(serve: Serve, files: Path) -> None:
    server = serve(files / "texts.onnx")
    got = server.predict({"rows": ["the good: so good", "", "bad"]})
    assert got.status == 200, got.body
    first = got.json["predictions"][0]
    assert first["prediction"].keys() == first["probabilities"].keys() == {"kind", "loud"}
    assert {*first["prediction"].values()} <= {0, 1}
    of_csv = server.predict('review\nthe good: so good\n""\nbad\n', "text/csv")
    assert of_csv.json == got.json
    assert server.predict({"rows": [["a"]]}).error["where"] == "rows[0].text"


def test_sequences_of_any_length_are_answered_by_a_number(serve: Serve, files: Path) -> None:
    server = serve(files / "sequences.onnx")
    got = server.predict({"rows": [[[1, 2]], [[1, 2], [3, None], [0, 0]]]})
    assert [one["prediction"] for one in got.json["predictions"]] == [3, 2]
    wrong = server.predict({"rows": [[[1, 2]], [[1, 2], [3]]]})
    assert (wrong.status, wrong.error["where"]) == (422, "rows[1]")
    assert server.predict({"rows": [[[1, 2, 3]]]}).status == 422


def test_dates_and_truths_are_read_as_training_read_them(serve: Serve, files: Path) -> None:
    server = serve(files / "dates.onnx")
    rows = [{"seen": "02.01.1970", "member": True}, {"seen": None, "member": "false"}]
    got = server.predict({"rows": rows})
    assert [one["prediction"] for one in got.json["predictions"]] == [2, 0]
    wrong = server.predict({"rows": [{"seen": "tomorrow", "member": True}]})
    assert (wrong.status, wrong.error["where"]) == (422, "rows[0].seen")


@pytest.mark.parametrize("kind", ["table", "images", "texts", "sequences", "dates"])
def test_what_is_told_of_a_model_keeps_its_inside_to_itself(
    serve: Serve, files: Path, kind: str
) -> None:
    server = serve(files / f"{kind}.onnx")
    told = server.get("/metadata").json
    assert told["rows"]["kind"]
    assert told["scores"][0]["ci95"] == [0.88, 0.92]
    text = json.dumps(told)
    for inside in ("path", "center", "statistics", "vocabular", 'config"', ".csv"):
        assert inside not in text
    page = server.get("/")
    assert page.status == 200
    assert "<script src=" in page.body.decode()
    assert server.get("/openapi.json").status == 200
