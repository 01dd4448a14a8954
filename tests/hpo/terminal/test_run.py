import json
import time
from dataclasses import replace
from pathlib import Path

import pytest

from hpo.errors import UsageError
from hpo.spec import load_study
from hpo.terminal.run import (
    Options,
    Terminal,
    chosen_otherwise,
    default_workers,
    hints,
    run_in_terminal,
    summary,
)
from hpo.tracking.observers import StudyEnd

QUIET = Terminal(
    began=time.monotonic(),
    plain=True,
    quiet=True,
    answers=True,
    events=None,
    command="hpo run smoke",
    options=Options(),
)


def with_end(finished, **changes):
    return replace(finished.outcome, end=replace(finished.outcome.end, **changes))


def test_the_summary_counts_states_and_epochs_saved(finished) -> None:
    first, second = summary(finished.outcome, finished.spec)
    assert first.startswith("7 trials in ")
    assert first.endswith(": 3 complete, 3 pruned (28% of epochs saved), 1 failed")
    assert second == "best: trial 1   0.9333 (one seed; default config 0.4667)"


def test_a_resumed_call_tells_new_and_all_trials(finished) -> None:
    first = summary(with_end(finished, new=2), finished.spec)[0]
    assert first.startswith("2 trials in ")
    assert ", 7 in all: 3 complete" in first


@pytest.mark.parametrize(
    ("budget", "told"),
    [
        ("{trials: 7}", "7 trials"),
        ("{trials: 7, epochs: 30, time: 10m}", "7 trials or 30 epochs or 10m"),
    ],
)
def test_a_used_budget_leaves_nothing_to_do(finished, budget: str, told: str) -> None:
    spec = load_study("smoke", [f"budget={budget}", "name=tiny"])
    lines = summary(with_end(finished, new=0), spec)
    assert lines[0] == f"study tiny: its budget of {told} is used; nothing to do"
    assert lines[1].startswith("best: trial 1")


def test_a_study_without_a_complete_trial_says_so(finished) -> None:
    end = StudyEnd(
        why="interrupted", records=[], best=None, new=0, seconds=0.5, direction="maximize"
    )
    lines = summary(replace(finished.outcome, end=end), finished.spec)
    assert lines == [
        "0 trials in 0.5s: 0 complete, 0 pruned, 0 failed",
        "no trial is complete yet",
    ]


def test_the_summary_says_what_was_not_trained_and_what_an_audit_showed(
    finished, make_record
) -> None:
    config = {"trainer": {"max_epochs": 2}}
    records = [
        make_record(0, 0.9, config=config),
        make_record(1, 0.8, config=config, audit=1),
        make_record(2, 0.9, config=config, same_as=0),
        make_record(3, None, reason="infeasible"),
    ]
    end = replace(finished.outcome.end, records=records, best=records[0], new=4, seconds=1.0)
    lines = summary(replace(finished.outcome, end=end), finished.spec)
    assert lines[0].endswith("1 failed (1 infeasible); 1 took the outcome of an equal config")
    assert lines[-1] == (
        "audit: 1 trial ran on that the pruner would have stopped; "
        "the best of them is trial 1, 0.8000: number 2"
    )


def test_an_interrupted_study_tells_how_to_go_on(finished) -> None:
    outcome = replace(finished.outcome, signal=2)
    assert hints(outcome, finished.spec, "hpo run x --seed 1", Options()) == [
        "interrupted; go on with:  hpo run x --seed 1"
    ]


def test_a_finished_study_names_the_next_commands(finished) -> None:
    lines = hints(finished.outcome, finished.spec, "hpo run x", Options())
    assert "hpo evaluate tiny --seeds 5" in lines[0]


def test_the_next_commands_have_the_options_that_they_need(finished) -> None:
    options = Options(place=" --results there", plugins=" --plugin mine.py")
    lines = hints(finished.outcome, finished.spec, "hpo run x", options)
    assert lines[0].startswith(
        "next: hpo evaluate tiny --seeds 5 --results there --plugin mine.py  "
    )
    assert lines[1].startswith("      hpo best tiny --results there  ")
    assert lines[2].startswith("      hpo dashboard --results there  ")


def test_a_best_config_that_fresh_seeds_chose_is_told_beside_the_search_s_best(
    copied, finished
) -> None:
    record = json.loads(copied.best_config.read_text())
    record["study"] |= {"trial": record["study"]["trial"] + 1, "chosen_because": "it is steadier"}
    copied.best_config.write_text(json.dumps(record))
    lines = chosen_otherwise(replace(finished.outcome, folder=copied))
    assert lines == [f"best_config.json is trial {record['study']['trial']}: it is steadier"]
    assert chosen_otherwise(finished.outcome) == []


def test_without_a_best_config_nothing_is_next(copied, finished) -> None:
    copied.best_config.unlink()
    outcome = replace(finished.outcome, folder=copied)
    assert hints(outcome, finished.spec, "hpo run x", Options()) == []


def test_a_quiet_run_prints_the_answer_alone(tmp_path, capsys) -> None:
    outcome = run_in_terminal(
        load_study("smoke"), tmp_path, QUIET, storage=None, workers=0, allow_change=False
    )
    assert capsys.readouterr() == (f"{outcome.folder.best_config}\n", "")


def test_events_go_to_a_file_and_are_added_to_it(tmp_path, capsys) -> None:
    place = tmp_path / "events.jsonl"
    terminal = replace(QUIET, events=str(place), answers=False)
    for trials in (1, 2):
        spec = load_study("smoke", [f"budget.trials={trials}"])
        run_in_terminal(spec, tmp_path, terminal, storage=None, workers=0, allow_change=False)
    names = [json.loads(line)["event"] for line in place.read_text().splitlines()]
    assert names.count("study_started") == names.count("study_finished") == 2
    assert names.count("trial_finished") == 2
    assert capsys.readouterr() == ("", "")


def test_events_that_cannot_be_written_stop_everything_before_it_begins(tmp_path) -> None:
    terminal = replace(QUIET, events=str(tmp_path / "nowhere" / "e.jsonl"))
    with pytest.raises(
        UsageError, match=r"^--events: .*e.jsonl: No such file or directory; a file"
    ):
        run_in_terminal(
            load_study("smoke"),
            tmp_path / "r",
            terminal,
            storage=None,
            workers=0,
            allow_change=False,
        )
    assert not Path(tmp_path / "r").exists()


@pytest.mark.parametrize(("cores", "threads", "workers"), [(8, 2, 4), (2, 3, 1), (None, 1, 1)])
def test_as_many_trials_run_at_once_as_the_cores_can_train(
    monkeypatch, cores: int | None, threads: int, workers: int
) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: cores)
    assert default_workers(load_study("smoke", [f"trainer.threads={threads}"])) == workers


@pytest.mark.parametrize(
    ("gpus", "processes", "workers"), [("", 2, 4), ("012", 1, 3), ("012", 2, 1)]
)
def test_each_process_of_a_trial_takes_its_gpu_or_its_cores(
    monkeypatch, gpus: str, processes: int, workers: int
) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 8)
    monkeypatch.setattr("hpo.devices.gpus_for", lambda trainers: list(gpus))
    spec = load_study("smoke", [f"trainer.processes={processes}"])
    assert default_workers(spec) == workers
