"""The stock rival, as a good user of Optuna and Lightning writes it; one of its workers.

    python -m benchmarks.speed.stock STUDY.yaml --storage sqlite:///FILE --folder FOLDER [...]

A `pl.Trainer` per trial with logger, checkpoint and a pruning callback; SQLite; torchmetrics; a
DataLoader over a TensorDataset. Two such processes, one thread each, share the storage. Space,
network, first weights, optimizer and schedule come from our builders; no plumbing does.
"""

import argparse
import logging
import math
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytorch_lightning as pl
import torch
from optuna.study import MaxTrialsCallback
from optuna.trial import FrozenTrial, Trial, TrialState
from pydantic import ValidationError
from pytorch_lightning.callbacks import EarlyStopping, ModelCheckpoint
from pytorch_lightning.loggers import CSVLogger, TensorBoardLogger
from torch import Tensor
from torch.optim.lr_scheduler import ReduceLROnPlateau
from torch.utils.data import DataLoader, TensorDataset
from torchmetrics import MeanSquaredError, Metric, R2Score
from torchmetrics.classification import MulticlassAccuracy

from benchmarks.speed.parts import make_parts, opened
from benchmarks.speed.rival_lines import Line, tell, wait_for_start
from benchmarks.speed.studies import identity
from hpo.spec import StudySpec, load_study
from lightning_modules.build import RunData
from lightning_modules.config import RunConfig
from lightning_modules.data.prepared import Rows
from lightning_modules.seeds import derive

STUDY, MONITOR = "stock", "val_objective"
ENDED = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)
STATES = {TrialState.COMPLETE: "complete", TrialState.PRUNED: "pruned"}
VALIDATION_BATCH = 1024
"""As large as ours: a small one would make stock slower than it need be."""
STAGGER_S = 0.1
"""Two workers that ask SQLite at the same moment are given the same waiting trial."""
LOGGERS = {"csv": CSVLogger, "tensorboard": TensorBoardLogger}


class Net(pl.LightningModule):
    """One network, as every second project has it."""

    def __init__(self, config: RunConfig, data: RunData, n_steps: int) -> None:
        super().__init__()
        self.parts = make_parts(config, data)
        self.network = self.parts.network
        self.n_steps = n_steps
        assert data.facts is not None
        self.val_metric = objective_metric(config, data.facts.n_outputs)
        self.test_metric = objective_metric(config, data.facts.n_outputs)

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        loss = self.parts.loss(*batch)
        self.log("train_loss", loss, on_step=False, on_epoch=True)
        return loss

    def validation_step(self, batch: list[Tensor], batch_idx: int) -> None:
        self.val_metric(self.parts.predict(self.network(batch[0])), self.parts.truth(batch[1]))
        self.log(MONITOR, self.val_metric, on_step=False, on_epoch=True)

    def test_step(self, batch: list[Tensor], batch_idx: int) -> None:
        self.test_metric(self.parts.predict(self.network(batch[0])), self.parts.truth(batch[1]))
        self.log("test_objective", self.test_metric, on_step=False, on_epoch=True)

    def configure_optimizers(self) -> Any:
        optimizer, schedule = self.parts.optimizer(self.n_steps)
        if schedule is None:
            return optimizer
        if isinstance(schedule, ReduceLROnPlateau):
            told = {"scheduler": schedule, "monitor": MONITOR, "interval": "epoch"}
        else:
            told = {"scheduler": schedule, "interval": "step"}
        return {"optimizer": optimizer, "lr_scheduler": told}


def objective_metric(config: RunConfig, n_outputs: int) -> Metric:
    """Return torchmetrics' own metric for the objective."""
    match config.objective.metric:
        case "accuracy":
            return MulticlassAccuracy(max(n_outputs, 2), average="micro")
        case "balanced_accuracy":
            return MulticlassAccuracy(max(n_outputs, 2), average="macro")
        case "rmse":
            return MeanSquaredError(squared=False)
        case "r2":
            return R2Score()
    raise ValueError(f"the stock rival does not measure {config.objective.metric}")


Report = Callable[[float, int], None]
"""Is told of each validation: its value, after how many epochs."""


class Reporting(pl.Callback):
    """Report each validation to the search, which may raise to stop it.

    optuna-integration has the like, for the package ``lightning``.
    """

    def __init__(self, report: Report) -> None:
        self._report = report

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if not trainer.sanity_checking:
            value = float(trainer.callback_metrics[MONITOR])
            self._report(value, trainer.current_epoch + 1)


def loader(rows: Rows, batch_size: int, *, shuffle: bool) -> DataLoader[Any]:
    """Return batches, the last left out where it is a single row: batch norm takes no such one."""
    alone = shuffle and len(rows.y) % batch_size == 1
    return DataLoader(
        TensorDataset(rows.x, rows.y), batch_size=batch_size, shuffle=shuffle, drop_last=alone
    )


def make_trainer(
    config: RunConfig,
    folder: Path,
    callbacks: list[pl.Callback],
    *,
    logger: str = "csv",
) -> pl.Trainer:
    """Return a Trainer with a logger, without bars and summaries, which cost time."""
    return pl.Trainer(
        accelerator=config.trainer.accelerator,
        devices=1,
        max_epochs=config.trainer.max_epochs,
        gradient_clip_val=config.trainer.gradient_clip,
        logger=LOGGERS[logger](folder),
        callbacks=callbacks,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )


def fit_config(
    config: RunConfig,
    folder: Path,
    *,
    report: Report,
    logger: str = "csv",
) -> ModelCheckpoint:
    """Train a config; return what kept its best checkpoint."""
    data = opened(config)
    assert data.prepared is not None
    assert config.trainer.batch_size is not None
    train = loader(data.prepared.train, config.trainer.batch_size, shuffle=True)
    net = Net(config, data, n_steps=len(train) * config.trainer.max_epochs)
    mode = config.objective.direction[:3]
    best = ModelCheckpoint(folder, monitor=MONITOR, mode=mode)
    callbacks = [Reporting(report), best, *_early(config, mode)]
    trainer = make_trainer(config, folder, callbacks, logger=logger)
    trainer.fit(net, train, loader(data.prepared.validation, VALIDATION_BATCH, shuffle=False))
    return best


class Objective:
    """Train the config of a trial."""

    def __init__(self, spec: StudySpec, given: argparse.Namespace) -> None:
        self._spec, self._given = spec, given

    def config(self, trial: Trial | FrozenTrial) -> RunConfig:
        """Return the config of a trial; its seed is that of our own trial of this number."""
        seed = derive(self._given.seed, trial.number)
        try:
            return self._spec.space.sample(trial, seed=seed)
        except ValidationError as error:
            raise optuna.TrialPruned from error

    def __call__(self, trial: Trial) -> float:
        config = self.config(trial)
        trial.set_user_attr("same", identity(config.plain()))
        folder = Path(self._given.folder) / f"{trial.number:04d}"

        def report(value: float, epoch: int) -> None:
            trial.set_user_attr("epochs", epoch)
            trial.report(value, epoch)
            if trial.should_prune() and not self._given.all_to_their_end:
                raise optuna.TrialPruned

        best = fit_config(config, folder, report=report, logger=self._given.logger)
        trial.set_user_attr("checkpoint", best.best_model_path)
        assert best.best_model_score is not None
        return float(best.best_model_score)

    def test(self, trial: FrozenTrial) -> float:
        """Return what the best trial's checkpoint comes to on the test rows."""
        config = self.config(trial)
        data = opened(config, with_test=True)
        assert data.prepared is not None
        assert data.prepared.test is not None
        net = Net(config, data, n_steps=1)
        rows = loader(data.prepared.test, VALIDATION_BATCH, shuffle=False)
        folder = Path(self._given.folder) / "test"
        trainer = make_trainer(config, folder, [])
        path = trial.user_attrs["checkpoint"]
        return float(trainer.test(net, rows, ckpt_path=path, verbose=False)[0]["test_objective"])


def _early(config: RunConfig, mode: str) -> list[pl.Callback]:
    early = config.trainer.early_stopping
    if early is None:
        return []
    return [EarlyStopping(MONITOR, mode=mode, patience=early.patience, min_delta=early.min_delta)]


def ended(study: optuna.Study, trial: FrozenTrial) -> None:
    """Write the line of a finished trial."""
    state = STATES.get(trial.state, "failed")
    value = trial.value if trial.value is not None and math.isfinite(trial.value) else None
    epochs, same = trial.user_attrs.get("epochs", 0), trial.user_attrs.get("same", "")
    number = trial.number
    tell(Line(t=time.time(), number=number, value=value, epochs=epochs, state=state, same=same))


def open_study(spec: StudySpec, given: argparse.Namespace) -> optuna.Study:
    """Return the shared study as this worker sees it."""
    epochs = spec.space.resolve(spec.space.defaults()[0].params).trainer.max_epochs
    return optuna.load_study(
        study_name=STUDY,
        storage=given.storage,
        sampler=optuna.samplers.TPESampler(seed=1000 * given.seed + given.worker),
        pruner=optuna.pruners.HyperbandPruner(min_resource=1, max_resource=epochs),
    )


def be_quiet() -> None:
    """Leave out advice and progress, which cost time."""
    warnings.filterwarnings("ignore")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    for name in ("pytorch_lightning", "lightning_fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)


def arguments() -> argparse.Namespace:
    """Return what this worker is to do."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("study")
    parser.add_argument("--storage", required=True)
    parser.add_argument("--folder", required=True)
    parser.add_argument("--trials", type=int, help="of all workers together")
    parser.add_argument("--until", type=float, help="no trial begins later, seconds since 1970")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--worker", type=int, default=0)
    parser.add_argument("--logger", choices=list(LOGGERS), default="csv")
    parser.add_argument("--all-to-their-end", action="store_true", help="hear the pruner only")
    parser.add_argument("--ready", type=Path, help="a folder: wait there for the others")
    parser.add_argument("--test", action="store_true", help="print the best trial's test score")
    return parser.parse_args()


def main() -> None:
    """Be one worker, or measure the best trial."""
    given = arguments()
    be_quiet()
    torch.set_num_threads(1)
    spec = load_study(given.study)
    study = open_study(spec, given)
    objective = Objective(spec, given)
    if given.test:
        print(objective.test(study.best_trial))
        return
    opened(spec.space.resolve(spec.space.defaults()[0].params))
    wait_for_start(given.ready)
    time.sleep(STAGGER_S * given.worker)
    callbacks = [ended]
    if given.trials is not None:
        callbacks.append(MaxTrialsCallback(given.trials, states=ENDED))
    timeout = None if given.until is None else max(given.until - time.time(), 0.1)
    study.optimize(objective, timeout=timeout, callbacks=callbacks, catch=(Exception,))


if __name__ == "__main__":
    main()
