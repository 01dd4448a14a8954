"""Predictions for texts, sequences and series."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from hpo.errors import DataError
from hpo.predict.runs import open_run
from hpo.predict.stream import predict_rows
from lightning_modules.config import RunConfig
from lightning_modules.data.config import SourceConfig
from lightning_modules.data.prepared import prepare_task
from lightning_modules.restore import outputs_of
from lightning_modules.task import ForecastingConfig
from lightning_modules.train import train

DAYS = [f"{1 + i % 28:02}.{1 + i // 28:02}.2024" for i in range(80)]
RANDOM = np.random.default_rng(0)


def trained(folder: Path, **sections: Any) -> Path:
    tiny = {"max_epochs": 1, "batch_size": 32, "accelerator": "cpu"}
    train(RunConfig.model_validate({"trainer": tiny, **sections}), folder)
    return folder


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a run on a column of texts."""
    folder = tmp_path_factory.mktemp("texts")
    frame = pd.DataFrame({"said": [f"{'no' if i % 2 else 'yes'} {i}" for i in range(40)]})
    frame.assign(y=["a", "b"] * 20).to_csv(folder / "data.csv", index=False)
    data = {"source": "csv", "path": str(folder / "data.csv"), "target": "y", "text": "said"}
    return trained(
        folder / "run",
        task={"kind": "binary"},
        data=data,
        model={"family": "gru", "width": 4, "n_layers": 1},
    )


@pytest.fixture(scope="module")
def sequences(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a run on sequences of different lengths."""
    return trained(
        tmp_path_factory.mktemp("sequences") / "run",
        task={"kind": "binary"},
        data={"source": "sequence_sum", "n_rows": 40},
        model={"family": "gru", "width": 4, "n_layers": 1},
    )


def series(n_rows: int = 80) -> pd.DataFrame:
    other = ["x" if i % 3 else "y" for i in range(80)]
    return pd.DataFrame({"day": DAYS, "y": np.sin(np.arange(80.0)), "c": other}).head(n_rows)


@pytest.fixture(scope="module")
def steps(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a run on a series with a column of categories, ordered by its days."""
    folder = tmp_path_factory.mktemp("series")
    series().to_csv(folder / "data.csv", index=False)
    data = {"source": "csv", "path": str(folder / "data.csv"), "target": "y", "time": "day"}
    return trained(
        folder / "run",
        task={"kind": "forecasting", "window": 6, "horizon": 3},
        data=data,
        model={"family": "gru", "width": 4, "n_layers": 1},
    )


def as_trained(run: Path) -> list[list[str]]:
    """Return the predictions for the validation rows, prepared as in training."""
    model = open_run(run)
    assert isinstance(model.config.data, SourceConfig)
    task = model.config.task
    data = prepare_task(
        model.config.data.model_copy(update={"path": str(run.parent / "data.csv")}),
        task_kind=str(model.config.kind),
        **({"forecast": task} if isinstance(task, ForecastingConfig) else {}),
    )
    outputs = outputs_of(model.module, data.validation.x)
    if model.answers.classes is None:
        return outputs.numpy().astype(str).tolist()  # type: ignore[no-any-return]
    return [[model.answers.classes[i]] for i in outputs.argmax(1).tolist()]


def test_texts_are_predicted_from_their_column_alone(texts: Path, tmp_path: Path) -> None:
    pd.DataFrame({"z": [1, 2, 3], "said": ["yes 1", None, "77"]}).to_csv(tmp_path / "new.csv")
    names, *rows = predict_rows(texts, tmp_path / "new.csv", probabilities=True)
    assert names == ["prediction", "p_a", "p_b"]
    assert len(rows) == 3
    np.savez(tmp_path / "new.npz", x=np.array(["yes 1", "", "77"]))
    assert [*predict_rows(texts, tmp_path / "new.npz", probabilities=True)][1:] == rows
    (tmp_path / "other.csv").write_text("text\nyes\n")
    with pytest.raises(DataError, match="columns missing: 'said'; expected: 'said'"):
        predict_rows(texts, tmp_path / "other.csv")
    np.savez(tmp_path / "numbers.npz", x=np.ones((3, 2)))
    with pytest.raises(DataError, match=r"holds float64 of shape \(3, 2\), but the model takes te"):
        predict_rows(texts, tmp_path / "numbers.npz")


def test_sequences_are_predicted_from_archives(sequences: Path, tmp_path: Path) -> None:
    x, lengths = np.zeros((4, 9, 2)), np.array([9, 1, 5, 3])
    x[:] = RANDOM.normal(size=x.shape)
    np.savez(tmp_path / "new.npz", x=x, lengths=lengths)
    rows = [*predict_rows(sequences, tmp_path / "new.npz", probabilities=True)]
    np.save(tmp_path / "second.npy", x[1:2, :1])
    again = [*predict_rows(sequences, tmp_path / "second.npy", probabilities=True)]
    assert [rows[0], rows[2]] == again
    (tmp_path / "new.csv").write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match=r"is a table, but the model takes sequences; give \.npz"):
        predict_rows(sequences, tmp_path / "new.csv")
    np.save(tmp_path / "wide.npy", np.zeros((2, 3, 5)))
    with pytest.raises(DataError, match="row 1 has 5 channels; expected 2"):
        predict_rows(sequences, tmp_path / "wide.npy")


def test_the_steps_after_a_series_are_predicted_from_its_last_ones(
    steps: Path, tmp_path: Path
) -> None:
    wanted = as_trained(steps)
    end = 48  # where the first validation sample's prediction begins
    new = series(end).tail(9)
    new.to_csv(tmp_path / "new.csv", index=False)
    names, *rows = predict_rows(steps, tmp_path / "new.csv")
    assert names == ["step", "prediction"]
    assert [row[0] for row in rows] == ["1", "2", "3"]
    np.testing.assert_allclose([float(row[1]) for row in rows], [*map(float, wanted[0])], rtol=1e-5)
    new.sample(frac=1, random_state=0).to_csv(tmp_path / "mixed.csv", index=False)
    assert [*predict_rows(steps, tmp_path / "mixed.csv")][1:] == rows
    new.to_parquet(tmp_path / "new.parquet")
    assert [*predict_rows(steps, tmp_path / "new.parquet")][1:] == rows


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda frame: frame.head(5), "has 5 rows, but the model looks at the last 6; give at lea"),
        (lambda frame: frame.drop(columns="y"), "columns missing: 'y'; expected: 'day', 'y', 'c'"),
        (lambda frame: frame.assign(y=None), "column 'y' has no value in row 75; complete it"),
        (lambda frame: frame.assign(y="no"), "column 'y' holds numbers, but row 1 has 'no'"),
        (lambda frame: frame.assign(day="?"), "column 'day' has no moment in row 1"),
    ],
)
def test_a_series_that_does_not_fit_is_refused(
    steps: Path, tmp_path: Path, change: Any, message: str
) -> None:
    change(series()).to_csv(tmp_path / "new.csv", index=False)
    with pytest.raises(DataError, match=message):
        predict_rows(steps, tmp_path / "new.csv")
