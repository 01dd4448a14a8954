"""Validate and keep an average of the weights, and train on without it, bit for bit."""

from collections.abc import Mapping
from typing import Any, Protocol

import pytorch_lightning as pl
import torch
from pytorch_lightning.trainer.states import TrainerFn
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from lightning_modules.accumulation import ends_step
from lightning_modules.config import RunConfig
from lightning_modules.optim import OPTIMIZERS, EmaConfig, SwaConfig

Tensors = dict[str, Tensor]


class Average(Protocol):
    """Weights that are evaluated in the place of those that are trained."""

    @property
    def has_statistics(self) -> bool:
        """Whether it holds the running statistics of batch norms, or they are computed anew."""
        ...

    def update(self, trainer: pl.Trainer, module: pl.LightningModule, batch_index: int) -> None:
        """Take in the weights after a step."""
        ...

    def weights(self, trainer: pl.Trainer, module: pl.LightningModule) -> Tensors:
        """Return the weights to evaluate, by their names in the module's state; the others stay."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """Return what a run needs to go on."""
        ...

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up where `state_dict` was called."""
        ...


class Averaging(pl.Callback):
    """Let an average of the weights be validated: it stands in the module during a validation.

    The weights that are trained are put back as they were by `AfterValidation`, and a checkpoint of
    running that is taken meanwhile holds them. A checkpoint of the weights alone, the best one,
    holds the average that was validated.
    """

    def __init__(self, average: Average) -> None:
        self._average = average
        self._trained: Tensors = {}

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Take in the weights after each step."""
        if ends_step(trainer, batch_idx):
            self._average.update(trainer, pl_module, batch_idx)

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Put the average into the module."""
        if trainer.state.fn is not TrainerFn.FITTING or trainer.sanity_checking:
            return
        own = pl_module.state_dict()
        average = self._average.weights(trainer, pl_module)
        norms = {} if self._average.has_statistics else batch_norms(pl_module)
        statistics = [
            f"{name}.{part}" for name, norm in norms.items() for part, _ in norm.named_buffers()
        ]
        self._trained = {name: own[name].clone() for name in (*average, *statistics)}
        _put(average, own)
        if norms:
            compute_statistics(trainer, pl_module, list(norms.values()))

    def put_back(self, pl_module: pl.LightningModule) -> None:
        """Put the weights that are trained back into the module."""
        _put(self._trained, pl_module.state_dict())
        self._trained = {}

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Let a checkpoint of running hold the weights that are trained."""
        checkpoint["state_dict"] = {**checkpoint["state_dict"], **self._trained}

    def state_dict(self) -> dict[str, Any]:
        """Return what the average needs to go on."""
        return self._average.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on with the average of a checkpoint."""
        self._average.load_state_dict(state_dict)


class AfterValidation(pl.Callback):
    """Stand behind all callbacks that look at validated weights, and put the trained ones back."""

    def __init__(self, averaging: Averaging) -> None:
        self._averaging = averaging

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Put them back."""
        self._averaging.put_back(pl_module)


class RunningAverage:
    """An exponential or equal average of weights and running statistics, as the config says.

    The statistics of batch norms are averaged like weights. To compute them anew would take a pass
    over the training rows before each validation, and comes to much the same.
    """

    has_statistics = True

    def __init__(self, config: EmaConfig | SwaConfig, *, n_epochs: int) -> None:
        self._config = config
        self._n_epochs = n_epochs
        self._tensors: Tensors = {}
        self._n_steps = 0
        """How many steps are averaged."""

    @torch.no_grad()
    def update(self, trainer: pl.Trainer, module: pl.LightningModule, batch_index: int) -> None:
        """Take in the weights after a step."""
        t = self._n_steps
        if isinstance(self._config, EmaConfig):
            weight = 1 - min(self._config.decay, (1 + t) / (10 + t))
        elif _share(trainer, batch_index, self._n_epochs) > self._config.start:
            weight = 1 / (1 + t)
        else:
            return
        self._n_steps += 1
        for name, tensor in module.state_dict().items():
            before = self._tensors.get(name, tensor).to(tensor.device)
            if before is not tensor and tensor.is_floating_point():
                mixed = before.lerp(tensor, weight)
                self._tensors[name] = mixed.where(before != tensor, tensor)  # infinities stay
            else:
                self._tensors[name] = tensor.clone()

    def weights(self, trainer: pl.Trainer, module: pl.LightningModule) -> Tensors:
        """Return the average; nothing before it has begun."""
        return self._tensors

    def state_dict(self) -> dict[str, Any]:
        """Return the average and how much is in it."""
        return {"tensors": self._tensors, "n_steps": self._n_steps}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up where `state_dict` was called."""
        self._tensors = dict(state["tensors"])
        self._n_steps = int(state["n_steps"])


class OptimizersOwn:
    """The average that a schedule-free optimizer keeps beside the weights that it trains.

    It is of all steps, whose statistics differ too much to be averaged.
    """

    has_statistics = False

    def update(self, trainer: pl.Trainer, module: pl.LightningModule, batch_index: int) -> None:
        """Leave it to the optimizer."""

    def weights(self, trainer: pl.Trainer, module: pl.LightningModule) -> Tensors:
        """Return the average: what is trained lies between it and ``z`` (Defazio et al., 2024)."""
        optimizer = trainer.optimizers[0]
        names = {id(parameter): name for name, parameter in module.named_parameters()}
        found = {}
        for group in optimizer.param_groups:
            beta = group["betas"][0] if "betas" in group else group["momentum"]
            for parameter in group["params"]:
                if "z" in optimizer.state[parameter]:
                    z = optimizer.state[parameter]["z"]
                    found[names[id(parameter)]] = parameter.detach().lerp(z, 1 - 1 / beta)
        return found

    def state_dict(self) -> dict[str, Any]:
        """Return nothing: the optimizer's state holds all of it."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Do nothing."""


def averaging_of(config: RunConfig) -> Averaging | None:
    """Return the callback that validates an average, where ``config`` has one."""
    wanted = config.trainer.averaging
    if isinstance(wanted, EmaConfig | SwaConfig):
        return Averaging(RunningAverage(wanted, n_epochs=config.trainer.max_epochs))
    name = getattr(config.optimizer, "name", None)
    return Averaging(OptimizersOwn()) if name and OPTIMIZERS[name].averages else None


def batch_norms(module: nn.Module) -> dict[str, _BatchNorm]:
    """Return the batch norms of ``module`` that keep running statistics, by name."""
    return {
        name: one
        for name, one in module.named_modules()
        if isinstance(one, _BatchNorm) and one.running_mean is not None
    }


def compute_statistics(
    trainer: pl.Trainer, module: pl.LightningModule, norms: list[_BatchNorm]
) -> None:
    """Compute the statistics of ``norms`` anew: a pass over the training batches, as they begin.

    What they draw comes from a generator that is put back.
    """
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the equal average of all batches
        norm.train()
    datamodule: Any = trainer.datamodule  # type: ignore[attr-defined]
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        for batch in datamodule.train_dataloader():
            module(batch[0].to(module.device))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
        norm.eval()


def _share(trainer: pl.Trainer, batch_index: int, n_epochs: int) -> float:
    """Return how much of the run is over with this batch."""
    return (trainer.current_epoch + (batch_index + 1) / trainer.num_training_batches) / n_epochs


def _put(values: Tensors, into: Mapping[str, Tensor]) -> None:
    with torch.no_grad():
        for name, value in values.items():
            into[name].copy_(value)
