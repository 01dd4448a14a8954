import io
import json
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from hpo import recorder
from hpo.files import read_document
from hpo.layout import StudyFolder
from hpo.records import Progress, TrialRecord, read_record, read_trials
from hpo.scheduler import Limits
from hpo.spec import StudySpec
from hpo.steering import taking
from hpo.steering.requests import Ask, EndTrial, Enqueue, SetBudget, Stop, send
from hpo.steering.status import status_of
from hpo.study import StudyOutcome, run_study
from hpo.terminal.live import LiveObserver
from hpo.tracking.events import EventsObserver
from hpo.tracking.observers import Observer, StudyStart
from hpo.twins import Twins
from tests.programs import Program, Programs

MakeSpec = Callable[..., StudySpec]
Observe = Callable[..., Observer]
Said = Any

STUDY = """
name: tiny
task: {kind: multiclass}
data: {source: digits}
model: {family: mlp, n_layers: 1, width: {low: 4, high: 64}}
optimizer:
  one_of:
    adamw: {lr: {low: 1e-4, high: 1e-1, log: true}}
    sgd: {lr: {low: 1e-3, high: 1.0, log: true}}
trainer: {max_epochs: 1000, batch_size: 32, accelerator: cpu}
budget: {trials: 4}
search: {sampler: random, pruner: none}
"""


def ask(folder: StudyFolder, what: Ask) -> Path:
    """Ask the supervisor that runs in this very process."""
    owner = folder.owner()
    assert owner is not None
    return send(folder, what, to=owner.token)


def run(spec: StudySpec, results: Path, observer: Observer) -> StudyOutcome:
    return run_study(spec, results, observers=[observer])


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look for requests at every batch: the studies here are over in a moment."""
    monkeypatch.setattr(taking, "EVERY_S", 0.0)


# A study in a process of its own, steered by commands as from another terminal.


@dataclass(frozen=True, kw_only=True)
class Steered:
    """What every command said, and what became of the study."""

    said: dict[str, Said]
    code: int
    err: str
    folder: StudyFolder

    @property
    def records(self) -> list[TrialRecord]:
        return read_trials(self.folder)


def wait_for(process: Program, there: Callable[[], bool]) -> None:
    while not there():
        assert process.poll() is None, process.err
        time.sleep(0.02)  # polls for an event; nothing is timed


@pytest.fixture(scope="module")
def steered(
    tmp_path_factory: pytest.TempPathFactory, cli_process: Any, programs: Programs
) -> Steered:
    here = tmp_path_factory.mktemp("steered")
    folder = StudyFolder(here / "results" / "tiny")
    said: dict[str, Said] = {}

    def hpo(name: str, *arguments: object) -> None:
        said[name] = cli_process(*arguments, folder=here)

    (here / "study.yaml").write_text(STUDY)
    run = ("run", "study.yaml", "--plain", "--workers", 1)
    with programs.start(*run, folder=here, group=True) as process:
        wait_for(process, (folder.trial(0) / "curve.csv").exists)
        hpo("status", "status", "tiny", "--json")
        hpo("enqueue", "enqueue", "tiny", "--set", "optimizer.sgd.lr=0.5")
        hpo("wrong", "enqueue", "tiny", "--set", "model.wdith=5", "--set", "optimizer=adam")
        hpo("budget", "budget", "tiny", "--trials", 7, "--time", "3h")
        hpo("stop trial", "stop", "tiny", 0)
        hpo("no trial", "stop", "tiny", 5)
        wait_for(process, (folder.trial(1) / "curve.csv").exists)
        hpo("stop", "stop", "tiny")
        return Steered(said=said, code=process.wait(), err=process.err, folder=folder)


def test_status_shows_what_runs_and_how_far_it_is(steered: Steered) -> None:
    found = json.loads(steered.said["status"].out)["result"]
    assert found["running"]
    assert found["pid"] > 1
    assert (found["ended"], found["budget"]["trials"], found["left"]["trials"]) == (0, 4, 4)
    (trial,) = found["trials"]
    assert (trial["number"], trial["state"], trial["max_epochs"]) == (0, "running", 1000)
    assert trial["epoch"] >= 1
    assert trial["value"] == trial["curve"][-1]
    assert trial["seconds"] < found["wall_seconds"] + 2


def test_stop_ends_the_study_like_ctrl_c_with_143_and_the_command_that_goes_on(
    steered: Steered,
) -> None:
    said = steered.said["stop"]
    assert (said.code, said.out) == (0, "tiny has stopped; 1 of 7 trials have ended\n")
    assert steered.code == 143
    assert "trial   1  given back" in steered.err
    assert steered.err.splitlines()[-1] == (
        "stopped by hpo stop; go on with:  "
        "hpo run study.yaml --plain --workers 1 --trials 7 --time 3h"
    )
    assert (steered.folder.trial(1) / "last.json").exists()


def test_a_trial_that_is_stopped_ends_as_pruned_by_the_user_and_the_study_goes_on(
    steered: Steered,
) -> None:
    assert steered.said["stop trial"].out.startswith("tiny has ended trial 0; 1 of 7 trials")
    (record,) = steered.records
    assert (record.state, record.notes[-1]) == ("pruned", "stopped by hand")
    assert record.run is not None
    assert record.run.stopped_by == "user"
    assert 1 <= record.run.epochs_run < 1000


def test_a_trial_that_does_not_run_is_not_stopped(steered: Steered) -> None:
    said = steered.said["no trial"]
    assert (said.code, said.err[:30]) == (2, "tiny: trial 5 does not run; ru")


def test_the_next_trial_has_the_values_that_were_enqueued(steered: Steered) -> None:
    assert steered.said["enqueue"].out == "enqueued: optimizer=sgd optimizer.sgd.lr=0.5\n"
    proposal = json.loads(steered.folder.proposal(1).read_text())
    assert proposal["params"]["optimizer.sgd.lr"] == 0.5
    assert 4 <= proposal["params"]["model.width"] <= 64
    assert proposal["request"]
    assert list(steered.folder.requests.iterdir()) == []


def test_what_does_not_fit_the_space_is_refused_at_once(steered: Steered) -> None:
    said = steered.said["wrong"]
    assert said.code == 2
    assert said.err.splitlines() == [
        "model.wdith: is no parameter of the study; did you mean 'model.width'?",
        "optimizer: 'adam' is no choice; did you mean 'adamw'?",
    ]


def test_a_running_study_takes_another_budget(steered: Steered) -> None:
    assert steered.said["budget"].code == 0
    assert "; 0/7 trials in " in steered.said["budget"].out
    assert "left: 7 trials or 2h" in steered.said["budget"].out
    assert "  budget: 7 trials or 3h00m now" in steered.err.splitlines()
    budget = read_document(steered.folder.study_file).values["budget"]
    assert budget == {"trials": 7, "time": "3h"}


def test_every_view_shows_a_new_budget(finished: Any, visible: Any) -> None:
    screen, stream = io.StringIO(), io.StringIO()
    live = LiveObserver(Console(file=screen, force_terminal=True, width=80, height=24))
    live.study_started(
        StudyStart(
            spec=finished.spec,
            folder=finished.folder,
            metric="accuracy",
            direction="maximize",
            past=finished.records[1:],
            total=7,
        )
    )
    for observer in (live, EventsObserver(stream)):
        observer.budget_changed(Limits(trials=21, time_s=60.0))
    live.trial_ended(finished.records[0], best=False)
    live.close()
    assert any("trial 7/21 " in line for line in visible(screen.getvalue()))
    event = json.loads(stream.getvalue())
    assert event["event"] == "budget_changed"
    assert (event["trials"], event["epochs"], event["time_s"]) == (21, None, 60.0)


# The supervisor's side.


def test_a_study_in_the_process_of_its_command_can_be_stopped_too(
    tmp_path: Path, make_spec: MakeSpec, observe: Observe, eager: None
) -> None:
    folder = StudyFolder(tmp_path / "tiny")
    observer = observe(trial_started=lambda proposal: ask(folder, Stop()))
    outcome = run(make_spec(), tmp_path, observer)
    assert (outcome.end.why, outcome.end.new) == ("stopped", 0)
    assert len(run_study(make_spec(), tmp_path).end.records) == 3


def test_a_trial_that_is_stopped_before_its_first_validation_ends_there(
    tmp_path: Path, make_spec: MakeSpec, observe: Observe, eager: None
) -> None:
    folder = StudyFolder(tmp_path / "tiny")

    def started(proposal: Any) -> None:
        if proposal.number == 1:
            ask(folder, EndTrial(trial=1))

    records = run(make_spec(), tmp_path, observe(trial_started=started)).end.records
    assert [record.state for record in records] == ["complete", "pruned", "complete"]
    assert records[1].run is not None
    assert (records[1].run.validations, records[1].run.stopped_by) == (1, "user")


def test_the_progress_says_what_runs_and_by_whom(
    tmp_path: Path, make_spec: MakeSpec, observe: Observe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder, "TABLES_EVERY_S", 0.0)
    folder = StudyFolder(tmp_path / "tiny")
    told: list[tuple[int, Progress]] = []

    def validated(number: int, *_: object, **__: object) -> None:
        progress = read_record(folder.progress, Progress)
        owner = folder.owner()
        assert owner is not None
        assert progress.owner == owner.token
        told.append((number, progress))

    run(make_spec(), tmp_path, observe(validated=validated))
    assert {number for number, _ in told} == {0, 1, 2}
    for number, progress in told:
        assert [one.number for one in progress.running] == [number]
        assert progress.limits == {"trials": 3, "epochs": None, "time_s": None}
    assert read_record(folder.progress, Progress).running == []


def test_a_trial_that_a_user_ended_is_trained_again_when_it_is_proposed_again(
    make_record: Any,
) -> None:
    ended = make_record(0, config={"a": 1}, state="pruned", run={"stopped_by": "user"})
    pruned = make_record(1, config={"a": 2}, state="pruned", run={"stopped_by": "pruner"})
    twins = Twins([ended, pruned], window=None)
    assert twins.of(2, {"a": 1}) is None
    assert twins.of(2, {"a": 2}) == pruned


def test_a_raised_budget_is_the_studys_and_its_observers(
    tmp_path: Path, make_spec: MakeSpec, observe: Observe, eager: None
) -> None:
    folder, told = StudyFolder(tmp_path / "tiny"), []

    def started(proposal: Any) -> None:
        if proposal.number == 2:
            ask(folder, SetBudget(trials=4))

    outcome = run(make_spec(), tmp_path, observe(trial_started=started, budget_changed=told.append))
    assert len(outcome.end.records) == 4
    assert told == [Limits(trials=4)]
    assert read_document(folder.study_file).values["budget"] == {"trials": 4}
    assert outcome.budget_set == {"trials": 4}
    assert status_of(folder).limits == Limits(trials=4)


def test_a_budget_below_what_is_used_by_now_is_dropped_with_a_warning(
    tmp_path: Path, make_spec: MakeSpec, observe: Observe, eager: None
) -> None:
    folder, told = StudyFolder(tmp_path / "tiny"), []

    def started(proposal: Any) -> None:
        if proposal.number == 1:
            ask(folder, SetBudget(trials=1))

    outcome = run(make_spec(), tmp_path, observe(trial_started=started, warned=told.append))
    assert len(outcome.end.records) == 3
    (line,) = told
    assert line.endswith(": 2 trials have ended or run; give 2 or more; it is dropped")


def test_what_was_asked_of_a_supervisor_that_has_gone_does_nothing(
    tmp_path: Path, make_spec: MakeSpec, observe: Observe
) -> None:
    folder, told = StudyFolder(tmp_path / "tiny"), []
    folder.path.mkdir()
    for what in (Stop(), EndTrial(trial=0), SetBudget(trials=1)):
        send(folder, what, to="another")
    outcome = run(make_spec(), tmp_path, observe(warned=told.append))
    assert [record.state for record in outcome.end.records] == ["complete"] * 3
    assert [line.partition(": ")[2] for line in told] == [
        f"{words} was asked of a supervisor that has gone; it is dropped"
        for words in ("to stop", "to end a trial", "another budget")
    ]
    assert list(folder.requests.iterdir()) == []


def test_a_file_that_is_no_request_is_removed_with_a_warning_and_the_study_goes_on(
    tmp_path: Path, make_spec: MakeSpec, observe: Observe
) -> None:
    folder, told = StudyFolder(tmp_path / "tiny"), []
    folder.requests.mkdir(parents=True)
    (folder.requests / "mine.json").write_text("{")
    (folder.requests / "mine.txt").write_text("not ours")
    os.mkfifo(folder.requests / "pipe.json")
    outcome = run(make_spec(), tmp_path, observe(warned=told.append))
    assert len(outcome.end.records) == 3
    assert told == ["requests/mine.json: is no request: no JSON; it is dropped"]
    assert {path.name for path in folder.requests.iterdir()} == {"mine.txt", "pipe.json"}


def test_enqueued_trials_come_after_the_default_one_each_and_do_not_raise_the_budget(
    tmp_path: Path, make_spec: MakeSpec
) -> None:
    folder = StudyFolder(tmp_path / "tiny")
    folder.path.mkdir()
    for width in (4, 12, 8):
        send(folder, Enqueue(params={"model.width": width}), to=None)
    records = run_study(make_spec(), tmp_path).end.records
    assert [(r.params["model.width"], r.notes) for r in records[1:]] == [
        (4, ["enqueued"]),
        (12, ["enqueued"]),
    ]
    assert records[0].notes[0] == "default"
    (waits,) = folder.requests.iterdir()
    records = run_study(make_spec("budget.trials=5"), tmp_path).end.records
    assert [r.params["model.width"] for r in records[3:4]] == [8]
    assert [record.notes for record in records[3:]] == [["enqueued"], []]
    assert not waits.exists()


KILLED = """
import os, signal, sys
from pathlib import Path
from hpo.spec import load_study
from hpo.study import run_study

class Dies:
    def __init__(self, moment): self.moment, self.trial = moment, None
    def __getattr__(self, name): return lambda *a, **k: self.told(name, *a)
    def told(self, name, *a):
        if name == "trial_started": self.trial = a[0].number
        if name == self.moment and self.trial == 1: os.kill(os.getpid(), signal.SIGKILL)

run_study(load_study("study.yaml"), Path("results"), observers=[Dies(sys.argv[1])])
"""


@pytest.mark.slow
def test_an_enqueued_trial_is_trained_once_however_often_the_supervisor_is_killed(
    tmp_path: Path, make_spec: MakeSpec, programs: Programs
) -> None:
    """First before anything but the storage knows of the trial, then while it is trained."""
    (tmp_path / "study.yaml").write_text(make_spec().text())
    folder = StudyFolder(tmp_path / "results" / "tiny")
    folder.path.mkdir(parents=True)
    request = send(folder, Enqueue(params={"model.width": 12}), to=None)
    for moment in ("trial_started", "validated"):
        with programs.start(moment, folder=tmp_path, code=KILLED) as process:
            assert process.wait() == -signal.SIGKILL, process.err
        found = status_of(folder)
        assert (found.owner, found.running) == (None, [])
        assert request.exists() is (moment == "trial_started")
    (tmp_path / "results" / "storage.sqlite").unlink()  # the record of the proposal is enough
    records = run_study(make_spec(), tmp_path / "results").end.records
    assert [r.params["model.width"] == 12 for r in records if "enqueued" in r.notes] == [True]
    assert [record.number for record in records if "enqueued" in record.notes] == [1]
    assert len(records) == 3
