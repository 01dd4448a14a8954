"""Trials of two processes: one result, and the named death of either ends both."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from hpo.children import Children
from hpo.errors import UsageError
from hpo.protocol import TrialEnd, TrialOrder
from hpo.records import TrialRecord
from hpo.retrain import retrain
from hpo.spec import StudySpec, load_study
from hpo.study import StudyOutcome, run_study
from lightning_modules.config import RunConfig
from lightning_modules.plugins import load_plugin
from lightning_modules.result import Command, RunResult, Validation

PAIR = '''
import os, signal, time
from pathlib import Path
import pytorch_lightning as pl
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class Pair(pl.LightningModule):
    """Goes wrong in one of its processes, at the third step."""

    def __init__(self, fault: str = "none", rank: int = 1, marker: str = ""):
        super().__init__()
        self.fault, self.rank, self.marker = fault, rank, Path(marker)
        self.net = nn.Linear(4, 3)
        self.seen = []
        self.rows = 0
        self.factor = 1.0

    def training_step(self, batch, batch_idx):
        if self.global_step == 2 and self.global_rank == self.rank:
            self.go_wrong()
            self.factor = float("nan") if self.fault == "nan" else 1.0
        self.seen += batch[2].tolist() if len(batch) == 3 else []
        return nn.functional.cross_entropy(self.net(batch[0]), batch[1]) * self.factor

    def go_wrong(self):
        if self.fault == "killed once" and not self.marker.exists():
            self.marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        elif self.fault == "killed always":
            os.kill(os.getpid(), signal.SIGKILL)
        elif self.fault == "segfault":
            os.kill(os.getpid(), signal.SIGSEGV)
        elif self.fault == "os exit":
            os._exit(7)
        elif self.fault == "exception":
            raise RuntimeError("the shapes do not fit")
        elif self.fault == "memory error":
            raise MemoryError("no room")
        elif self.fault == "hang":
            time.sleep(600)

    def on_validation_start(self):
        self.rows = 0

    def validation_step(self, batch, batch_idx):
        self.rows += len(batch[0])
        self.log("val_acc", (self.net(batch[0]).argmax(1) == batch[1]).float().mean())

    def on_validation_epoch_end(self):
        self.log("val_rows", float(self.rows))

    def on_fit_end(self):
        if str(self.marker) != "." and self.marker.is_dir():
            (self.marker / str(self.global_rank)).write_text(" ".join(map(str, sorted(self.seen))))

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


class Numbered(pl.LightningDataModule):
    """Ten rows to train on, each with its number, and seven to validate on."""

    def __init__(self, batch_size: int = 2):
        super().__init__()
        self.batch_size = batch_size

    def _rows(self, n):
        return TensorDataset(torch.ones(n, 4), torch.zeros(n, dtype=torch.long), torch.arange(n))

    def train_dataloader(self):
        return DataLoader(self._rows(10), batch_size=self.batch_size, shuffle=True)

    def val_dataloader(self):
        return {"all": DataLoader(self._rows(7), batch_size=3)}
'''

TRAINER = {"max_epochs": 3, "batch_size": 16, "accelerator": "cpu"}
NAMED = {
    "killed always": ("killed", "killed by SIGKILL"),
    "segfault": ("error", "crashed by SIGSEGV"),
    "os exit": ("error", "ended its process with exit code 7"),
    "exception": ("error", "RuntimeError: the shapes do not fit"),
    "memory error": ("oom", "no room"),
    "hang": ("timeout", "ran longer than 8 s"),
    "nan": ("nan", "non-finite loss in epoch 1"),
}
FAULTS = ["none", "killed once", *NAMED]


class Heard:
    """A listener that keeps what it hears, and answers from the given validation on."""

    def __init__(self, answer: Command = Command.CONTINUE, *, at: int = 1) -> None:
        self.heard: list[Validation] = []
        self._answer, self._at = answer, at

    def validated(self, validation: Validation) -> Command:
        self.heard.append(validation)
        return self._answer if len(self.heard) >= self._at else Command.CONTINUE

    def batch_ended(self) -> Command:
        return Command.CONTINUE


Train = Callable[..., TrialEnd]


@pytest.fixture
def children() -> Iterator[Children]:
    """Children, of which nothing is left when the test is over."""
    children = Children(1)
    yield children
    children.close()
    assert processes_left() == []


@pytest.fixture
def train(children: Children, tmp_path: Path) -> Train:
    """Return a function that trains a config in processes of its own, to its end."""

    def run(config: RunConfig, name: str, listener: Heard | None = None) -> TrialEnd:
        order = TrialOrder(
            number=0,
            config=config.plain(),
            folder=str(tmp_path / name),
            plugins=[str(tmp_path / "pair.py")] if config.whole else [],
            cache=str(tmp_path / "cache"),
            log=str(tmp_path / "log.txt"),
        )
        (tmp_path / name).mkdir(exist_ok=True)
        children.start(order, listener)
        ended: list[TrialEnd] = []
        while not ended:
            ended = children.wait(60.0)
        return ended[0]

    return run


def processes_left() -> list[psutil.Process]:
    """Return the processes of trials: those that the server of children has forked."""
    servers = psutil.Process().children()
    forked = [one for server in servers for one in server.children()]
    return psutil.wait_procs(forked, timeout=10)[1]


def make_config(processes: int, **parts: Any) -> RunConfig:
    """Return the config of a small network with dropout and everything that steers a run."""
    trainer = {**TRAINER, "processes": processes, **parts.pop("trainer", {})}
    return RunConfig.model_validate(
        {
            "task": {"kind": "multiclass"},
            "data": {"source": "iris", "split_seed": 1},  # 90 training rows: two shares are equal
            "model": {"family": "mlp", "n_layers": 2, "width": 16, "dropout": 0.2},
            "optimizer": {"name": "adamw", "lr": 0.01},
            "trainer": trainer,
            **parts,
        }
    )


def result_of(end: TrialEnd) -> RunResult:
    assert end.result is not None, f"{end.what}\n{end.traceback}"
    return end.result


STEERED = {
    "schedule": {"name": "plateau", "patience": 0},
    "trainer": {"validate_every": 0.5, "early_stopping": {"patience": 4}, "max_epochs": 5},
}


ACCUMULATED = {
    "schedule": {"name": "cosine"},
    "trainer": {"accumulate": 4, "averaging": {"name": "ema"}, "validate_every": 0.5},
}


@pytest.mark.parametrize("parts", [{}, STEERED, ACCUMULATED], ids=["plain", "steered", "averaged"])
def test_two_processes_train_as_one_does(train: Train, parts: dict[str, Any]) -> None:
    one = result_of(train(make_config(1, **parts), "one", Heard()))
    two = result_of(train(make_config(2, **parts), "two", Heard()))
    assert (two.validations, two.steps, two.stopped_by) == (
        one.validations,
        one.steps,
        one.stopped_by,
    )
    assert two.metrics["val/loss"] == pytest.approx(one.metrics["val/loss"], rel=1e-4)
    assert two.metrics["train/lr"] == one.metrics["train/lr"]
    assert two.n_parameters == one.n_parameters


def test_the_first_process_alone_reports(train: Train, tmp_path: Path) -> None:
    listener = Heard()
    end = result_of(train(make_config(2), "two", listener))
    assert [one.validation for one in listener.heard] == [1, 2, 3]
    assert (end.validations, end.epochs_run) == (3, 3.0)
    assert len((tmp_path / "two" / "curve.csv").read_text().splitlines()) == 1 + 3


def test_two_processes_give_equal_bits_twice(train: Train) -> None:
    first, second = (result_of(train(make_config(2), name, Heard())) for name in ("a", "b"))
    assert first.metrics == second.metrics
    assert first.checkpoint.sha256 == second.checkpoint.sha256


@pytest.mark.parametrize("command", [Command.STOP, Command.ABANDON])
def test_what_the_first_process_is_told_both_do(train: Train, command: Command) -> None:
    end = train(make_config(2), "told", Heard(command, at=2))
    if command is Command.ABANDON:
        assert end.outcome == "abandoned"
    else:
        assert (result_of(end).stopped_by, result_of(end).validations) == ("pruner", 2)


@pytest.mark.parametrize("parts", [STEERED, ACCUMULATED], ids=["steered", "averaged"])
def test_an_abandoned_run_of_two_processes_goes_on_to_the_same_bits(
    train: Train, parts: dict[str, Any]
) -> None:
    """The third validation comes after three batches, of which four make a step."""
    config = make_config(2, **parts)
    straight = result_of(train(config, "straight", Heard()))
    assert train(config, "run", Heard(Command.ABANDON, at=3)).result is None
    listener = Heard()
    resumed = result_of(train(config, "run", listener))
    assert listener.heard[0].validation == 4
    assert resumed.metrics == straight.metrics
    assert resumed.checkpoint.sha256 == straight.checkpoint.sha256


def test_three_processes_share_batches_that_three_does_not_divide(train: Train) -> None:
    result = result_of(train(make_config(3, trainer={"batch_size": 16}), "three", Heard()))
    assert result.steps == 3 * 6  # 90 rows in batches of 15


@pytest.fixture
def pair(tmp_path: Path, registries: None) -> Path:
    path = tmp_path / "pair.py"
    path.write_text(PAIR)
    load_plugin(str(path))
    return path


def test_own_data_are_shared_in_training_and_whole_in_validation(
    train: Train, pair: Path, tmp_path: Path
) -> None:
    marker = tmp_path / "seen"
    marker.mkdir()
    config = RunConfig.model_validate(
        {
            "data": {"source": "Numbered"},
            "model": {"family": "Pair", "marker": str(marker)},
            "trainer": {"max_epochs": 1, "accelerator": "cpu", "processes": 2},
            "objective": {"metric": "val_acc", "direction": "maximize"},
        }
    )
    result = result_of(train(config, "own", Heard()))
    shares = [set((marker / str(rank)).read_text().split()) for rank in range(2)]
    assert [len(share) for share in shares] == [5, 5]
    assert shares[0] | shares[1] == {str(row) for row in range(10)}
    assert result.metrics["val_rows"] == 7


def test_a_best_config_of_two_processes_is_trained_again_to_the_recorded_value(
    tmp_path: Path,
) -> None:
    spec = load_study(
        {
            "name": "two",
            "task": {"kind": "multiclass"},
            "data": {"source": "iris"},
            "model": {"family": "mlp", "n_layers": 1, "width": {"choices": [4, 8]}},
            "trainer": {**TRAINER, "processes": 2},
            "budget": {"trials": 2},
            "search": {"sampler": "grid", "pruner": "none"},
        }
    )
    best = run_study(spec, tmp_path, workers=1).folder.best_config
    done = retrain(best, tmp_path / "again")
    assert done.recorded == done.result.value
    with pytest.raises(UsageError, match=r"^trainer.processes: 2 processes of a trial cannot be"):
        run_study(spec, tmp_path / "here")
    assert not (tmp_path / "here").exists()


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory, module_registries: None) -> StudyOutcome:
    """A study over every fault in each of two processes."""
    folder = tmp_path_factory.mktemp("pairs")
    (folder / "pair_module.py").write_text(PAIR)
    load_plugin(str(folder / "pair_module.py"))
    spec: StudySpec = load_study(
        {
            "name": "pairs",
            "task": {"kind": "multiclass"},
            "data": {"source": "iris"},
            "model": {
                "family": "Pair",
                "fault": {"choices": FAULTS},
                "rank": {"choices": [0, 1]},
                "marker": str(folder / "killed"),
            },
            "trainer": {**TRAINER, "max_epochs": 1, "processes": 2},
            "objective": {"metric": "val_acc", "direction": "maximize"},
            "budget": {"trials": 2 * len(FAULTS)},
            "search": {
                "sampler": "grid",
                "pruner": "none",
                "retries": 1,
                "trial_timeout": "8s",
            },
        }
    )
    return run_study(spec, folder / "results", workers=2)


def of(outcome: StudyOutcome, fault: str, rank: int) -> TrialRecord:
    params = {"model.fault": fault, "model.rank": rank}
    return next(record for record in outcome.end.records if record.params == params)


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1])
@pytest.mark.parametrize("fault", NAMED)
def test_the_death_of_either_process_is_that_of_the_trial(
    outcome: StudyOutcome, fault: str, rank: int
) -> None:
    reason, what = NAMED[fault]
    record = of(outcome, fault, rank)
    assert (record.state, record.reason) == ("failed", reason)
    assert record.what.startswith(what)


@pytest.mark.slow
def test_a_trial_whose_process_was_killed_is_trained_again(outcome: StudyOutcome) -> None:
    both = [of(outcome, "killed once", rank) for rank in (0, 1)]
    assert {record.state for record in both} == {"complete"}
    assert sum(record.attempts for record in both) == 3
    assert [of(outcome, "killed always", rank).attempts for rank in (0, 1)] == [2, 2]


@pytest.mark.slow
def test_the_traceback_is_that_of_the_process_that_failed(outcome: StudyOutcome) -> None:
    for rank in (0, 1):
        number = of(outcome, "exception", rank).number
        text = (outcome.folder.trial(number) / "traceback.txt").read_text()
        assert text.rstrip().endswith("RuntimeError: the shapes do not fit")


@pytest.mark.slow
def test_no_process_is_left_over(outcome: StudyOutcome) -> None:
    assert outcome.end.why == "budget"
    assert processes_left() == []
