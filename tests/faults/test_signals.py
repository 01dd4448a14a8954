"""Rows F3 to F5 of the fault matrix: a signal at any moment loses nothing and leaves nothing."""

import csv
import os
import signal
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from hpo.layout import StudyFolder
from hpo.records import read_trials
from hpo.spec import StudySpec, load_study
from hpo.study import StudyOutcome, run_study
from hpo.tracking.observers import Observer
from lightning_modules.plugins import load_plugin
from lightning_modules.result import TIMED
from tests.programs import Program, Programs

TOLD = '''
import os
import time
from pathlib import Path
import pytorch_lightning as pl
import torch
from torch import nn


class Told(pl.LightningModule):
    """Writes down its batches; sends a signal in one of its hooks, or waits, as notes say."""

    def __init__(self, hook: str = "", notes: str = "", lr: float = 0.1):
        super().__init__()
        self.hook, self.notes, self.lr = hook, Path(notes), lr
        self.net = nn.Sequential(nn.Dropout(0.2), nn.Linear(4, 3))

    def reached(self, hook):
        note = self.notes / "signal"
        if hook == self.hook and self.trial() == "0001" and note.exists():
            pid = int(note.read_text())
            note.unlink()
            os.kill(pid, 15)

    def trial(self):
        return Path(self.trainer.default_root_dir).name

    def training_step(self, batch, batch_idx):
        self.reached("training_step")
        if self.trial().isdigit():
            with (self.notes / "ledger").open("a") as ledger:
                print(self.trial(), self.current_epoch, batch_idx, file=ledger)
            while (self.notes / "wait").exists() and self.global_step == 2:
                (self.notes / "ready").touch()
                time.sleep(0.01)
        return nn.functional.cross_entropy(self.net(batch[0]), batch[1])

    def validation_step(self, batch, batch_idx):
        self.reached("validation_step")
        self.log("val_acc", (self.net(batch[0]).argmax(1) == batch[1]).float().mean())

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=self.lr)
''' + "".join(
    f"\n    def {hook}(self, *_):\n        self.reached({hook!r})\n"
    for hook in (
        "on_train_start",
        "on_train_batch_end",
        "on_validation_start",
        "on_validation_end",
        "on_save_checkpoint",
        "on_train_end",
    )
)
HOOKS = {
    "training_step": 0,
    "validation_step": 0,
    "on_train_start": 0,
    "on_train_batch_end": 0,
    "on_validation_start": 0,
    "on_validation_end": 0,
    "on_save_checkpoint": 0,
    "on_train_end": 1,  # the trial was trained to its end: it is complete
}


@pytest.fixture(scope="module")
def plugin(tmp_path_factory: pytest.TempPathFactory, module_registries: None) -> Path:
    path = tmp_path_factory.mktemp("plugin") / "told_module.py"
    path.write_text(TOLD)
    load_plugin(str(path))
    return path


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    """A folder in which the module and its test leave each other notes."""
    (tmp_path / "notes").mkdir()
    return tmp_path / "notes"


def told(notes: Path, hook: str = "", trials: int = 3, **trainer: Any) -> StudySpec:
    """Return a study whose module raises a signal in ``hook``."""
    return load_study(
        {
            "name": "told",
            "task": {"kind": "multiclass"},
            "data": {"source": "iris"},
            "model": {
                "family": "Told",
                "hook": hook,
                "notes": str(notes),
                "lr": {"low": 0.01, "high": 0.5},
            },
            "trainer": {"max_epochs": 3, "batch_size": 16, "accelerator": "cpu", **trainer},
            "objective": {"metric": "val_acc", "direction": "maximize"},
            "budget": {"trials": trials},
            "search": {"sampler": "random", "pruner": "none"},
        }
    )


MakeTold = Callable[..., StudySpec]


@pytest.fixture
def make_told(plugin: Path, notes: Path) -> MakeTold:
    """Return a function to a study whose module finds its notes."""
    return partial(told, notes)


@pytest.fixture(scope="module")
def straight(plugin: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The study that nothing stopped, trained in this process."""
    folder = tmp_path_factory.mktemp("straight")
    run_study(told(folder), folder)
    return folder


class Signaller:
    """An observer that raises a signal at some moments of trial 1, once each."""

    def __init__(self, *moments: str, number: int = signal.SIGTERM) -> None:
        self._moments = list(moments)
        self._number = number
        self.warned = self.validated = self._nothing

    def _nothing(self, *_: object, **__: object) -> None:
        return None

    def _reached(self, moment: str) -> None:
        while moment in self._moments:
            self._moments.remove(moment)
            os.kill(os.getpid(), self._number)

    def study_started(self, _: object) -> None:
        self._reached("study_started")

    def study_ended(self, _: object) -> None:
        self._reached("study_ended")

    def batch_ended(self) -> None:
        self._reached("batch_ended")

    def trial_started(self, proposal: Any) -> None:
        self._reached(f"trial_started {proposal.number}")

    def trial_ended(self, record: Any, *, best: bool) -> None:
        self._reached(f"trial_ended {record.number}")

    def trial_given_back(self, number: int) -> None:
        self._reached("trial_given_back")


def states(results: Path) -> list[str]:
    """Return the states of all trials in the storage, by number."""
    with closing(sqlite3.connect(results / "storage.sqlite")) as database:
        rows = database.execute("select number, state from trials order by number").fetchall()
    assert [number for number, _ in rows] == list(range(len(rows)))
    return [state for _, state in rows]


def essence(results: Path) -> list[object]:
    """Return what must be equal in equal studies: parameters, values, whole curves."""
    folder = StudyFolder(results / "told")
    found: list[object] = []
    for record in read_trials(folder):
        with (folder.trial(record.number) / "curve.csv").open(newline="") as stream:
            rows = list(csv.DictReader(stream))
        curve = [{k: v for k, v in row.items() if k not in TIMED} for row in rows]
        found.append((record.number, record.state, record.params, record.value, curve))
    return found


def run_signalled(
    spec: StudySpec, results: Path, notes: Path, *, workers: int, observer: Observer | None = None
) -> StudyOutcome:
    """Run a study whose module raises the signal that its note asks for."""
    (notes / "signal").write_text(str(os.getpid()))
    observers = [] if observer is None else [observer]
    return run_study(spec, results, workers=workers, observers=observers)


def check_went_on(spec: StudySpec, results: Path, straight: Path, *, workers: int) -> None:
    """Check that the study, run again, is the study that nothing stopped."""
    assert "RUNNING" not in states(results)
    assert run_study(spec, results, workers=workers).end.why == "budget"
    assert states(results) == ["COMPLETE"] * 3
    assert essence(results) == essence(straight)


IN_PROCESS = [(0, hook) for hook in HOOKS]
IN_CHILD = [(1, hook) for hook in ("on_validation_start", "on_save_checkpoint", "on_train_end")]
"""Before, within and after what a training saves: in any hook the study gets the signal alone."""


@pytest.mark.parametrize(("workers", "hook"), [*IN_PROCESS, *IN_CHILD])
def test_f5_sigterm_in_any_hook_of_a_training_gives_the_study_that_nothing_stopped(
    tmp_path: Path, notes: Path, make_told: MakeTold, straight: Path, workers: int, hook: str
) -> None:
    spec = make_told(hook)
    outcome = run_signalled(spec, tmp_path / "stopped", notes, workers=workers)
    assert (outcome.signal, outcome.end.why) == (signal.SIGTERM, "interrupted")
    if workers == 0:
        assert states(tmp_path / "stopped")[1:] == [("WAITING", "COMPLETE")[HOOKS[hook]]]
    check_went_on(spec, tmp_path / "stopped", straight, workers=workers)


@pytest.mark.parametrize(
    ("moment", "left"),
    [
        ("trial_started 0", ["WAITING"]),
        ("trial_ended 0", ["COMPLETE"]),
        ("trial_started 1", ["COMPLETE", "WAITING"]),
        ("trial_ended 1", ["COMPLETE", "COMPLETE"]),
    ],
)
def test_f5_sigterm_between_trials_gives_the_study_that_nothing_stopped(
    tmp_path: Path, make_told: MakeTold, straight: Path, moment: str, left: list[str]
) -> None:
    spec = make_told()
    outcome = run_study(spec, tmp_path / "stopped", observers=[Signaller(moment)])
    assert (outcome.signal, outcome.end.why) == (signal.SIGTERM, "interrupted")
    assert states(tmp_path / "stopped") == left
    check_went_on(spec, tmp_path / "stopped", straight, workers=0)


def test_f5_sigterm_after_the_last_trial_changes_nothing(
    tmp_path: Path, make_told: MakeTold
) -> None:
    spec = make_told()
    outcome = run_study(spec, tmp_path, observers=[Signaller("trial_ended 2")])
    assert outcome.signal == signal.SIGTERM
    assert states(tmp_path) == ["COMPLETE"] * 3
    assert run_study(spec, tmp_path).end.new == 0


def test_f4_ctrl_c_while_the_study_puts_things_down_is_passed_over(
    tmp_path: Path, make_told: MakeTold, straight: Path
) -> None:
    """Two Ctrl-C stop now; an impatient third finds the trial being given back."""
    spec = make_told()
    hasty = Signaller("batch_ended", "batch_ended", "trial_given_back", number=signal.SIGINT)
    outcome = run_study(spec, tmp_path / "stopped", observers=[hasty])
    assert (outcome.signal, outcome.end.why) == (signal.SIGINT, "interrupted")
    assert states(tmp_path / "stopped") == ["WAITING"]
    check_went_on(spec, tmp_path / "stopped", straight, workers=0)


# A real process, and signals as a terminal and a machine that shuts down send them.


Run = Callable[[StudySpec], Program]


@pytest.fixture
def hpo_run(programs: Programs, plugin: Path, tmp_path: Path) -> Run:
    """Return a function that starts ``hpo run`` with one child in a process group of its own."""

    def start(spec: StudySpec) -> Program:
        (tmp_path / "study.yaml").write_text(spec.text())
        command = ("run", "study.yaml", "--plugin", plugin, "--plain", "--workers", 1)
        return programs.start(*command, folder=tmp_path, group=True)

    return start


def wait_for(file: Path, process: Program) -> None:
    """Wait until a file is there, or the process has ended."""
    while not file.exists() and process.poll() is None:
        time.sleep(0.01)  # polls for an event; nothing is timed
    assert file.exists(), process.err


@pytest.mark.slow
@pytest.mark.parametrize(
    ("send", "number", "code"),
    [
        pytest.param(os.kill, signal.SIGTERM, 143, id="f3-SIGTERM"),
        pytest.param(os.killpg, signal.SIGINT, 130, id="f4-Ctrl-C"),
    ],
)
def test_f3_f4_a_training_that_is_signalled_goes_on_at_its_next_batch(
    tmp_path: Path,
    notes: Path,
    hpo_run: Run,
    make_told: MakeTold,
    send: Callable[[int, int], None],
    number: int,
    code: int,
) -> None:
    (notes / "wait").touch()
    spec = make_told(trials=1, max_epochs=8, batch_size=2)  # long: it is stopped in the middle
    with hpo_run(spec) as process:
        wait_for(notes / "ready", process)
        send(process.pid, number)
        (notes / "wait").unlink()
        assert process.wait() == code, process.err
        assert "interrupted; go on with:  hpo run study.yaml" in process.err
        assert "Traceback" not in process.err
    assert states(tmp_path / "results") == ["WAITING"]
    with hpo_run(spec) as process:
        assert process.wait() == 0, process.err
    assert states(tmp_path / "results") == ["COMPLETE"]
    check_each_batch_once(notes, n_trials=1, n_epochs=8)


def check_each_batch_once(notes: Path, *, n_trials: int, n_epochs: int) -> None:
    """Check that the ledger has every batch of every epoch of every trial once, in order."""
    lines = (notes / "ledger").read_text().splitlines()
    found = [tuple(map(int, line.split())) for line in lines]
    n_batches = 1 + max(batch for *_, batch in found)
    trials, epochs, batches = range(n_trials), range(n_epochs), range(n_batches)
    assert found == [(t, e, b) for t in trials for e in epochs for b in batches]


@pytest.mark.slow
def test_f3_sigterm_to_all_processes_at_once_is_no_fault_of_the_trial(
    tmp_path: Path, notes: Path, hpo_run: Run, make_told: MakeTold
) -> None:
    """As a machine that shuts down, or a batch system, ends them; sent from within a batch."""
    spec = make_told("on_train_batch_end", trials=2)
    (notes / "signal").write_text("0")  # the whole process group
    with hpo_run(spec) as process:
        assert process.wait() == 143, process.err
    assert states(tmp_path / "results") == ["COMPLETE", "WAITING"]
    with hpo_run(spec) as process:
        assert process.wait() == 0, process.err
    assert states(tmp_path / "results") == ["COMPLETE"] * 2
    check_each_batch_once(notes, n_trials=2, n_epochs=3)


def press_ctrl_c(process: Program) -> None:
    """Send what a terminal sends, and wait until it has arrived: two that wait become one."""
    os.killpg(process.pid, signal.SIGINT)
    bit, waiting = 1 << (signal.SIGINT - 1), "ShdPnd:\t"
    while process.poll() is None:
        status = Path(f"/proc/{process.pid}/status").read_text()
        if not int(status.partition(waiting)[2].split()[0], 16) & bit:
            return


@pytest.mark.slow
def test_f4_ctrl_c_twice_stops_a_trial_that_hangs_and_leaves_nothing_running(
    tmp_path: Path, notes: Path, hpo_run: Run, make_told: MakeTold
) -> None:
    (notes / "wait").touch()
    spec = make_told()
    with hpo_run(spec) as process:
        wait_for(notes / "ready", process)
        press_ctrl_c(process)
        press_ctrl_c(process)
        assert process.wait() == 130, process.err
        assert "Traceback" not in process.err
    assert states(tmp_path / "results") == ["WAITING"]
    (notes / "wait").unlink()
    assert run_study(spec, tmp_path / "results").end.new == 3
    assert states(tmp_path / "results") == ["COMPLETE"] * 3
