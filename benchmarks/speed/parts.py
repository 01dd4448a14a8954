"""What stock and floor take from our builders, so that equal configs are equal networks.

Network with its first weights, loss, predictions, optimizer and schedule. How rows come, how steps
are taken, what is logged and kept is each rival's own.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from lightning_modules.build import RunData, build_module, open_data
from lightning_modules.config import RunConfig
from lightning_modules.criterion import loss_of
from lightning_modules.layers.noise import number_of
from lightning_modules.module import SupervisedModule
from lightning_modules.optimizers import build_optimizer, build_schedule
from lightning_modules.seeds import derive
from lightning_modules.train import seed_everything


@dataclass(frozen=True)
class Parts:
    """A network with its first weights, and what its outputs mean."""

    config: RunConfig
    network: nn.Module
    loss: Callable[[Tensor, Tensor], Tensor]
    """Of a training batch: forward with dropout, then the loss."""
    predict: Callable[[Tensor], Tensor]
    truth: Callable[[Tensor], Tensor]

    def optimizer(self, n_steps: int) -> tuple[Optimizer, LRScheduler | ReduceLROnPlateau | None]:
        """Return optimizer and schedule of a run of so many steps."""
        assert self.config.optimizer is not None
        assert self.config.schedule is not None
        optimizer = build_optimizer(
            self.config.optimizer, self.network, n_steps=n_steps, fused=False
        )  # as torch.optim makes it by default
        direction = self.config.objective.direction
        schedule = build_schedule(
            self.config.schedule, optimizer, n_steps=n_steps, direction=direction
        )
        return optimizer, schedule


def make_parts(config: RunConfig, data: RunData) -> Parts:
    """Return the parts of a config, with the first weights that our own run has.

    Raises:
        ValueError: if the config asks for what the rivals do not do.
    """
    settings = config.trainer
    if settings.accumulate != 1 or settings.validate_every != 1 or config.n_folds is not None:
        raise ValueError("the rivals take no accumulation, no folds, one validation an epoch")
    seed_everything(derive(config.seed, "init"))
    ours = build_module(config, data)
    if not isinstance(ours, SupervisedModule) or ours.is_ensemble:
        raise ValueError(f"the rivals train no {config.family}")
    kind, loss_config = str(config.kind), getattr(config.task, "loss", None)
    assert loss_config is not None
    network, numbers, weights = ours.network, ours.numbers, ours.class_weights

    def loss(x: Tensor, y: Tensor) -> Tensor:
        outputs = network(x, _noise(network, x, numbers), numbers) if takes_noise else network(x)
        on_device = weights.to(outputs.device) if isinstance(weights, Tensor) else None
        return loss_of(kind, loss_config, outputs, y, weights=on_device, numbers=numbers)

    takes_noise = ours.takes_noise
    return Parts(config, network, loss, ours.predict, ours.truth)


def _noise(network: nn.Module, x: Tensor, numbers: dict[str, float]) -> dict[str, Tensor]:
    """Draw what dropout needs from torch's own generator, as nn.Dropout does."""
    shapes: dict[str, tuple[int, ...]] = network.noise_shapes(len(x))  # type: ignore[operator]
    return {
        place: torch.rand(shape, device=x.device)
        for place, shape in shapes.items()
        if numbers[number_of(place)]
    }


def opened(config: RunConfig, *, with_test: bool = False) -> RunData:
    """Return prepared data, read once per preparation and process."""
    sections = config.model_dump(include={"data", "task", "objective"}, mode="json")
    sections["task"] = {key: value for key, value in sections["task"].items() if key == "kind"}
    sections["model"] = {"family": config.family}
    return _opened(json.dumps(sections, sort_keys=True), with_test)


@cache
def _opened(sections: str, with_test: bool) -> RunData:
    return open_data(RunConfig.model_validate(json.loads(sections)), with_test=with_test)
