import csv
import io
import json
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn import datasets

from hpo.errors import DataError, UsageError
from hpo.predict import arrays, csv_blocks
from hpo.predict.reading import STDIN, pieces_of
from hpo.predict.runs import open_run, prepared
from hpo.predict.stream import Wanted, predict_rows, write_predictions
from lightning_modules.config import RunConfig
from lightning_modules.data.raw import load
from lightning_modules.train import train

TOWNS, LABELS = ("01", "B", "C"), ("-1", "=no", "=no", "=no")
TABLE = "id,age,town,member,y\n" + "".join(
    f"{i},{i % 9 if i % 5 else ''},{TOWNS[i % 3]},{i % 2 == 0},{LABELS[i % 4]}\n" for i in range(60)
)


def trained(folder: Path, **sections: Any) -> Path:
    """Train two epochs; return the run's folder."""
    tiny = {"max_epochs": 2, "batch_size": 32, "accelerator": "cpu"}
    train(RunConfig.model_validate({"trainer": tiny, **sections}), folder)
    return folder


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a run on a table with numbers, categories, booleans and missing values."""
    folder = tmp_path_factory.mktemp("table")
    (folder / "data.csv").write_text(TABLE)
    return trained(
        folder / "run",
        task={"kind": "binary"},
        optimizer={"name": "adamw", "lr": 0.1},
        data={"source": "csv", "path": str(folder / "data.csv"), "target": "y", "ignore": ["id"]},
        model={"family": "mlp", "n_layers": 1, "width": 8},
    )


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a run on images of 8 by 8 pixels."""
    return trained(
        tmp_path_factory.mktemp("digits") / "run",
        task={"kind": "multiclass"},
        data={"source": "digits"},
        model={"family": "cnn", "n_layers": 1, "width": 4},
    )


@pytest.fixture(scope="module")
def diabetes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a run that predicts a number."""
    return trained(
        tmp_path_factory.mktemp("diabetes") / "run",
        task={"kind": "regression"},
        data={"source": "diabetes"},
        model={"family": "mlp", "n_layers": 1, "width": 8},
    )


def write(folder: Path, text: str | bytes, name: str = "new.csv") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def expected_outputs(run: Path, x: np.ndarray[Any, Any]) -> list[list[float]]:
    """Return what the network itself says for prepared rows."""
    model = open_run(run)
    with torch.inference_mode():
        outputs: list[list[float]] = model.module.predict(
            model.module(torch.from_numpy(x))
        ).tolist()
    return outputs


def floats(rows: Sequence[Sequence[str]]) -> list[list[float]]:
    return [[float(cell) for cell in row[1:]] for row in rows]


def test_rows_keep_their_order_and_probabilities_sum_to_one(table: Path, tmp_path: Path) -> None:
    names, *rows = predict_rows(table, write(tmp_path, TABLE), probabilities=True)
    assert names == ["prediction", "p_-1", "p_=no"]
    assert len(rows) == 60
    for row in rows:
        shares = [float(cell) for cell in row[1:]]
        assert sum(shares) == pytest.approx(1, abs=1e-6)
        assert row[0] == ("-1", "=no")[int(np.argmax(shares))]
    assert [row[:1] for row in rows] == [*predict_rows(table, tmp_path / "new.csv")][1:]


def test_columns_may_come_in_any_order_without_target_and_ignored_ones(
    table: Path, tmp_path: Path
) -> None:
    whole = [*predict_rows(table, write(tmp_path, TABLE), probabilities=True)]
    records = list(csv.DictReader(io.StringIO(TABLE)))
    turned = "town,member,age\n" + "".join(
        f"{r['town']},{r['member']},{r['age']}\n" for r in records
    )
    assert [*predict_rows(table, write(tmp_path, turned), probabilities=True)] == whole


def test_small_pieces_give_what_the_whole_gives(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = [*predict_rows(table, write(tmp_path, TABLE), probabilities=True)]
    monkeypatch.setattr(csv_blocks, "BLOCK_BYTES", 9)  # about a row: a town may be the number 01
    pieces = [*predict_rows(table, tmp_path / "new.csv", probabilities=True)]
    assert [row[0] for row in pieces] == [row[0] for row in whole]
    np.testing.assert_allclose(floats(pieces[1:]), floats(whole[1:]), atol=1e-6)


def test_missing_and_unseen_values_are_treated_as_in_training(table: Path, tmp_path: Path) -> None:
    text = "age,town,member\n,B,true\nNA,?,\n3,nowhere,maybe\n"
    _, *rows = predict_rows(table, write(tmp_path, text), probabilities=True)
    preparation = json.loads((table / "preparation.json").read_text())["preparation"]["columns"]
    age, town, member = preparation
    assert (age["name"], town["categories"], member["categories"]) == (
        "age",
        ["01", "B", "C"],
        ["False", "True"],
    )
    filled = (age["fill"] - age["center"]) / age["scale"]
    one_hot = [float(category == town["fill"]) for category in town["categories"]]
    booleans = [float(category == member["fill"]) for category in member["categories"]]
    x = [
        [filled, 0, 1, 0, 0, 1],
        [filled, *one_hot, *booleans],
        [(3 - age["center"]) / age["scale"], 0, 0, 0, 0, 0],
    ]
    expected = expected_outputs(table, np.array(x, dtype=np.float32))
    np.testing.assert_allclose(floats(rows), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("age,town\n1,B\n", "columns missing: 'member'; expected: 'age', 'town', 'member'"),
        ("age,town,member,z\n1,B,True,2\n", "columns not expected: 'z'; expected: 'age', 'town'"),
        ("age,town,member\n1,B\n", "line 2 has 2 fields, the header has 3"),
        ("age,town,member\n", "has a header but no rows"),
        ("age,town,member\n1,B,True\nx,B,True\n", "column 'age' holds numbers, but row 2 has 'x'"),
        ("age,town,member\ninf,B,True\n", "column 'age' holds numbers, but row 1 has 'inf'"),
    ],
)
def test_a_table_that_does_not_fit_is_refused_before_anything_is_written(
    table: Path, tmp_path: Path, text: str, message: str
) -> None:
    to = tmp_path / "out.csv"
    with pytest.raises(DataError, match=message) as caught:
        write_predictions(table, write(tmp_path, text), to)
    assert str(caught.value).startswith(str(tmp_path / "new.csv"))
    assert [path.name for path in tmp_path.iterdir()] == ["new.csv"]


def test_new_rows_may_come_in_another_form_than_those_of_training(
    table: Path, tmp_path: Path
) -> None:
    plain = write(tmp_path, "age,town,member\n1.5,B,True\n2,é,False\n")
    other = write(tmp_path, "age;town;member\n1,5;B;True\n2;é;False\n".encode("cp1252"), "o.csv")
    rows = [list(predict_rows(table, path, probabilities=True)) for path in (plain, other)]
    assert rows[0] == rows[1]


def test_the_row_of_an_error_is_counted_over_all_pieces(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_blocks, "BLOCK_BYTES", 20)
    path = write(tmp_path, "age,town,member\n" + "1,B,True\n" * 6 + "1x,B,True\n")
    with pytest.raises(DataError, match="row 7 has '1x'; correct it"):
        list(predict_rows(table, path))


def test_names_and_model_are_checked_at_the_call(table: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no.csv: there is no such file"):
        predict_rows(table, tmp_path / "no.csv")
    with pytest.raises(UsageError, match=r"no: no such file|no such file"):
        predict_rows(tmp_path / "no", tmp_path / "no.csv")


def test_cells_that_a_spreadsheet_would_calculate_are_quoted(table: Path, tmp_path: Path) -> None:
    to = tmp_path / "out.csv"
    assert write_predictions(table, write(tmp_path, TABLE), to, Wanted(probabilities=True)) == 60
    names, *rows = csv.reader(to.read_text().splitlines())
    assert names == ["prediction", "p_-1", "p_=no"]
    assert {row[0] for row in rows} <= {"'=no", "-1"}
    assert "'=no" in {row[0] for row in rows}


def test_predictions_go_to_a_stream_too_and_rows_come_from_stdin(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream, again = io.StringIO(), io.StringIO()
    assert write_predictions(table, write(tmp_path, TABLE), stream) == 60
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(TABLE.encode())))
    assert write_predictions(table, STDIN, again) == 60
    assert again.getvalue() == stream.getvalue()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"age,town\n1,B\n")))
    with pytest.raises(DataError, match="stdin: columns missing: 'member'"):
        predict_rows(table, STDIN)


def test_the_input_is_never_overwritten(table: Path, tmp_path: Path) -> None:
    path = write(tmp_path, TABLE)
    with pytest.raises(UsageError, match="is the input; name another file"):
        write_predictions(table, path, path)
    with pytest.raises(UsageError, match=r"out\.csv: its folder does not exist; mkdir -p"):
        write_predictions(table, path, tmp_path / "no" / "out.csv")
    assert path.read_text() == TABLE


def test_numbers_are_predicted_in_the_units_of_the_target(diabetes: Path, tmp_path: Path) -> None:
    data = datasets.load_diabetes(scaled=False)
    lines = [
        ",".join(data.feature_names),
        *(",".join(map(repr, row)) for row in data.data.tolist()),
    ]
    path = write(tmp_path, "\n".join(lines) + "\n")
    names, *rows = predict_rows(diabetes, path)
    assert names == ["prediction"]
    assert np.mean([float(row[0]) for row in rows]) == pytest.approx(152, abs=40)
    np.save(tmp_path / "new.npy", data.data)
    assert [*predict_rows(diabetes, tmp_path / "new.npy")][1:] == rows
    with pytest.raises(UsageError, match="predicts numbers: there are no probabilities; leave"):
        predict_rows(diabetes, path, probabilities=True)


def test_images_come_as_arrays_or_laid_flat(digits: Path, tmp_path: Path) -> None:
    images = np.asarray(datasets.load_digits().images[:50], dtype=np.float32)[:, None]
    np.save(tmp_path / "a.npy", images)
    np.save(tmp_path / "flat.npy", images.reshape(50, 64).astype(np.uint8))
    np.savez(tmp_path / "a.npz", first=images, second=images[:1])
    header = ",".join(f"pixel{i}" for i in range(64))
    lines = [",".join(map(str, row)) for row in images.reshape(50, 64).astype(int).tolist()]
    write(tmp_path, "\n".join([header, *lines]) + "\n", "a.csv")
    whole = [*predict_rows(digits, tmp_path / "a.npy", probabilities=True)]
    assert whole[0] == ["prediction", *(f"p_{i}" for i in range(10))]
    assert len(whole) == 51
    for name in ("flat.npy", "a.npz", "a.csv"):
        assert [*predict_rows(digits, tmp_path / name, probabilities=True)] == whole


def test_arrays_are_read_in_pieces(
    digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = np.asarray(datasets.load_digits().images[:7], dtype=np.float32)[:, None]
    np.save(tmp_path / "a.npy", images)
    whole = [*predict_rows(digits, tmp_path / "a.npy")]
    monkeypatch.setattr(arrays, "VALUES", 130)
    assert [*predict_rows(digits, tmp_path / "a.npy")] == whole
    images[5, 0, 0, 0] = np.nan
    np.save(tmp_path / "a.npy", images)
    with pytest.raises(DataError, match="row 6 has a value that is NaN or infinite; correct it"):
        list(predict_rows(digits, tmp_path / "a.npy"))


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((3, 1, 8, 9)), r"float64 of shape \(3, 1, 8, 9\); expected .* \(rows, 1, 8, 8\)"),
        (np.zeros((1, 8, 8)), r"float64 of shape \(1, 8, 8\)"),
        (np.zeros((0, 1, 8, 8)), "a row at least"),
        (np.full((3, 64), "x"), "holds <U1 of shape"),
    ],
)
def test_an_array_of_another_shape_is_refused(
    digits: Path, tmp_path: Path, array: Any, message: str
) -> None:
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(DataError, match=message):
        predict_rows(digits, tmp_path / "a.npy")


def test_a_file_that_is_no_array_is_refused(digits: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no.npy: there is no such file; looked in"):
        predict_rows(digits, tmp_path / "no.npy")
    for name, data in (("a.npy", b"text"), ("a.npz", b"PK\3\4 damaged"), ("b.npy", b"")):
        with pytest.raises(DataError, match=r"is no array \(.*\); save it with numpy.save"):
            predict_rows(digits, write(tmp_path, data, name))
    np.save(tmp_path / "c.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match=r"is no array \(.*Python objects"):
        predict_rows(digits, tmp_path / "c.npy")
    np.savez(tmp_path / "empty.npz")
    with pytest.raises(DataError, match=r"holds no array; save one with numpy.savez"):
        predict_rows(digits, tmp_path / "empty.npz")


def test_an_array_cannot_stand_for_text_columns(table: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros((2, 3)))
    with pytest.raises(
        DataError, match="column 'town' is no number, an array has numbers; give a CSV"
    ):
        predict_rows(table, tmp_path / "a.npy")


def test_flat_images_need_a_value_in_every_pixel(digits: Path, tmp_path: Path) -> None:
    header = ",".join(f"p{i}" for i in range(64))
    path = write(tmp_path, f"{header}\n{',' * 63}\n")
    with pytest.raises(DataError, match="column 'p0' has no value in row 1; complete it"):
        predict_rows(digits, path)
    path = write(tmp_path, "a,b\n1,2\n")
    with pytest.raises(
        DataError, match=r"has 2 columns; expected 64: images \(1, 8, 8\) laid flat"
    ):
        predict_rows(digits, path)
    path = write(tmp_path, ",".join(map(str, [0, 0, 5, 3] * 16)) + "\n" + "1," * 63 + "1\n")
    with pytest.raises(DataError, match="has no header: its first line holds numbers"):
        predict_rows(digits, path)


def test_a_table_of_everything_is_prepared_for_prediction_as_it_was_for_training(
    tmp_path: Path,
) -> None:
    lines = [
        f"{i * 1.5 if i % 6 else ''};{TOWNS[i % 3] if i % 7 else ''};{i % 2 == 0};"
        f"{1 + i % 28:02}.{1 + i % 12:02}.{2000 + i % 20} {i % 24}:30;{1 + i % 5}"
        for i in range(60)
    ]
    text = "age;town;member;born;y\n" + "".join(
        line.replace(".0;", ";", 1).replace(".5;", ",5;", 1) + "\n" for line in lines
    )
    source = tmp_path / "data.csv"
    source.write_text(text)
    choices = {"indicator": True, "clip": 0.05, "rare": 0.2, "scale": "quantile", "pca": 6}
    run = trained(
        tmp_path / "run",
        task={"kind": "regression"},
        data={
            "source": "csv",
            "path": str(source),
            "target": "y",
            "test": None,
            "prepare": {**choices, "target": "log"},
        },
        model={"family": "mlp", "n_layers": 1, "width": 8},
    )
    model = open_run(run)
    raw = load(model.config.data.model_copy(update={"path": str(source)}), task_kind="regression")
    expected = model.fitted.preparation.apply(raw.x)
    pieces = pieces_of(model.inputs, source)
    got = np.concatenate([prepared(model.fitted, piece.raw) for piece in pieces])
    np.testing.assert_array_equal(got, expected)
    assert all(float(row[0]) > 0 for row in list(predict_rows(run, source))[1:])
    new = write(tmp_path, "born;age;member;town\n;;;\n1.2.2031;1e3;true;Z\n")
    assert len(list(predict_rows(run, new))) == 3
    late = write(tmp_path, "born;age;member;town\n;;;\nsoon;1;true;Z\n")
    with pytest.raises(DataError, match=r"column 'born' holds dates, but row 2 has 'soon'"):
        list(predict_rows(run, late))


def test_the_column_that_split_the_rows_may_be_there_or_not(tmp_path: Path) -> None:
    source = tmp_path / "data.csv"
    source.write_text(
        "a,who,y\n" + "".join(f"{i / 7},p{i % 12},{'uv'[i % 2]}\n" for i in range(60))
    )
    run = trained(
        tmp_path / "run",
        task={"kind": "binary"},
        data={
            "source": "csv",
            "path": str(source),
            "target": "y",
            "split": "grouped",
            "group": "who",
        },
        model={"family": "mlp", "n_layers": 1, "width": 8},
    )
    full = list(predict_rows(run, source, probabilities=True))
    alone = write(tmp_path, "a\n" + "".join(f"{i / 7}\n" for i in range(60)))
    assert list(predict_rows(run, alone, probabilities=True)) == full


@pytest.mark.skipif(find_spec("pyarrow") is None, reason="needs the extra parquet")
def test_a_parquet_file_is_predicted_as_its_csv_file(table: Path, tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {"age": [1.5, None], "town": ["B", None], "member": [True, False], "y": ["u", "v"]}
    )
    frame.to_csv(tmp_path / "t.csv", index=False)
    frame.to_parquet(tmp_path / "t.parquet")
    rows = [
        list(predict_rows(table, tmp_path / name, probabilities=True))
        for name in ("t.csv", "t.parquet")
    ]
    assert rows[0] == rows[1]
