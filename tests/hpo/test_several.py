"""Several targets of a row, from a table to predictions: numbers, and labels."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from hpo.draft.describe import describe_table
from hpo.draft.init import draft_study
from hpo.errors import DataError
from hpo.evaluate import evaluate_study
from hpo.layout import StudyFolder
from hpo.predict.stream import predict_rows
from hpo.spec import load_study
from hpo.study import run_study

NAMES = {"labels": ["hot", "wet", "windy"], "numbers": ["low", "high"]}
Study = tuple[str, Path]


def table() -> pd.DataFrame:
    x = np.random.default_rng(0).normal(size=(90, 3))
    frame = pd.DataFrame(x, columns=["a", "b", "c"])
    frame["hot"] = np.where(x[:, 0] > 0, "yes", "no")
    frame["wet"] = x[:, 1] > 0.5
    frame["windy"] = (x[:, 2] > 0).astype(int)
    frame["low"], frame["high"] = x[:, 0] * 2 + 1, 1000 * x[:, 1] - 500
    return frame


@pytest.fixture(scope="module", params=["labels", "numbers"])
def study(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Study:
    """A study of two trials over a draft of ours, evaluated."""
    folder, names = tmp_path_factory.mktemp(request.param), NAMES[request.param]
    others = [one for kind, some in NAMES.items() if kind != request.param for one in some]
    table().drop(columns=others).to_csv(folder / "t.csv", index=False)
    text = draft_study(folder / "t.csv", target=",".join(names), name="tiny")
    (folder / "study.yaml").write_text(text)
    sets = ["trainer.max_epochs=2", "budget.trials=2", "trainer.accelerator=cpu"]
    spec = load_study(folder / "study.yaml", sets)
    done = run_study(spec, folder)
    evaluate_study(done.folder, test=True)
    return request.param, folder


def test_a_draft_asks_for_all_targets(study: Study) -> None:
    kind, folder = study
    text = (folder / "study.yaml").read_text()
    expected = {
        "labels": "task: {kind: multilabel}\n",
        "numbers": "task: {kind: regression}\n",
    }
    assert expected[kind] in text
    assert f"  target: [{', '.join(NAMES[kind])}]\n" in text
    if kind == "labels":
        assert f"# labels and the rows with them: hot {sum(table().hot == 'yes')}, wet" in text
        assert "objective: {metric: f1}" in text


def test_the_best_config_says_why_what_labels_and_numbers_lack_is_null(study: Study) -> None:
    kind, folder = study
    best = json.loads((folder / "tiny" / "best_config.json").read_text())
    why = {"labels": "a row has any number of labels", "numbers": "a regression has no classes"}
    assert best["null_because"]["data.classes"] == why[kind]
    assert best["test"]["opened"] == 1


def test_an_evaluation_speaks_of_each_target(study: Study) -> None:
    kind, folder = study
    found = json.loads(StudyFolder(folder / "tiny").evaluated("test").read_text())
    if kind == "labels":
        assert [one["name"] for one in found["per_class"]] == NAMES["labels"]
        assert set(found["figures"]) == {"roc", "pr", "reliability"}
        assert found["ci95"]["subset_accuracy"][0] < found["ci95"]["subset_accuracy"][1]
        return
    each = found["per_target"]
    assert [one["name"] for one in each] == NAMES["numbers"]
    assert found["metrics"]["rmse"] == pytest.approx(
        np.mean([one["metrics"]["rmse"] for one in each])
    )
    assert each[1]["residuals"]["sd"] > 100 * each[0]["residuals"]["sd"]
    assert (found["residuals"], set(found["figures"])) == (None, {"residuals"})


def test_every_target_has_a_column_of_predictions(study: Study) -> None:
    kind, folder = study
    best = folder / "tiny" / "best_config.json"
    names, *rows = predict_rows(best, folder / "t.csv", probabilities=kind == "labels")
    predicted = [f"prediction_{name}" for name in NAMES[kind]]
    assert len(rows) == 90
    if kind == "numbers":
        assert names == predicted
        assert np.std([float(row[1]) for row in rows]) > 50
        return
    assert names == [*predicted, *(f"p_{name}" for name in NAMES[kind])]
    for row in rows:
        assert row[:3] == [str(int(float(share) > 0.5)) for share in row[3:]]


def test_the_table_of_an_evaluation_names_each_target(study: Study, cli: Any) -> None:
    kind, folder = study
    said = cli("evaluate", "tiny", "--results", folder)
    heading = {"labels": "label  precision", "numbers": "target  "}[kind]
    assert heading in said.out
    lines = said.out.splitlines()
    assert all(any(line.startswith(f"{name} ") for line in lines) for name in NAMES[kind])


def test_columns_of_several_targets_are_described(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    table().to_csv(path, index=False)
    becomes = {one.column: one.becomes for one in describe_table(path, target="hot, windy").columns}
    assert becomes["hot"] == becomes["windy"] == "target: a label"
    becomes = {one.column: one.becomes for one in describe_table(path, target="low,high").columns}
    assert becomes["low"] == "target: a number to predict"


def test_a_comma_in_the_name_of_a_column_is_no_list(tmp_path: Path) -> None:
    frame = table().drop(columns=["wet", "windy"]).rename(columns={"hot": "hot,cold"})
    frame.to_csv(tmp_path / "t.csv", index=False)
    text = draft_study(tmp_path / "t.csv", target="hot,cold")
    assert '  target: "hot,cold"\n' in text
    assert "task: {kind: binary}" in text


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("hot,wte", "has no column 'wte'; did you mean 'wet'?"),
        ("hot,hot", "the target 'hot' is named twice; name it once"),
        ("hot,low", "the targets are neither all labels nor all numbers: 'hot' is not; labels are"),
        ("rare,hot", "1 rows have the label 'rare'; 3 must: add rows, or leave it out"),
    ],
)
def test_targets_that_do_not_go_together_are_refused(
    tmp_path: Path, target: str, message: str
) -> None:
    frame = table()
    frame["rare"] = (np.arange(90) == 7).astype(int)
    frame.to_csv(tmp_path / "t.csv", index=False)
    with pytest.raises(DataError) as caught:
        draft_study(tmp_path / "t.csv", target=target)
    assert message in str(caught.value)


def test_predictions_are_read_as_csv(study: Study, cli: Any) -> None:
    kind, folder = study
    said = cli("predict", folder / "tiny" / "best_config.json", folder / "t.csv")
    header, *rows = csv.reader(said.out.splitlines())
    assert header == [f"prediction_{name}" for name in NAMES[kind]]
    assert len(rows) == 90
