"""Bring a trained module back from its checkpoint, and measure it on a split."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import pytorch_lightning as pl
import torch
from lightning_fabric.utilities.exceptions import MisconfigurationException
from pydantic import ValidationError
from torch import Tensor

from lightning_modules.build import RunData, build_module, open_data
from lightning_modules.checkpoint import load_checkpoint
from lightning_modules.config import RunConfig
from lightning_modules.data.facts import facts_of_fitted
from lightning_modules.data.fitted import Fitted
from lightning_modules.errors import UsageError
from lightning_modules.module import SupervisedModule
from lightning_modules.program import in_precision
from lightning_modules.running import BEST_CHECKPOINT
from lightning_modules.settings import Settings
from lightning_modules.train import make_trainer, quiet_lightning, steady_threads

Read = TypeVar("Read", bound=Settings)
_VALIDATION = re.compile(r"^(val|valid|validation)(?=[_/.-])")


@dataclass(frozen=True, kw_only=True)
class Scored:
    """What a checkpoint came to on a split.

    ``outputs`` are probabilities ``(rows, classes)`` or predictions ``(rows,)``, ``targets`` are
    ``(rows,)``, as metrics take them; None for a whole module, which keeps them to itself.
    """

    metrics: dict[str, float]
    outputs: Tensor | None = None
    targets: Tensor | None = None


def restore(config: RunConfig, checkpoint: Path, data: RunData) -> pl.LightningModule:
    """Return the module of ``config`` with the weights of ``checkpoint``, ready to evaluate.

    Raises:
        UsageError: if the checkpoint is missing or damaged, or holds other weights.
    """
    module = build_module(config, data)
    state = load_checkpoint(checkpoint)["state_dict"]
    try:
        module.load_state_dict(state)
    except RuntimeError as error:
        first = str(error).splitlines()[-1].strip()
        what = f"does not fit the config ({first})"
        hint = "name the checkpoint of this config"
        raise UsageError(str(checkpoint), what, hint) from None
    return module.eval()


def restore_folder(folder: Path) -> tuple[RunConfig, Fitted, SupervisedModule]:
    """Return config, preparation and module of a run folder, without its training data.

    Raises:
        UsageError: if the folder is none of a run, or a file in it is damaged, or its module is a
            user's own, whose preparation is not ours.
    """
    config_file, fitted_file = folder / "config.json", folder / "preparation.json"
    if not config_file.is_file():
        raise UsageError(str(folder), "holds no config.json", "name the folder of a run")
    config = _read(config_file, RunConfig)
    if config.whole or not fitted_file.is_file():
        what = f"{config.family} on {config.source} brings its own preparation"
        raise UsageError(str(folder), what, f"predict with your own module, from {BEST_CHECKPOINT}")
    fitted = _read(fitted_file, Fitted)
    facts = facts_of_fitted(fitted, str(config.kind))
    module = restore(config, folder / BEST_CHECKPOINT, RunData(prepared=None, facts=facts))
    if not isinstance(module, SupervisedModule):
        raise TypeError("a family's module is a SupervisedModule")
    return config, fitted, module


def _read(path: Path, model: type[Read]) -> Read:
    try:
        return model.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except ValueError as error:  # of JSON, of UTF-8, and of pydantic
        details = error.errors()[0] if isinstance(error, ValidationError) else None
        if details is not None and details["type"] == "tag_unknown":
            where = ".".join(map(str, details["loc"]))
            raise UsageError(f"{path}: {where}", *details["msg"].split("; ", 1)) from None
        first = str(error).splitlines()[0]
        raise UsageError(str(path), f"is damaged ({first})", "train it again") from None


def score(
    config: RunConfig, checkpoint: Path, *, split: str, data: RunData | None = None
) -> Scored:
    """Measure loss and every metric of the task on ``validation`` or ``test``.

    In the precision of the config, as it was validated when it was trained. For a whole module:
    what its ``validation_step`` or ``test_step`` logs.

    Args:
        config: the run.
        checkpoint: its weights.
        split: which rows.
        data: from `open_data`, with the test rows if they are wanted; None opens them here.

    Raises:
        UsageError: if the checkpoint does not fit, or there is no such split.
    """
    data = open_data(config, with_test=split == "test") if data is None else data
    with steady_threads(config.trainer.threads):
        module = restore(config, checkpoint, data)
        if isinstance(module, SupervisedModule):
            return _score_ours(config, module, data, split)
        return _score_whole(config, module, data, split, checkpoint.parent)


def outputs_of(module: SupervisedModule, x: Tensor, *, batch_size: int = 1024) -> Tensor:
    """Return probabilities ``(rows, classes)`` or predictions ``(rows,)`` for prepared rows."""
    with torch.inference_mode():
        raw = torch.cat([module(part) for part in torch.split(x, batch_size)])
        return module.predict(raw)


def _score_ours(config: RunConfig, module: SupervisedModule, data: RunData, split: str) -> Scored:
    if data.prepared is None:
        loader = data.module(config)
        loader.setup("test" if split == "test" else "fit")
        batches = loader.test_dataloader() if split == "test" else loader.val_dataloader()
    else:
        ours = data.module(config)
        batches = ours.test_dataloader() if split == "test" else ours.val_dataloader()
    with torch.inference_mode():
        with in_precision(config, module.device):
            for index, batch in enumerate(batches):
                module.validation_step(batch, index)
        outputs, targets = module.collect()
        return Scored(
            metrics=module.measure_all(outputs, targets, everything=True),
            outputs=module.predict(outputs),
            targets=module.truth(targets),
        )


def _score_whole(
    config: RunConfig, module: pl.LightningModule, data: RunData, split: str, folder: Path
) -> Scored:
    trainer = make_trainer(_of_one_process(config), folder, callbacks=[])
    run = trainer.test if split == "test" else trainer.validate
    with quiet_lightning():
        try:
            logged = run(module, datamodule=data.module(config), verbose=False)
        except MisconfigurationException as error:
            first = str(error).splitlines()[0]
            raise UsageError(config.family, first, f"define {split}_step and its loader") from None
    values = {name: float(value) for part in logged for name, value in part.items()}
    return Scored(metrics=values if split != "test" else _named_as_validated(values, config))


def _named_as_validated(values: dict[str, float], config: RunConfig) -> dict[str, float]:
    """Return what was logged on test rows, with the objective under its name of the validation.

    A module that logs ``val_acc`` in validation logs ``test_acc`` in its test.
    """
    own = _VALIDATION.sub("test", config.objective.metric)
    if config.objective.metric in values or own not in values:
        return values
    return {config.objective.metric if name == own else name: values[name] for name in values}


def _of_one_process(config: RunConfig) -> RunConfig:
    settings = config.trainer.model_copy(update={"processes": 1})
    return config.model_copy(update={"trainer": settings})
