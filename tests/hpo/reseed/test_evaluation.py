"""Fresh seeds of a real study: what is trained, kept, recorded, and what goes on after Ctrl-C."""

import json
import os
import shutil
import signal
from pathlib import Path

import jsonschema
import pytest

from hpo.errors import EnvironmentFault, RefusedError, StudyError, UsageError
from hpo.layout import StudyFolder
from hpo.listing import load_best
from hpo.records import read_trials
from hpo.reseed.adopting import adopt
from hpo.reseed.evaluation import Ask, Reseeded, Unwatched, evaluate_seeds
from hpo.reseed.planning import Outcome, Plan, Run
from hpo.schema import best_config_schema
from hpo.seeds import read_seeds, write_seeds
from hpo.spec import load_study
from hpo.study import run_study
from hpo.terminal.seeded import next_lines, seeded_lines
from lightning_modules.durable import file_sha256

TOP_TWO = Ask(top=2, seeds=2)


class Counting(Unwatched):
    """Counts what is trained; sends Ctrl-C once ``stop_after`` runs have ended."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.ended: list[Run] = []
        self._stop_after = stop_after

    def planned(self, plan: Plan, waiting: object) -> None:
        self.plan = plan

    def run_ended(self, run: Run, outcome: Outcome) -> None:
        self.ended.append(run)
        if len(self.ended) == self._stop_after:
            os.kill(os.getpid(), signal.SIGINT)


@pytest.fixture(scope="module")
def evaluated(finished, tmp_path_factory: pytest.TempPathFactory) -> tuple[StudyFolder, Reseeded]:
    """The finished study with two fresh seeds of its two best configs; look, do not touch."""
    results = tmp_path_factory.mktemp("evaluated") / "results"
    shutil.copytree(finished.results, results)
    folder = StudyFolder(results / "tiny")
    return folder, evaluate_seeds(folder, TOP_TWO)


@pytest.fixture
def again(evaluated, tmp_path: Path) -> StudyFolder:
    """A copy of the evaluated study."""
    shutil.copytree(evaluated[0].path.parent, tmp_path / "results")
    return StudyFolder(tmp_path / "results" / "tiny")


def test_the_best_and_the_default_are_trained_with_the_same_fresh_seeds(evaluated) -> None:
    folder, done = evaluated
    record = done.record
    trials = read_trials(folder)
    assert record == read_seeds(folder)
    assert not set(record.seeds) & {trial.seed for trial in trials}
    assert [[run.seed for run in config.runs] for config in record.configs] == [record.seeds] * len(
        record.configs
    )
    assert [config.is_default for config in record.configs].count(True) == 1
    assert sum(not config.is_default for config in record.configs) <= 2
    assert done.trained == done.total == 2 * len(record.configs)


def test_weights_stay_and_are_hashed_and_no_trial_was_touched(evaluated, finished) -> None:
    folder, done = evaluated
    for config in done.record.configs:
        for run in config.runs:
            assert file_sha256(folder.path / run.folder / "best.ckpt") == run.checkpoint_sha256
    assert done.kept_bytes > sum(p.stat().st_size for p in folder.evaluation.rglob("best.ckpt"))
    assert read_trials(folder) == read_trials(finished.folder)


def test_tensorboard_has_every_seed_beside_its_trial(evaluated) -> None:
    folder, done = evaluated
    names = {
        f"t{config.trial:04d}-seed{run.seed}"
        for config in done.record.configs
        for run in config.runs
    }
    assert names <= {path.name for path in folder.tensorboard.iterdir()}


def test_the_best_config_knows_its_values_on_fresh_seeds(evaluated) -> None:
    folder, done = evaluated
    best, record = load_best(folder), done.record
    config = record.config(best.study["trial"])
    assert best.study["trial"] == record.chosen
    assert best.metric["seeds"]["values"] == config.values
    assert best.metric["seeds"]["seeds"] == record.seeds
    assert best.metric["seeds"]["ci95"] == [record.worth.low, record.worth.high]
    assert "metric.seeds" not in best.null_because
    assert "mean and sd of 2 seeds" in best.summary
    plain = json.loads(folder.best_config.read_text())
    jsonschema.validate(plain, best_config_schema())


def test_what_was_trained_is_not_trained_again_and_more_seeds_extend_it(again) -> None:
    before = read_seeds(again)
    same = Counting()
    assert evaluate_seeds(again, TOP_TWO, watcher=same).trained == 0
    assert same.ended == []
    more = Counting()
    record = evaluate_seeds(again, Ask(top=2, seeds=3), watcher=more).record
    assert record.seeds[:2] == before.seeds
    assert {run.seed for run in more.ended} == {record.seeds[2]}
    assert [config.runs[:2] for config in record.configs] == [c.runs for c in before.configs]
    assert evaluate_seeds(again, Ask(top=1, seeds=1)).record.seeds == record.seeds
    with pytest.raises(UsageError, match=r"--first-seed: .* evaluated with other seeds; give the"):
        evaluate_seeds(again, Ask(top=2, seeds=2, first=100))


def test_a_run_whose_weights_are_not_those_recorded_is_trained_again(again) -> None:
    config = read_seeds(again).configs[0]
    checkpoint = again.path / config.runs[0].folder / "best.ckpt"
    content = bytearray(checkpoint.read_bytes())
    content[-1] ^= 1
    checkpoint.write_bytes(bytes(content))
    watcher = Counting()
    record = evaluate_seeds(again, TOP_TWO, watcher=watcher).record
    assert [(run.trial, run.seed) for run in watcher.ended] == [(config.trial, record.seeds[0])]
    assert record.configs[0] == config


def test_ctrl_c_keeps_what_ended_and_the_same_call_goes_on(copied) -> None:
    stopped = evaluate_seeds(copied, TOP_TWO, watcher=Counting(stop_after=1))
    assert (stopped.record, stopped.signal, stopped.ended) == (None, signal.SIGINT, 1)
    assert read_seeds(copied) is None
    assert load_best(copied).metric["seeds"] is None
    rest = Counting()
    done = evaluate_seeds(copied, TOP_TWO, watcher=rest)
    assert done.trained == done.total - 1 == len(rest.ended)


def test_one_opening_of_the_test_split_scores_every_run(again) -> None:
    done = evaluate_seeds(again, Ask(top=2, seeds=2, test=True))
    record = done.record
    assert done.opened == 1
    assert all(run.test is not None for config in record.configs for run in config.runs)
    assert load_best(again).test["opened"] == 1
    log = json.loads(again.evaluated("test").read_text())
    assert len(log["openings"]) == 1
    if record.gain_test is not None:
        rows = record.gain_test_rows
        assert rows.mean == record.gain_test.mean
        assert rows.low <= record.gain_test.low <= record.gain_test.high <= rows.high
    later = evaluate_seeds(again, TOP_TWO)
    assert later.opened is None
    assert later.record.gain_test == record.gain_test
    assert load_best(again).test["opened"] == 1


def test_another_choice_changes_the_best_config_and_stays(again) -> None:
    record = read_seeds(again)
    first = record.configs[0].trial
    other = next(config.trial for config in record.configs if config.trial != first)
    why = f"trial {other} has the best mean over 2 seeds"
    chosen = record.model_copy(update={"chosen": other, "why": why})
    spec = load_study(again.study_file)
    write_seeds(again, chosen)
    adopt(again, spec, chosen)
    best = load_best(again)
    assert (best.study["trial"], best.study["chosen_because"]) == (other, why)
    assert best.checkpoint["path"] == f"trials/{other:04d}/best.ckpt"
    jsonschema.validate(json.loads(again.best_config.read_text()), best_config_schema())
    run_study(spec, again.path.parent)  # its budget is used: it mends the tables
    assert load_best(again).study["trial"] == other


def test_numbers_come_first_then_words_then_the_next_command(evaluated) -> None:
    _, done = evaluated
    lines = seeded_lines(done, done.record)
    assert lines[0] == "tiny: accuracy ↑ on validation, 2 fresh seeds"
    assert sum("← best" in line for line in lines) == 1
    assert any(line.startswith("kept: ") and "MB in" in line for line in lines)
    assert next_lines(done.record, "", "")[0].startswith("next: hpo evaluate tiny ")


def test_a_study_that_runs_is_left_alone(copied) -> None:
    with copied.owned(), pytest.raises(EnvironmentFault, match="is run by"):
        evaluate_seeds(copied, TOP_TWO)
    assert not copied.evaluation.exists()


def test_what_cannot_be_evaluated_is_refused_before_anything_is_trained(copied) -> None:
    with pytest.raises(UsageError, match="--top: 0 configs are none"):
        evaluate_seeds(copied, Ask(top=0))
    with pytest.raises(UsageError, match="--seeds: cannot be 0"):
        evaluate_seeds(copied, Ask(seeds=0))
    with pytest.raises(UsageError, match=r"--set: optimizer\.lr=1 changes what the search"):
        evaluate_seeds(copied, TOP_TWO, overrides=["optimizer.lr=1"])
    record = json.loads(copied.best_config.read_text())
    record["data"]["n"]["test"] = 0
    copied.best_config.write_text(json.dumps(record))
    with pytest.raises(UsageError, match="--test: the study has no test split"):
        evaluate_seeds(copied, Ask(test=True))
    copied.best_config.unlink()
    with pytest.raises(StudyError, match=r"best_config\.json is gone"):
        evaluate_seeds(copied, TOP_TWO)
    assert not copied.evaluation.exists()


def test_limits_of_a_trial_need_a_process_of_the_run_s_own(copied) -> None:
    text = copied.study_file.read_text().replace("search:\n", "search:\n  trial_timeout: 5s\n")
    copied.study_file.write_text(text)
    with pytest.raises(UsageError, match="a process of the run's own; use workers"):
        evaluate_seeds(copied, TOP_TWO)


def test_data_that_changed_are_refused(copied, monkeypatch: pytest.MonkeyPatch) -> None:
    file = copied.trial(0) / "result.json"
    record = json.loads(file.read_text())
    record["run"]["data"]["sha256"] = "0" * 64
    file.write_text(json.dumps(record))
    with pytest.raises(RefusedError, match=r"not the data .*\n  data_sha256: 0{12}… → "):
        evaluate_seeds(copied, TOP_TWO)
    assert not copied.evaluation.exists()


def test_folds_on_a_table_that_was_moved_and_a_default_that_is_the_best(tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    rows = [f"{i},{i % 7},{'yes' if i % 3 else 'no'}" for i in range(60)]
    table.write_text("\n".join(["a,b,y", *rows]) + "\n")
    study = {
        "name": "table",
        "task": {"kind": "binary"},
        "data": {"source": "csv", "path": str(table), "target": "y", "folds": 2},
        "model": {"family": "mlp", "width": {"choices": [4, 8]}, "n_layers": 1},
        "trainer": {"max_epochs": 1},
        "budget": {"trials": 1},
    }
    folder = run_study(load_study(study), tmp_path / "results").folder
    moved = table.rename(tmp_path / "elsewhere.csv")
    with pytest.raises(UsageError, match=r"table\.csv"):
        evaluate_seeds(folder, Ask(seeds=2))
    watcher = Counting()
    override = [f"data.path={moved}"]
    done = evaluate_seeds(folder, Ask(seeds=2, test=True), overrides=override, watcher=watcher)
    assert [config.trial for config in done.record.configs] == [0]
    assert (done.record.chosen, done.record.gain, done.record.gain_test) == (0, None, None)
    assert len(watcher.ended) == 2
    assert (folder.path / done.record.configs[0].runs[0].folder / "fold-1").is_dir()
    moved.write_text(moved.read_text().removesuffix("yes\n") + "no\n")
    with pytest.raises(RefusedError, match="data_sha256"):
        evaluate_seeds(folder, Ask(seeds=2), overrides=override)


def test_options_of_fresh_seeds_alone_are_an_error_that_says_so(copied, cli) -> None:
    said = cli("evaluate", copied.path, "--top", 3)
    assert said.code == 2
    assert "--top: goes with fresh seeds; hpo evaluate" in said.err
    assert cli("evaluate", copied.path, "--workers", 1).code == 2


def test_the_answer_as_json_is_the_record(again, cli) -> None:
    said = cli("evaluate", again.path, "--top", 2, "--seeds", 2, "--workers", 0, "--json")
    answer = json.loads(said.out)
    assert (said.code, answer["command"]) == (0, "evaluate")
    assert answer["result"]["schema"] == "hpo.seeds/1"
    assert answer["result"]["trained"] == 0
