"""A search as it is usually glued from Optuna and Lightning, with a place for one fault.

Run as a program; its one argument is a JSON object of ``Options``. ``tuned`` turns on what the two
offer against faults: heartbeats, retries from the last checkpoint, caught exceptions, a limit over
all calls, a longer wait for the database, a sampler that is saved.
"""

import json
import os
import pickle  # noqa: TID251 - Optuna's FAQ saves a sampler this way
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NoReturn

import optuna
import pytorch_lightning as pl
import torch
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.storages import RDBStorage, RetryHeartbeatStaleTrialCallback
from optuna.study import MaxTrialsCallback
from optuna.trial import FrozenTrial, Trial, TrialState
from pytorch_lightning.callbacks import ModelCheckpoint
from sklearn.datasets import load_iris
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

GRACE_S = 3
VALUES: list[Any] = [float("nan"), float("inf"), -float("inf"), None, "text", [1.0, 2.0], "1.5"]
"""What the objective returns for trials 0, 1, … where ``values`` is on."""
Batches = DataLoader[tuple[Tensor, ...]]


@dataclass(frozen=True, kw_only=True)
class Options:
    folder: str
    database: str
    checkpoints: str
    tuned: bool
    trials: int = 6
    epochs: int = 3
    pause_s: float = 0.0
    sampler: str = "random"
    seed: int = 0
    prune: bool = False
    direction: Literal["maximize", "minimize"] = "maximize"
    width_low: int = 4
    width_high: int = 32
    data_seed: int = 0
    timeout_s: float | None = None
    fault: str = ""
    moment: str = "batch"
    fault_trial: int = 1
    fault_epoch: int = 0
    values: bool = False
    rounds: int = 0


class Net(pl.LightningModule):
    def __init__(self, width: int, lr: float) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.lr = lr
        self.factor = 1.0
        self.net = nn.Sequential(
            nn.Linear(4, width), nn.ReLU(), nn.Dropout(0.2), nn.Linear(width, 3)
        )

    def training_step(self, batch: tuple[Tensor, Tensor], _: int) -> Tensor:
        return nn.functional.cross_entropy(self.net(batch[0]), batch[1]) * self.factor

    def validation_step(self, batch: tuple[Tensor, Tensor], _: int) -> None:
        self.log("val_acc", (self.net(batch[0]).argmax(1) == batch[1]).float().mean())

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), lr=self.lr)


class PruningCallback(pl.Callback):
    """The callback that every second project has of its own."""

    def __init__(self, trial: Trial, monitor: str) -> None:
        self._trial, self._monitor = trial, monitor

    def on_validation_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        if trainer.sanity_checking:
            return
        self._trial.report(trainer.callback_metrics[self._monitor].item(), trainer.current_epoch)
        if self._trial.should_prune():
            raise optuna.TrialPruned


class StopError(BaseException):
    """An exception that is no ``Exception``."""


def kill_with(number: int) -> Callable[[], None]:
    return lambda: os.kill(os.getpid(), number)


def grow() -> None:
    """Take memory until there is no more; the user's limit lies a little above what is used."""
    import resource

    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + 300 * 2**20
    kept = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (limit, kept[1]))
    held = []
    try:
        while True:
            held.append(bytearray(50 * 2**20))
    finally:
        resource.setrlimit(resource.RLIMIT_AS, kept)


def fail(error: BaseException) -> Callable[[], NoReturn]:
    def do() -> NoReturn:
        raise error

    return do


FAULTS: dict[str, Callable[[], None]] = {
    "segfault": kill_with(signal.SIGSEGV),
    "terminate": kill_with(signal.SIGTERM),
    "os exit": lambda: os._exit(7),
    "sys exit": lambda: sys.exit(4),
    "base exception": fail(StopError("enough")),
    "exception": fail(RuntimeError("the shapes do not fit")),
    "memory error": fail(MemoryError("no room")),
    "cuda memory": fail(torch.OutOfMemoryError("CUDA out of memory")),
    "grow": grow,
    "hang": lambda: time.sleep(600),
}


class Fault(pl.Callback):
    """Does what the options ask for, once; writes down every batch that was trained."""

    def __init__(self, options: Options, number: int, origin: int) -> None:
        self._options, self._origin = options, origin
        self._folder = Path(options.folder)
        self._armed = bool(options.fault) and number == options.fault_trial

    def reached(self, moment: str, module: Any = None) -> None:
        if not self._armed or moment != self._options.moment:
            return
        self._armed = False
        (self._folder / "ready").touch()
        if self._options.fault == "wait":
            while (self._folder / "wait").exists():
                time.sleep(0.01)
        elif self._options.fault == "nan":
            module.factor = float("nan")
        else:
            FAULTS[self._options.fault]()

    def on_train_batch_start(self, trainer: pl.Trainer, module: Any, batch: Any, n: int) -> None:
        if n == 2 and trainer.current_epoch == self._options.fault_epoch:
            self.reached("batch", module)

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        with (self._folder / "batches").open("a") as file:
            print(self._origin, trainer.global_step, file=file)

    def on_validation_batch_end(self, *_: Any) -> None:
        self.reached("validation")

    def on_save_checkpoint(self, *_: Any) -> None:
        self.reached("save")

    def on_train_end(self, *_: Any) -> None:
        self.reached("end")

    def on_train_epoch_end(self, *_: Any) -> None:
        time.sleep(self._options.pause_s)


def batches(seed: int) -> tuple[Batches, Batches]:
    """Return iris in batches, a fifth of it for validation."""
    x, y = load_iris(return_X_y=True)
    rows = torch.randperm(len(x), generator=torch.Generator().manual_seed(seed))
    parts = rows[30:], rows[:30]
    features, labels = torch.as_tensor(x, dtype=torch.float32), torch.as_tensor(y)
    train, held = (TensorDataset(features[part], labels[part]) for part in parts)
    return DataLoader(train, batch_size=16, shuffle=True), DataLoader(held, batch_size=30)


def fit(options: Options, trial: Trial) -> float:
    frozen = trial.study.get_trials(deepcopy=False)[trial.number]
    retried = RetryHeartbeatStaleTrialCallback.retried_trial_number(frozen)
    origin = trial.number if retried is None else retried
    net = Net(
        trial.suggest_int("width", options.width_low, options.width_high, log=True),
        trial.suggest_float("lr", 1e-4, 1e-1, log=True),
    )
    folder = Path(options.checkpoints) / str(origin)
    last = sorted(folder.glob("last*.ckpt"), key=lambda path: path.stat().st_mtime)
    saver = ModelCheckpoint(folder, monitor="val_acc", mode="max", save_last=options.tuned or None)
    callbacks = [Fault(options, trial.number, origin), PruningCallback(trial, "val_acc"), saver]
    trainer = pl.Trainer(
        max_epochs=options.epochs,
        accelerator="cpu",
        logger=False,
        callbacks=callbacks,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )
    trainer.fit(net, *batches(options.data_seed), ckpt_path=last[-1] if last else None)
    return trainer.callback_metrics["val_acc"].item()


def open_storage(options: Options) -> RDBStorage:
    url = f"sqlite:///{options.database}"
    if not options.tuned:
        return RDBStorage(url)
    return RDBStorage(
        url,
        engine_kwargs={"connect_args": {"timeout": 60}},
        heartbeat_interval=1,
        grace_period=GRACE_S,
        heartbeat_stale_trial_callback=RetryHeartbeatStaleTrialCallback(max_retry=3),
    )


def create(options: Options, sampler: BaseSampler) -> optuna.Study:
    pruner = optuna.pruners.MedianPruner if options.prune else optuna.pruners.NopPruner
    return optuna.create_study(
        study_name="plain",
        storage=open_storage(options),
        direction=options.direction,
        sampler=sampler,
        pruner=pruner(),
        load_if_exists=True,
    )


def search(options: Options) -> None:
    pl.seed_everything(0)
    sampler: BaseSampler = RandomSampler(seed=options.seed)
    if options.sampler == "tpe":
        sampler = TPESampler(seed=options.seed, n_startup_trials=3)
    saved = Path(options.folder) / "sampler.pkl"
    if options.tuned and saved.exists():
        sampler = pickle.loads(saved.read_bytes())

    def ended(study: optuna.Study, trial: FrozenTrial) -> None:
        if options.tuned:
            saved.write_bytes(pickle.dumps(study.sampler))
        Fault(options, trial.number, trial.number).reached("between")

    def objective(trial: Trial) -> Any:
        if options.values and trial.number < len(VALUES):
            return VALUES[trial.number]
        return fit(options, trial)

    enough = MaxTrialsCallback(options.trials, states=(TrialState.COMPLETE, TrialState.PRUNED))
    create(options, sampler).optimize(
        objective,
        n_trials=options.trials * (10 if options.tuned else 1),
        timeout=options.timeout_s,
        catch=(Exception,) if options.tuned else (),
        callbacks=[ended, enough] if options.tuned else [ended],
    )


def race(options: Options) -> None:
    """Create the study when told to, in a fresh database each round; say whether that worked."""
    folder = Path(options.folder)
    for n in range(options.rounds):
        (folder / f"ready-{n}-{os.getpid()}").touch()
        while not (folder / f"go-{n}").exists():
            time.sleep(0.001)
        here = Options(**{**vars(options), "database": str(folder / f"{n}.db")})
        try:
            create(here, RandomSampler())
            said = "made"
        except Exception as error:  # noqa: BLE001 - any of them ends a program
            said = repr(error)
        (folder / f".said-{n}-{os.getpid()}").write_text(said)
        os.rename(folder / f".said-{n}-{os.getpid()}", folder / f"said-{n}-{os.getpid()}")


if __name__ == "__main__":
    given = Options(**json.loads(sys.argv[1]))
    if given.rounds:
        race(given)
    else:
        search(given)
