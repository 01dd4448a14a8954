"""The predictor of a run: network and preparation as training left them in its folder."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from hpo.best import BestConfig
from hpo.errors import UsageError
from hpo.predict.predictor import Answers, Floats, Inputs, Raw
from hpo.records import read_record
from lightning_modules.config import RunConfig
from lightning_modules.data.fitted import Fitted
from lightning_modules.data.forecasting import WindowPreparation
from lightning_modules.data.frames import Array
from lightning_modules.data.table_preparation import TablePreparation
from lightning_modules.data.target import NumberTarget
from lightning_modules.durable import file_sha256
from lightning_modules.module import SupervisedModule
from lightning_modules.restore import outputs_of, restore_folder
from lightning_modules.running import BEST_CHECKPOINT
from lightning_modules.train import steady_threads


@dataclass(frozen=True, kw_only=True)
class RunPredictor:
    """A trained model: its config, what was fitted with it, and its network."""

    config: RunConfig
    fitted: Fitted
    module: SupervisedModule

    @property
    def inputs(self) -> Inputs:
        """How rows are read for it."""
        return Inputs(data=self.config.data, fitted=self.fitted)

    @property
    def answers(self) -> Answers:
        """What it says of a row."""
        facts = self.module.facts
        kind, names = str(self.config.kind), facts.target_names
        return Answers(kind=kind, classes=facts.classes, target_names=names)

    def outputs(self, raw: Raw) -> Floats:
        """Return what it says of rows; see `Predictor`.

        Raises:
            DataError: if the rows do not fit.
        """
        x = torch.from_numpy(prepared(self.fitted, raw))
        with steady_threads(self.config.trainer.threads):
            outputs = outputs_of(self.module, x, batch_size=256 if x.ndim > 2 else 1024)
        return np.asarray(outputs.numpy(), dtype=np.float32)


def open_run(path: Path) -> RunPredictor:
    """Return the model of a run's folder, a study's folder, or a ``best_config.json``.

    Raises:
        UsageError: if there is none, a file of it is damaged, or the checkpoint is another one
            than ``best_config.json`` records.
    """
    if path.is_dir() and not (path / "config.json").exists():
        record = path / "best_config.json"
        folder = _folder_of(record) if record.is_file() else path
    else:
        folder = path if path.is_dir() else _folder_of(path)
    config, fitted, module = restore_folder(folder)
    return RunPredictor(config=config, fitted=fitted, module=module)


def prepared(fitted: Fitted, raw: Raw) -> Array:
    """Return typed rows as the network takes them.

    Raises:
        DataError: if they do not fit.
    """
    preparation = fitted.preparation
    if isinstance(preparation, WindowPreparation):
        if not isinstance(raw, pd.DataFrame) or not isinstance(fitted.target, NumberTarget):
            raise TypeError("a series is a frame, and what is predicted of it a number")
        scaled = fitted.target.apply(raw[preparation.target])
        others = raw[[column.name for column in preparation.others.columns]]
        channels = preparation.channels(others, scaled)
        return channels.reshape(-1, preparation.window, channels.shape[1])
    if isinstance(preparation, TablePreparation):
        return preparation.apply(raw)
    if isinstance(raw, pd.DataFrame):
        raise TypeError(f"rows of {preparation.kind} are an array")
    return preparation.apply(raw)


def _folder_of(file: Path) -> Path:
    """Return the run's folder that a ``best_config.json`` names, its checkpoint compared."""
    if file.is_file() and file.suffix.lower() != ".json":
        hint = "name a study, the folder of a run, a .json record of ours, an .onnx or .pt2 file"
        raise UsageError(str(file), "is no model", hint)
    best = read_record(file, BestConfig)
    folder = (file.parent / best.checkpoint["path"]).parent
    checkpoint = folder / BEST_CHECKPOINT
    if not checkpoint.is_file():
        raise UsageError(str(checkpoint), "no such checkpoint", "train it with hpo train")
    if file_sha256(checkpoint) != best.checkpoint["sha256"]:
        what = f"is not the checkpoint that {file.name} records (another sha256)"
        raise UsageError(str(checkpoint), what, "train it again with hpo train")
    return folder
