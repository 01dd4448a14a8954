"""Remove what matters least of a trained network, in rounds, and train what is left a little."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from torch import Tensor

from hpo.compress.families import smaller
from hpo.errors import StudyError, TrialFailed
from lightning_modules.build import RunData, build_module
from lightning_modules.checkpoint import load_checkpoint
from lightning_modules.config import RunConfig
from lightning_modules.durable import write_text
from lightning_modules.optim import OPTIMIZERS
from lightning_modules.seeds import derive
from lightning_modules.steps import use_lean_steps
from lightning_modules.train import make_trainer, quiet_lightning, seed_everything, steady_threads
from lightning_modules.watch import Watch

ROUNDS = 3
LR_FACTOR = 0.3
"""The learning rate of fine-tuning is this share of the one that the network was trained with."""
EPOCHS = 4
"""Of fine-tuning after each round; twice as many after the last."""
State = Mapping[str, Tensor]


@dataclass(frozen=True, kw_only=True)
class Pruned:
    """A pruned network as a run folder: config, weights of its best validation, preparation."""

    config: RunConfig
    """That of the training, with the sizes that are left."""
    folder: Path
    words: str
    """What was done, in a sentence without a full stop."""


def prune(
    config: RunConfig, state: State, *, data: RunData, folder: Path, sparsity: float
) -> Pruned:
    """Prune a trained network to ``sparsity`` in rounds, each followed by fine-tuning.

    Each layer loses that share of its hidden units. The first round removes most (Zhu and Gupta,
    2017). Training rows train, validation rows choose the epoch.

    Args:
        config: of the training.
        state: of its module, trained.
        data: of the config.
        folder: an empty one for what comes of it.
        sparsity: between 0 and 1, both excluded.

    Raises:
        UsageError: if no hidden units of it can be removed.
        StudyError: if the fine-tuning diverges.
    """
    left, last = config, folder
    for number in range(1, ROUNDS + 1):
        share = sparsity * (1 - (1 - number / ROUNDS) ** 3)
        last = folder / str(number)
        epochs = EPOCHS * (2 if number == ROUNDS else 1)
        left, state = smaller(config, state, share)
        state = fine_tune(left, last, start=state, data=data, epochs=epochs)
    write_text(last / "config.json", json.dumps(left.portable(), indent=2) + "\n")
    words = f"{sparsity:.0%} of the hidden units of each layer were removed: {ROUNDS} rounds, "
    words += f"{EPOCHS * (ROUNDS + 1)} epochs of fine-tuning at {LR_FACTOR:g} of the learning "
    words += "rate, the last of them by validation"
    return Pruned(config=left, folder=last, words=words)


def fine_tune(
    config: RunConfig,
    folder: Path,
    *,
    start: State,
    data: RunData,
    epochs: int,
) -> State:
    """Train weights further, and return those of the best validation; they stay in ``folder``.

    Args:
        config: of the training; its learning rate is lowered, and falls to a tenth of that.
        folder: for config, weights, curve and preparation.
        start: the weights that it starts from.
        data: of the config.
        epochs: how many.

    Raises:
        StudyError: if it diverges.
    """
    config = tuning_config(config, epochs)
    folder.mkdir(parents=True)
    with steady_threads(config.trainer.threads):
        module = _module(config, data, start)
        if data.prepared is not None:
            text = data.prepared.fitted.model_dump_json(indent=2)
            write_text(folder / "preparation.json", text + "\n")
        watch = Watch(config, folder, None, resumable=False)
        trainer = make_trainer(config, folder, callbacks=[watch])
        use_lean_steps(trainer, module)
        try:
            with quiet_lightning():
                trainer.fit(module, datamodule=data.module(config))
        except TrialFailed as error:
            hint = "lower --sparsity"
            raise StudyError("--method prune", f"fine-tuning failed: {error.what}", hint) from None
    best: State = load_checkpoint(folder / watch.best_checkpoint().path)["state_dict"]
    return best


def tuning_config(config: RunConfig, epochs: int) -> RunConfig:
    """Return the config of fine-tuning: few epochs, a low learning rate that falls further."""
    plain = config.plain()
    optimizer: dict[str, Any] = plain["optimizer"]
    plain["optimizer"] = {**optimizer, "lr": optimizer["lr"] * LR_FACTOR}
    if not OPTIMIZERS[optimizer["name"]].averages:
        plain["schedule"] = {"name": "cosine", "warmup": 0.0, "final": 0.1}
    trainer = {**plain["trainer"], "max_epochs": epochs, "early_stopping": None}
    trainer |= {"validate_every": 1, "processes": 1}
    for left_out in ("averaging", "compile"):
        trainer.pop(left_out, None)
    return RunConfig.model_validate({**plain, "trainer": trainer})


def _module(config: RunConfig, data: RunData, state: State) -> pl.LightningModule:
    seed_everything(derive(config.seed, "init"))
    module = build_module(config, data)
    module.load_state_dict(dict(state))
    return module
