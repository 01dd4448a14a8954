"""Levels 1 to 3: the data, the weights, another training, fresh seeds; and the stamp."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from hpo.best import BestConfig
from hpo.layout import StudyFolder
from hpo.records import TrialRecord, read_record
from hpo.reseed.evaluation import Ask, evaluate_seeds
from hpo.spec import load_study
from hpo.study import run_study
from hpo.verify.checks import Check
from hpo.verify.hashes import _settings
from hpo.verify.luck import Seeds, check_luck, prediction_ends, recorded_values
from hpo.verify.machine import MachineClass
from hpo.verify.training import check_training
from hpo.verify.verify import Wanted, verify_best, verify_file
from lightning_modules.checkpoint import load_checkpoint
from lightning_modules.durable import file_sha256
from tests.hpo.verify.test_hashes import flip, rewrite

TABLE = "a,b,kind\n" + "".join(
    f"{i % 7}.5,{i * 37 % 11}.25,{'yes' if i % 7 > 3 else 'no'}\n" for i in range(60)
)
SMALL: Mapping[str, Any] = {
    "name": "table",
    "task": {"kind": "binary"},
    "model": {"family": "mlp", "n_layers": 1, "width": {"low": 4, "high": 8}},
    "trainer": {"max_epochs": 2, "batch_size": 16},
    "budget": {"trials": 2},
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a table and a study on it; look, do not touch."""
    folder = tmp_path_factory.mktemp("table")
    (folder / "rows.csv").write_text(TABLE)
    data = {"source": "csv", "path": str(folder / "rows.csv"), "target": "kind"}
    run_study(load_study({**SMALL, "data": data}), folder / "results")
    return folder


@pytest.fixture
def table(made: Path, tmp_path: Path) -> StudyFolder:
    """A copy of the study, beside a copy of its table that the study does not name."""
    shutil.copytree(made, tmp_path / "moved")
    return StudyFolder(tmp_path / "moved" / "results" / "table")


def best_of(folder: StudyFolder) -> BestConfig:
    return read_record(folder.best_config, BestConfig)


def outcomes(checks: list[Check]) -> dict[str, str]:
    return {check.name: check.outcome for check in checks}


def test_the_checkpoint_scores_what_was_recorded_to_the_bit(copied: StudyFolder) -> None:
    done = verify_best(copied.path)
    assert (done.exit_code, done.levels, done.other_machine) == (0, [0, 1], [])
    assert [check.name for check in done.checks[-3:]] == ["data", "preparation", "score"]
    value = best_of(copied).metric["value"]
    assert done.checks[-1].what == f"accuracy {value!r}, and 2 metrics more, exactly"


def test_one_byte_of_the_data_is_named(table: StudyFolder, made: Path) -> None:
    own = table.path.parent.parent / "rows.csv"
    there = f"data.path={own}"
    assert verify_best(table.path, sets=[there]).exit_code == 0
    flip(own, TABLE.encode().index(b"3.5"))
    done = verify_best(table.path, sets=[there])
    first = done.first_difference
    assert first is not None
    assert (first.name, done.exit_code) == ("data", 4)
    assert first.what.startswith("data_sha256: ")
    assert verify_best(table.path).exit_code == 0  # the study's own table is as it was


def test_a_study_that_went_on_under_another_name_on_data_of_another_name(
    table: StudyFolder,
) -> None:
    place = table.path.parent.parent
    (place / "rows.csv").rename(place / "same-rows.csv")
    table.path.rename(table.path.with_name("renamed"))
    folder = StudyFolder(table.path.with_name("renamed"))
    there = f"data.path={place / 'same-rows.csv'}"
    spec = load_study(folder.study_file, [there, "name=renamed", "budget.trials=4"])
    run_study(spec, folder.path.parent)
    assert best_of(folder).study["name"] == "renamed"
    for trial in folder.trial_folders():  # whichever is the best one
        record = read_record(trial / "result.json", TrialRecord)
        if record.has_rank:
            (outcome,) = {check.outcome for check in settings_of(folder, record)}
            assert outcome == "equal"
    trial = folder.trial(best_of(folder).study["trial"])  # maybe of before, maybe of since then
    rewrite(trial / "result.json", lambda record: record.update(study="table"))
    assert verify_best(folder.path, sets=[there]).exit_code == 0


def settings_of(folder: StudyFolder, record: TrialRecord) -> list[Check]:
    best = best_of(folder).model_copy(update={"config": record.config})
    return list(_settings(best, folder, record))


def test_data_that_are_gone_are_asked_for(table: StudyFolder, made: Path) -> None:
    text = table.study_file.read_text()
    gone = text.replace(str(made), "/nowhere")
    assert gone != text
    table.study_file.write_text(gone)
    best = best_of(table)
    rewrite(
        table.best_config,
        lambda values: values["study"]["file"].update(sha256=file_sha256(table.study_file)),
    )
    done = verify_best(table.path)
    assert (done.exit_code, done.unchecked[0].name) == (2, "data")
    assert "--set data.path=FILE" in done.unchecked[0].hint
    assert done.outcome == best_of(table).verified["outcome"] == "incomplete"
    assert best_of(table).config == best.config


def test_statistics_that_predictions_use_are_part_of_the_proof(copied: StudyFolder) -> None:
    trial = copied.path / Path(best_of(copied).checkpoint["path"]).parent
    content = json.loads((trial / "preparation.json").read_text())
    text = json.dumps(content)
    digit = next(i for i, c in enumerate(text) if c in "3579" and text[i - 1] in "0123456789")
    (trial / "preparation.json").write_text(text[:digit] + "2" + text[digit + 1 :])
    first = verify_best(copied.path).first_difference
    assert first is not None
    assert first.name == "preparation"
    assert "preparation.json, which hpo predict uses, is another" in first.what


def other_weights(folder: StudyFolder, *, by: float) -> None:
    """Change the kept weights, and let every record vouch for them."""
    best = best_of(folder)
    checkpoint = folder.path / best.checkpoint["path"]
    loaded = load_checkpoint(checkpoint)
    for tensor in loaded["state_dict"].values():
        tensor += by
    torch.save(loaded, checkpoint)
    found = {"sha256": file_sha256(checkpoint), "bytes": checkpoint.stat().st_size}
    rewrite(folder.best_config, lambda values: values["checkpoint"].update(found))
    trial = folder.trial(best.study["trial"])
    rewrite(trial / "result.json", lambda record: record["run"]["checkpoint"].update(found))


def test_other_weights_that_every_hash_vouches_for_are_seen_by_their_score(
    copied: StudyFolder,
) -> None:
    other_weights(copied, by=0.5)
    done = verify_best(copied.path)
    first = done.first_difference
    assert first is not None
    assert (first.level, first.name) == (1, "score")
    assert first.what.startswith("metric.")
    assert " the checkpoint re-scored: expected " in first.what


def test_another_training_is_equal_to_the_bit(copied: StudyFolder) -> None:
    checks = list(training(copied))
    assert {check.outcome for check in checks} == {"equal"}
    assert [check.name for check in checks] == ["value", "run", "curve", "weights"]
    assert checks[-1].what == "the same file, byte for byte"


def training(folder: StudyFolder, *, exact: bool = True) -> list[Check]:
    best = best_of(folder)
    return list(check_training(best, folder.best_config, sets=[], exact=exact, fresh=False))


def test_a_checkpoint_that_was_cleaned_is_proved_by_its_hash(copied: StudyFolder) -> None:
    (copied.path / best_of(copied).checkpoint["path"]).unlink()
    assert outcomes(training(copied))["weights"] == "equal"


def test_a_curve_and_weights_of_another_training_are_named(copied: StudyFolder) -> None:
    trial = copied.path / Path(best_of(copied).checkpoint["path"]).parent
    curve = trial / "curve.csv"
    head, first, *rest = curve.read_text().splitlines()
    cells = first.split(",")
    place = head.split(",").index("train/loss")
    cells[place] = "1.5"
    curve.write_text("\n".join([head, ",".join(cells), *rest]) + "\n")
    other_weights(copied, by=1e-7)
    found = {check.name: check for check in training(copied)}
    assert found["curve"].what.startswith("train/loss of validation 1: expected 1.5, found ")
    assert (found["weights"].outcome, found["value"].outcome) == ("differs", "equal")
    assert "up to" in found["weights"].what


def test_a_value_that_training_does_not_give_is_named(copied: StudyFolder) -> None:
    rewrite(copied.best_config, lambda values: values["metric"].update(value=0.5, epoch=1.0))
    found = training(copied)
    assert (found[0].name, found[0].outcome) == ("value", "differs")
    assert found[0].what.startswith("metric.value, trained again: expected 0.5, found 0.")
    assert (found[1].name, found[1].outcome) == ("run", "differs")


def test_on_another_machine_values_are_compared_and_not_bits(copied: StudyFolder) -> None:
    def elsewhere(values: dict[str, Any]) -> None:
        values["environment"]["packages"]["torch"] = "2.10.0"
        values["metric"]["value"] -= 0.004
        values["expect"]["other_machine_abs"] = 0.005

    rewrite(copied.best_config, elsewhere)
    best = best_of(copied)
    here = MachineClass.here(device="cpu", threads=1)
    there = MachineClass.recorded(best.environment)
    assert [line.partition(":")[0] for line in there.differences(here)] == ["torch"]
    checks = training(copied, exact=False)
    assert [(check.name, check.outcome) for check in checks] == [("value", "equal")]
    assert checks[0].what.endswith("within 0.005, as on another machine class")
    rewrite(copied.best_config, lambda values: values["metric"].update(value=0.2))
    (far,) = training(copied, exact=False)
    assert far.outcome == "differs"
    assert far.what.endswith("more than 0.005 apart")


def test_a_machine_class_is_named_in_words() -> None:
    one = MachineClass.here(device="cpu", threads=2)
    text = str(one)
    assert text.startswith(f"{one.platform}, ")
    assert f", cpu, 2 threads, torch {torch.__version__}" in text
    other = replace(one, features=("avx2",), threads=1)
    assert [line.split(":")[0] for line in one.differences(other)] == [
        "its instructions",
        "threads",
    ]
    assert one.differences(one) == []


def test_the_stamp_tells_the_last_verification_also_a_failed_one(copied: StudyFolder) -> None:
    before = json.loads(copied.best_config.read_text())
    verify_best(copied.path, level=0)
    after = json.loads(copied.best_config.read_text())
    stamp = after["verified"]
    assert (stamp["outcome"], stamp["levels"]) == ("verified", [0])
    assert (stamp["package"], stamp["same_machine_class"]) == ("hpo 0.1.0", True)
    reasons = {k: v for k, v in before["null_because"].items() if k != "verified"}
    assert after == {**before, "verified": stamp, "null_because": reasons}
    flip(copied.environment)
    verify_best(copied.path, level=0)
    failed = json.loads(copied.best_config.read_text())["verified"]
    assert failed["outcome"] == "differs"
    assert failed["what"].startswith("packages: environment.txt is another file")
    flip(copied.environment)
    verify_best(copied.path, level=0, stamp=False)
    assert json.loads(copied.best_config.read_text())["verified"] == failed
    assert verify_best(copied.path, level=0).exit_code == 0  # the stamp is part of no hash
    assert verify_best(copied.path, level=0).exit_code == 0


def plan(values: list[float], n: int | None = None) -> Seeds:
    return Seeds(n=n or len(values), kept=dict(enumerate(values)))


def test_a_value_is_luck_where_fresh_seeds_do_not_reach_it(finished) -> None:
    best, file = finished.outcome.best, finished.folder.best_config
    value = best.metric["value"]
    near = check_luck(best, file, plan([value - 0.02, value, value + 0.01]))
    assert near.outcome == "equal"
    assert "where 95 % of the seeds lie" in near.what
    far = check_luck(best, file, plan([0.5, 0.51, 0.52]))
    assert far.outcome == "differs"
    assert far.what.startswith("metric.value: expected within ")
    assert far.what.endswith(f"found {value!r}")
    few = check_luck(best, file, plan([0.5, 0.5]))
    assert (few.outcome, few.hint) == ("unknown", "--seeds 3 or more")


def test_the_prediction_interval_is_students_and_never_less_than_a_row(finished) -> None:
    best = finished.outcome.best  # accuracy on 30 rows
    half = 12.706 * 0.1 / 2**0.5  # of the mean of two values: t of one degree of freedom, sd 0.1
    low, high = prediction_ends(best, 0.5, half, 2)
    assert (low, high) == (0.0, 1.0)
    low, high = prediction_ends(best, 0.5, 0.01, 3)
    assert (low, high) == pytest.approx((0.46667, 0.53333), abs=1e-4)
    rmse = best.model_copy(update={"metric": {**best.metric, "name": "rmse"}})
    low, high = prediction_ends(rmse, 50.0, half, 2)
    assert high - 50.0 == pytest.approx(12.706 * 0.1 * (1 + 1 / 2) ** 0.5)


def test_seeds_that_lack_are_trained(copied: StudyFolder) -> None:
    best, said = best_of(copied), []  # type: BestConfig, list[str]
    seeds = Seeds(n=3, kept={1: 0.9, 2: 0.95}, fresh=False, say=said.append)
    check = check_luck(best, copied.best_config, seeds)
    assert said == ["training fresh seed 3 of 3…"]
    assert "3 fresh seeds, 2 of them recorded" in check.what
    assert recorded_values(best, copied) == {}


def test_seeds_that_evaluate_trained_are_used(copied: StudyFolder) -> None:
    evaluate_seeds(copied, Ask(top=2, seeds=3))
    said: list[str] = []
    wanted = Wanted(level=3, n_seeds=3, fresh=False, say=said.append)
    done = verify_file(copied.best_config, wanted)
    below = [check for check in done.checks if check.level < 3]
    assert [check for check in below if check.outcome != "equal"] == []
    assert done.checks[-1].name == "fresh seeds"
    assert "3 fresh seeds, 3 of them recorded" in done.checks[-1].what
    assert [line for line in said if "seed" in line] == []
    best = best_of(copied)
    assert best.metric["seeds"] is not None
    assert best.verified is not None
    values = recorded_values(best, copied)
    run = next(copied.evaluation.glob(f"seeds/{best.study['trial']:04d}-*/result.json"))
    rewrite(run, lambda record: record["run"].update(value=0.1))
    assert len(recorded_values(best, copied)) == len(values) - 1  # it is no longer sound


def test_from_python_a_study_verifies_itself(copied: StudyFolder) -> None:
    import hpo
    from tests.hpo.conftest import TINY

    study = hpo.Study(space=TINY, results=copied.path.parent)
    assert study.verify().levels == [0, 1]
    assert best_of(copied).verified["outcome"] == "verified"
    assert hpo.verify_best("tiny", level=0, results=copied.path.parent).exit_code == 0


@pytest.mark.slow
def test_a_whole_verification_in_fresh_processes_is_equal_to_the_bit(
    copied: StudyFolder, cli
) -> None:
    said = cli("verify", copied.path, "--full", "--seeds", 3, "--json")
    found = json.loads(said.out)
    assert found["result"]["levels"] == [0, 1, 2, 3]
    checks = {check["name"]: check for check in found["result"]["checks"]}
    assert checks["weights"]["what"] == "the same file, byte for byte"
    others = [check for name, check in checks.items() if name != "fresh seeds"]
    assert {check["outcome"] for check in others} == {"equal"}
    assert "3 fresh seeds" in checks["fresh seeds"]["what"]
    assert said.code == found["exit_code"]
