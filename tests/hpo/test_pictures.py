import csv
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest
import torch

from hpo import pictures
from hpo.pictures import Gallery, mistaken
from hpo.records import curve_rows, read_trials
from hpo.spec import StudySpec
from hpo.study import run_study
from lightning_modules.build import RunData, open_data
from lightning_modules.checkpoint import load_checkpoint
from lightning_modules.config import RunConfig
from lightning_modules.metrics import confusion
from lightning_modules.restore import score

SVG = "{http://www.w3.org/2000/svg}"
MakeSpec = Callable[..., StudySpec]
NOTHING = RunData(prepared=None, facts=None)


def words(path: Path) -> list[str]:
    picture = path.read_text(encoding="utf-8")
    return [one.text or "" for one in ElementTree.fromstring(picture).iter(f"{SVG}text")]


def test_a_trial_has_its_curve_and_a_complete_one_its_confusion(finished) -> None:
    for record in finished.records:
        trial = finished.folder.trial(record.number)
        assert (trial / "curve.svg").is_file() == bool(curve_rows(trial))
        assert (trial / "confusion.svg").is_file() == (record.state == "complete")
        if record.run is not None:
            assert f"tiny, trial {record.number}, {record.state}" in words(trial / "curve.svg")


def test_the_confusion_is_that_of_the_weights_that_were_kept(finished) -> None:
    record = next(r for r in finished.records if r.state == "complete" and "default" in r.notes)
    trial = finished.folder.trial(record.number)
    config = RunConfig.model_validate(record.config)
    scored = score(config, trial / "best.ckpt", split="validation", data=open_data(config))
    assert scored.outputs is not None
    assert scored.targets is not None
    table = confusion(scored.outputs, scored.targets)
    hints = [one.text for one in ElementTree.parse(trial / "confusion.svg").iter(f"{SVG}title")]
    names = ["setosa", "versicolor", "virginica"]
    expected = [
        f"{names[i]} taken for {names[j]}: {count} of {sum(row)}"
        for i, row in enumerate(table)
        for j, count in enumerate(row)
        if count
    ]
    assert hints[1:] == expected
    assert not load_checkpoint(trial / "best.ckpt").get("trained")


@pytest.mark.parametrize(
    ("sections", "about"),
    [
        ({}, "tiny, trial 0, validation: "),
        ({"data": {"source": "diabetes", "folds": 2}}, "validation of the first fold"),
    ],
    ids=["once", "folds"],
)
def test_a_regression_shows_its_residuals(
    make_spec: MakeSpec, tmp_path: Path, sections: dict[str, object], about: str
) -> None:
    given = {"task": {"kind": "regression"}, "data": {"source": "diabetes"}, **sections}
    folder = run_study(make_spec("budget.trials=1", **given), tmp_path).folder
    shown = words(folder.trial(0) / "residuals.svg")
    assert about in shown[1]
    assert (folder.trial(0) / "residuals.svg").stat().st_size < 40_000
    assert not list(folder.trial(0).glob("fold-*/*.svg"))


def test_a_trial_that_takes_the_outcome_of_another_has_its_pictures(
    make_spec: MakeSpec, tmp_path: Path
) -> None:
    spec = make_spec(
        "budget.trials=3",
        model={"family": "mlp", "n_layers": 1, "width": {"choices": [4, 8]}},
        optimizer={"name": "adamw"},
    )
    folder = run_study(spec, tmp_path).folder
    twin = next(record for record in read_trials(folder) if record.same_as is not None)
    assert (folder.trial(twin.number) / "curve.svg").is_file()
    assert (folder.trial(twin.number) / "confusion.svg").is_file() == (twin.state == "complete")


def test_a_damaged_curve_costs_a_trial_its_picture_and_the_study_nothing(
    make_spec: MakeSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def damage(path: Path, validations: object) -> None:
        path.write_text("validation\nx\n")

    monkeypatch.setattr("lightning_modules.outcome.write_curve", damage)
    outcome = run_study(make_spec("budget.trials=1", "trainer.max_epochs=1"), tmp_path)
    (record,) = outcome.end.records
    assert record.state == "complete"
    assert not (outcome.folder.trial(0) / "curve.svg").exists()


def test_a_picture_that_fails_costs_the_trial_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> str:
        raise ZeroDivisionError

    monkeypatch.setattr(pictures, "confusion_figure", fail)
    Gallery("binary", NOTHING, "t")(tmp_path, torch.tensor([0, 1]), torch.tensor([1, 1]))
    assert "no picture: ZeroDivisionError" in caplog.text
    assert list(tmp_path.iterdir()) == []


def test_of_very_many_classes_the_most_mistaken_are_drawn(tmp_path: Path) -> None:
    n = 100
    truth = torch.arange(n).repeat_interleave(3)
    predicted = truth.clone()
    predicted[truth < 10] = 99
    Gallery("multiclass", NOTHING, "tiny")(tmp_path, predicted, truth)
    shown = words(tmp_path / "confusion.svg")
    assert shown[1] == "tiny: 300 rows"
    assert {"0", "9", "99"} <= set(shown)
    table, names = mistaken([[int(i == j) for j in range(n)] for i in range(n)], None)
    assert (len(table), names[0], names[-1]) == (30, "0", "29")
    assert (tmp_path / "confusion.svg").stat().st_size < 60_000


def test_several_numbers_have_a_panel_each_and_labels_no_picture(tmp_path: Path) -> None:
    truth = torch.randn(50, 6)
    Gallery("regression", NOTHING, "tiny")(tmp_path, truth + 0.1, truth)
    assert "4 of 6 targets" in words(tmp_path / "residuals.svg")[1]
    (tmp_path / "residuals.svg").unlink()
    Gallery("multilabel", NOTHING, "tiny")(tmp_path, truth > 0, truth > 0)
    assert list(tmp_path.iterdir()) == []


def test_names_of_columns_are_read_as_they_were_logged(tmp_path: Path) -> None:
    with (tmp_path / "curve.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([["validation", "'=x", "train/grad_norm"], [1, 0.5, ""]])
    assert curve_rows(tmp_path) == [{"validation": 1.0, "=x": 0.5}]
