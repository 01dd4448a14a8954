import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from hpo.errors import EnvironmentFault, RefusedError, StudyError, UsageError
from hpo.evaluate import evaluate_study
from hpo.export import export as exporting
from hpo.export import onnx_form
from hpo.export.compared import ALLOWED, compare
from hpo.export.export import Exported, Wanted, export
from hpo.layout import StudyFolder
from hpo.predict.onnx_file import OnnxPredictor
from hpo.predict.opening import open_predictor
from lightning_modules.config import RunConfig
from lightning_modules.data.raw import load
from lightning_modules.durable import file_sha256
from lightning_modules.train import train
from tests.conftest import Command, Finished
from tests.contracts.exported import Case, raw_rows, run_of


def _export(given: Path, folder: Path, *sets: str, name: str = "model.onnx") -> Exported:
    here = f"data.path={given.parent / 'data.csv'}"
    wanted = Wanted(output=folder / name, sets=sets or (here,))
    return export(str(given), wanted, results=folder, say=lambda line: None)


@pytest.fixture(scope="module")
def exported(patients: Path, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """Return an ONNX file of the run."""
    return _export(patients, tmp_path_factory.mktemp("exported"))


def test_the_file_predicts_what_the_run_predicts(exported: Exported, patients: Path) -> None:
    config = RunConfig.model_validate(json.loads((patients / "config.json").read_text()))
    data = config.data.model_copy(update={"path": str(patients.parent / "data.csv")})
    rows: Any = load(data, task_kind="binary").x  # type: ignore[arg-type]
    expected = open_predictor(patients).outputs(rows)
    np.testing.assert_allclose(open_predictor(exported.file).outputs(rows), expected, atol=ALLOWED)
    assert exported.compared.n_rows == 96  # those of training and validation: there are no more
    assert exported.compared.difference < ALLOWED


def test_the_manifest_says_what_the_records_say(exported: Exported, patients: Path) -> None:
    found = OnnxPredictor.open(exported.file).manifest
    assert found == exported.manifest
    assert found.name == "run"
    assert found.classes == ["<no>", "yes"]
    assert [one.name for one in found.inputs] == ["numbers", "texts", "moments"]
    assert found.inputs[1].columns == ["the `town`", "member"]
    assert found.outputs[0].columns == found.classes
    assert found.members[0]["checkpoint_sha256"] == file_sha256(patients / "best.ckpt")
    assert found.data["path"] == "data.csv"  # no place of this machine
    assert found.statistics.n_rows == 72
    assert [one.name for one in found.statistics.inputs][:2] == ["width", "the `town`"]
    assert [one.name for one in found.statistics.predictions] == ["prediction", "confidence"]


def test_the_card_says_what_goes_in_and_escapes_names(exported: Exported) -> None:
    card = exported.card.read_text()
    assert exported.card.name == "model.onnx.md"
    for said in (
        f"`{exported.sha256}`",
        "Which of 2 classes a row is of: \\<no\\>, yes.",
        "| the \\`town\\` | Köln, Ulm, 東京 |",
        "rows: 72 for training, 24 for validation, 24 for test",
        "at most",
        "A category that training never saw is as none at all: the \\`town\\`, member.",
        "family: mlp",
    ):
        assert said in card
    assert file_sha256(exported.file) == exported.sha256


@pytest.mark.parametrize("name", ["model.onnx", "model.pt2"])
def test_the_program_in_the_card_works_as_it_stands(
    name: str,
    exported: Exported,
    patients: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    done = exported if name.endswith("onnx") else _export(patients, tmp_path, name=name)
    program = re.search(r"```python\n(.*?)```", done.card.read_text(), re.DOTALL)
    assert program is not None
    monkeypatch.chdir(done.file.parent)
    exec(program[1], {})
    label, chances = capsys.readouterr().out.split(maxsplit=1)
    assert label in ("<no>", "yes")
    assert sum(json.loads(chances)) == pytest.approx(1.0, abs=1e-6)


def test_a_study_is_exported_by_its_name_with_its_evaluations(
    copied: StudyFolder, cli: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluate_study(copied, test=False)
    monkeypatch.chdir(copied.path.parents[1])
    said = cli("export", "tiny", "--format", "pt2", "--json")
    assert said.code == 0, said.err
    result = json.loads(said.out)["result"]
    assert result["file"] == "results/tiny/tiny.pt2"
    manifest = open_predictor(Path(result["file"])).manifest  # type: ignore[attr-defined]
    assert manifest.scores[0].ci95 is not None
    assert (
        manifest.members[0]["trial"] == json.loads(copied.best_config.read_text())["study"]["trial"]
    )
    card = Path(result["card"]).read_text()
    for said_of_it in ("Each class against the rest, on validation", "**accuracy**", "log\\_loss"):
        assert said_of_it in card
    assert "was never opened" in card
    evaluate_study(copied, test=True)
    other = next(n for n in _kept(copied) if n != manifest.members[0]["trial"])
    for trial, times in (((), "once."), (("--trial", str(other)), "once, for other networks.")):
        said = cli("export", "tiny", "--format", "pt2", "-o", "of.pt2", *trial)
        assert said.code == 0, said.err
        assert f"The test split was opened {times}" in Path("of.pt2.md").read_text()


def test_the_value_of_folds_is_that_of_all_and_the_network_that_of_one(
    patients: Path, tmp_path: Path
) -> None:
    config = json.loads((patients / "config.json").read_text())
    path = patients.parent / "data.csv"
    config["data"] |= {"path": str(path), "folds": 3}
    result = train(RunConfig.model_validate(config), tmp_path / "run")
    (tmp_path / "run" / "result.json").write_text(json.dumps({"run": result.plain()}))
    wanted = Wanted(form="pt2", sets=(f"data.path={path}",))
    done = export(str(tmp_path / "run"), wanted, results=tmp_path, say=lambda _: None)
    score = done.manifest.scores[0]
    assert (score.split, score.n_rows) == ("out of fold", 96)
    card = done.card.read_text()
    assert "The value is the mean of 3 folds, a network each. The network in this file" in card
    assert "rows: 64 for training, 32 for validation" in card


def test_an_ensemble_says_what_it_is_worth_on_the_test_split_if_that_was_opened(
    copied: StudyFolder, cli: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(copied.path.parents[1])
    for words in ("ensemble tiny --keep", "evaluate tiny --ensemble --test"):
        said = cli(*words.split())
        assert said.code == 0, said.err
    file = copied.path / "ensemble" / "ensemble.json"
    said = cli("export", file, "-o", "together.pt2")
    assert said.code == 0, said.err
    manifest = open_predictor(Path("together.pt2")).manifest  # type: ignore[attr-defined]
    assert [one.split for one in manifest.scores] == ["validation", "test"]
    assert "on the same rows of test; the difference is" in Path("together.pt2.md").read_text()
    file.write_text(file.read_text() + " ")  # another ensemble than was measured
    cli("export", file, "-o", "together.pt2")
    manifest = open_predictor(Path("together.pt2")).manifest  # type: ignore[attr-defined]
    assert [one.split for one in manifest.scores] == ["validation"]
    assert "hpo evaluate tiny --ensemble --test" in Path("together.pt2.md").read_text()


def test_the_card_says_of_how_many_training_rows_it_speaks(
    patients: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "DESCRIBED", 10)
    card = _export(patients, tmp_path, name="model.pt2").card.read_text()
    assert "| column | in 10 training rows | missing |" in card


def test_another_trial_is_exported_if_it_kept_its_weights(
    finished: Finished, tmp_path: Path
) -> None:
    trials = {r.number: r.state for r in finished.records}
    kept = [n for n in trials if (finished.folder.trial(n) / "best.ckpt").is_file()]
    without = next(n for n in trials if n not in kept)
    wanted = Wanted(output=tmp_path / "trial.pt2", trial=kept[-1])
    done = export("tiny", wanted, results=finished.results, say=lambda line: None)
    assert done.manifest.members[0]["trial"] == kept[-1]
    assert done.manifest.name == f"tiny-{kept[-1]:04d}"
    with pytest.raises(UsageError, match=rf"--trial: trial {without} of tiny has no checkpoint"):
        export("tiny", Wanted(trial=without), results=finished.results, say=lambda line: None)


def _kept(folder: StudyFolder) -> list[int]:
    trials = [int(one.name) for one in folder.trial_folders()]
    return [n for n in trials if (folder.trial(n) / "best.ckpt").is_file()]


def test_a_study_without_a_best_config_says_so(copied: StudyFolder, tmp_path: Path) -> None:
    copied.best_config.unlink()
    with pytest.raises(StudyError, match=r"best_config\.json is gone"):
        export(str(copied.path), Wanted(), results=tmp_path, say=lambda line: None)


def test_data_that_are_not_there_are_named_and_nothing_is_written(
    patients: Path, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=r"gone\.csv: .*--set data\.path="):
        _export(patients, tmp_path, f"data.path={tmp_path / 'gone.csv'}")
    assert not [*tmp_path.iterdir()]


def test_other_data_than_those_of_the_training_are_refused(
    finished: Finished, copied: StudyFolder, tmp_path: Path
) -> None:
    best = json.loads(copied.best_config.read_text())
    best["data"]["sha256"] = "0" * 64
    copied.best_config.write_text(json.dumps(best))
    with pytest.raises(RefusedError, match="are not the data that it was trained on") as raised:
        export(str(copied.best_config), Wanted(form="pt2"), results=tmp_path, say=lambda line: None)
    assert raised.value.exit_code == 4
    assert not [*copied.path.glob("*.pt2*")]


def test_a_file_that_says_something_else_is_not_written(
    patients: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    true = exporting.opened

    class Wrong:
        def __init__(self, predictor: Any) -> None:
            self.predictor = predictor

        def outputs(self, raw: Any) -> Any:
            return self.predictor.outputs(raw) + np.float32(2e-5)

    monkeypatch.setattr(exporting, "opened", lambda *given: Wrong(true(*given)))
    with pytest.raises(RefusedError, match=r"differs from its checkpoint by 2\.0e-05 on 96 rows"):
        _export(patients, tmp_path, name="model.pt2")
    assert not [*tmp_path.iterdir()]


NUMBERS = run_of(Case(family="mlp", rows="table", task="regression"))


@pytest.mark.parametrize(
    ("change", "deviation", "is_refused"),
    [
        (lambda x: x, 1.0, False),
        (lambda x: x + np.float32(1e-3), 1000.0, False),
        (lambda x: x + np.float32(1e-3), 10.0, True),
        (lambda x: np.where(x > 0, np.nan, x), 1e9, True),
        (lambda x: x[:, None], 1e9, True),
    ],
)
def test_numbers_are_compared_by_the_deviation_of_their_target(
    change: Callable[[Any], Any], deviation: float, is_refused: bool
) -> None:
    def file(raw: Any) -> Any:
        return change(NUMBERS.outputs(raw)).astype(np.float32)

    given: Any = {"deviations": np.array([deviation])}
    if is_refused:
        with pytest.raises(RefusedError, match="differs from its checkpoint"):
            compare(file, NUMBERS, raw_rows("table"), **given)
    else:
        assert compare(file, NUMBERS, raw_rows("table"), **given).n_rows == 60


def test_a_difference_in_small_batches_alone_is_seen() -> None:
    def file(raw: pd.DataFrame) -> Any:
        return NUMBERS.outputs(raw) + np.float32(0.1 * (len(raw) == 1))

    with pytest.raises(RefusedError, match="differs from its checkpoint"):
        compare(file, NUMBERS, raw_rows("table"), deviations=np.ones(1))  # type: ignore[arg-type]


def test_a_run_with_a_preparation_of_its_own_says_what_to_do(
    patients: Path, tmp_path: Path
) -> None:
    shutil.copytree(patients, tmp_path / "run")
    (tmp_path / "run" / "preparation.json").unlink()
    with pytest.raises(UsageError, match=r"own preparation, which a file would lack; load it with"):
        _export(tmp_path / "run", tmp_path)


SWITCHED = """
import torch
import hpo

@hpo.family("{name}", takes=["features"])
def build(input_shape, n_outputs):
    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.out = torch.nn.Linear(input_shape[0], n_outputs)

        def forward(self, x):
            {forward}

    return Net()
"""


@pytest.mark.parametrize(
    ("name", "forward", "complaint"),
    [
        ("branching", "return self.out(x) if x.sum() > 0 else -self.out(x)", "cannot follow the"),
        ("counting", "return self.out(x) * torch.ones(len(x), 1)", r"write x\.shape\[0\] where it"),
    ],
)
@pytest.mark.usefixtures("registries")
def test_a_network_that_cannot_be_followed_says_why_in_one_line(
    name: str, forward: str, complaint: str, tmp_path: Path
) -> None:
    from lightning_modules.plugins import load_plugin

    (tmp_path / f"{name}.py").write_text(SWITCHED.format(name=name, forward=forward))
    load_plugin(str(tmp_path / f"{name}.py"))
    config = {
        "task": {"kind": "multiclass"},
        "data": {"source": "iris"},
        "model": {"family": name},
        "trainer": {"max_epochs": 1, "batch_size": 32, "accelerator": "cpu"},
    }
    train(RunConfig.model_validate(config), tmp_path / "run")
    with pytest.raises(UsageError, match=complaint) as raised:
        export(str(tmp_path / "run"), Wanted(), results=tmp_path, say=lambda line: None)
    assert raised.value.where == f"model.family {name}"
    assert "\n" not in str(raised.value)
    assert not [*(tmp_path / "run").glob("*.onnx*")]


def test_a_missing_extra_is_named_before_anything_is_done(
    patients: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hpo.extras.find_spec", lambda name: None if name == "onnx" else True)
    with pytest.raises(EnvironmentFault, match=r"needs onnx, .*pip install 'hpo\[export\]'") as one:
        _export(patients, tmp_path)
    assert one.value.exit_code == 5


@pytest.mark.parametrize(
    ("given", "wanted", "complaint"),
    [
        ("model.onnx", {}, r"model\.onnx: is a model file already; name a best_config\.json"),
        ("nowhere", {}, "no study 'nowhere' in"),
        ("empty", {}, "empty: is no folder of a run or of a study"),
        ("study.yaml", {}, "is no record of a trained network"),
        ("{run}", {"output": "model.bin"}, r"ends in \.bin; expected \.onnx or \.pt2"),
        ("{run}", {"output": "m.onnx", "form": "pt2"}, r"ends in \.onnx; expected \.pt2"),
        ("{run}", {"output": "model"}, "ends in nothing; expected"),
        ("{run}", {"output": "no/m.pt2"}, "its folder does not exist; mkdir -p"),
        ("{run}", {"output": "taken.pt2"}, "is there, and no model file of hpo's"),
        ("{run}", {"output": "folder.pt2"}, "is a folder; name a file in it"),
        ("{run}", {"sets": ("model.width=9",)}, "--set: model.width has no effect on a model"),
    ],
)
def test_mistakes_are_named(
    given: str,
    wanted: dict[str, Any],
    complaint: str,
    patients: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "taken.pt2").write_text("mine")
    (tmp_path / "study.yaml").write_text("name: mine")
    (tmp_path / "folder.pt2").mkdir()
    (tmp_path / "empty").mkdir()
    if "output" in wanted:
        wanted = {**wanted, "output": Path(wanted["output"])}
    with pytest.raises(UsageError, match=complaint):
        export(
            given.format(run=patients), Wanted(**wanted), results=tmp_path, say=lambda line: None
        )
    assert (tmp_path / "taken.pt2").read_text() == "mine"


def test_an_empty_text_as_a_category_needs_the_other_format() -> None:
    with pytest.raises(UsageError, match=r"column 'a' has empty text as a category.*--format pt2"):
        onnx_form.refuse_onnx([["", "x"]], ["a"], 10)
    with pytest.raises(UsageError, match="3,000,000,000 bytes of weights are more than one ONNX"):
        onnx_form.refuse_onnx([["x"]], ["a"], 3_000_000_000)


def test_a_file_is_written_again_in_the_place_of_an_earlier_one(
    patients: Path, tmp_path: Path
) -> None:
    first = _export(patients, tmp_path, name="model.pt2")
    again = _export(patients, tmp_path, name="model.pt2")
    assert {path.name for path in tmp_path.iterdir()} == {"model.pt2", "model.pt2.md"}
    assert again.compared == first.compared
