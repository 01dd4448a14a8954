import re
from dataclasses import replace

import pytest

from hpo.spec import load_study
from hpo.terminal import lines
from hpo.terminal.lines import LinesObserver, headline, trial_line
from hpo.tracking.observers import StudyStart
from hpo.words import ASCII_MARKS, MARKS
from lightning_modules.result import Validation


def start_of(finished, **changes) -> StudyStart:
    start = StudyStart(
        spec=finished.spec,
        folder=finished.folder,
        metric="accuracy",
        direction="maximize",
        past=[],
        total=7,
    )
    return replace(start, **changes)


def test_every_trial_has_one_line_after_the_headline(finished) -> None:
    first, *rest = finished.lines
    assert first == f"study tiny: 7 trials, mlp on iris, seed 3 → {finished.folder.path}"
    assert len(rest) == 7
    for n, line in enumerate(rest):
        assert re.match(rf"  trial   {n}  +(0\.\d{{4}}|1\.000|–)  [✓✂✗]  +\d+\.\ds  \S", line)


def test_the_last_line_marked_best_is_the_best_trial(finished) -> None:
    best = [line for line in finished.lines if line.endswith("   ← best")][-1]
    assert best.startswith(f"  trial   {finished.outcome.best.study['trial']} ")


def test_a_resumed_study_says_what_was_done_before(finished) -> None:
    assert headline(start_of(finished, past=finished.records)).endswith(" (7 done before)")


def test_the_headline_names_every_family_and_limit(finished) -> None:
    spec = load_study("quickstart", ["budget={time: 10m}"])
    text = headline(start_of(finished, spec=spec, total=None))
    assert "no limit of trials, at most 10m, cnn and mlp on digits" in text


@pytest.mark.parametrize("marks", [MARKS, ASCII_MARKS])
@pytest.mark.parametrize("state", ["complete", "pruned", "failed"])
def test_a_trial_bears_the_mark_of_its_state(finished, state: str, marks: dict[str, str]) -> None:
    line = trial_line(finished.of(state), best=False, marks=marks)
    assert f"  {marks[state]} " in line
    assert "best" not in line


def test_a_silent_minute_ends_with_a_sign_of_life(finished, monkeypatch) -> None:
    said: list[str] = []
    observer = LinesObserver(said.append)
    validation = Validation(
        validation=1, epoch=1.5, step=3, seconds=0.1, objective=0.5, best=True, metrics={}
    )
    observer.validated(4, validation, prune=False)
    observer.batch_ended()
    assert said == []
    monkeypatch.setattr(lines, "HEARTBEAT_S", 0.0)
    observer.batch_ended()
    assert said == ["  … trial 4 epoch 1.5"]


def test_a_trial_that_is_given_back_is_said_to_wait() -> None:
    said: list[str] = []
    LinesObserver(said.append).trial_given_back(4)
    assert said == ["  trial   4  given back: it will be trained when the study goes on"]
