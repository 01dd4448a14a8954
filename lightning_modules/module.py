"""SupervisedModule: network, task and optimizer; a pure step inside, logging outside it."""

from collections.abc import Callable, Mapping
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.optim.lr_scheduler import ReduceLROnPlateau

from lightning_modules.config import RunConfig
from lightning_modules.criterion import (
    Numbers,
    as_rows,
    class_weights,
    classification_loss,
    mean_of_members,
    probabilities,
    regression_loss,
)
from lightning_modules.data.batches import ALL
from lightning_modules.data.facts import DataFacts
from lightning_modules.families import FAMILIES
from lightning_modules.layers.noise import Noise, draw_noise, number_of
from lightning_modules.metrics import compute, metrics_of
from lightning_modules.optimizers import build_optimizer, build_schedule
from lightning_modules.seeds import derive
from lightning_modules.settings import number_fields

Batch = tuple[Tensor, Tensor]
Tensors = Mapping[str, Tensor]


class SupervisedModule(pl.LightningModule):
    """One network under one config.

    Logs ``train/loss`` and ``train/lr``, and at each validation ``val/loss`` and ``val/<metric>``
    for the metrics of the task, in the target's own units.

    The network of an ensemble gives ``(rows, members, n_outputs)``: it is trained by the mean of
    its members' losses, and predicts the mean of their predictions.
    """

    def __init__(self, config: RunConfig, facts: DataFacts) -> None:
        super().__init__()
        family = FAMILIES[config.family]
        self.config = config
        self.facts = facts
        self.takes_noise = family.takes_noise
        self.is_ensemble = family.ensemble
        fitted = {} if facts.bin_edges is None else {"bin_edges": facts.bin_edges}
        self.network: nn.Module = family.resolve()(
            config.model, facts.input_shape, facts.n_outputs, **fitted
        )
        self.numbers = step_numbers(config)
        weights = None
        if getattr(config.task, "class_weights", "none") == "balanced" and facts.class_counts:
            weights = class_weights(facts.class_counts)
        self.register_buffer("class_weights", weights, persistent=False)
        self._seen: list[Batch] = []
        self._share = ALL
        self._plateau: ReduceLROnPlateau | None = None
        self._plateau_state: dict[str, Any] | None = None

    def loss(
        self, params: Tensors, buffers: Tensors, batch: Batch, noise: Noise, numbers: Numbers
    ) -> tuple[Tensor, Tensors, Tensor]:
        """Return loss, buffers and outputs of one step, a function of its arguments alone.

        The outputs are the network's own: those of an ensemble member by member.

        Args:
            params: the network's parameters by name.
            buffers: its buffers by name; running statistics are updated in them.
            batch: inputs ``(rows, *input_shape)`` and targets ``(rows,)``.
            noise: what `noise` draws; empty for none.
            numbers: ``dropout``, ``label_smoothing`` and such, as `step_numbers` gives them.
        """

        def forward(x: Tensor, noise: Noise, numbers: Numbers) -> Tensor:
            taken = (x, noise, numbers) if self.takes_noise else (x,)
            out: Tensor = functional_call(self.network, (dict(params), dict(buffers)), taken)
            return out

        value, outputs = self._step(forward, batch, noise, numbers)
        return value, buffers, outputs

    def noise(self, n_rows: int, step: int) -> dict[str, Tensor]:
        """Draw the noise of a training step: a function of the run's seed and the step."""
        if not self.takes_noise:
            return {}
        shapes_of: Callable[[int], dict[str, tuple[int, ...]]] = self.network.noise_shapes  # type: ignore[assignment]
        shapes = {
            place: shape
            for place, shape in shapes_of(n_rows).items()
            if self.numbers[number_of(place)]
        }
        if not shapes:
            return {}
        seed = derive(self.config.seed, "noise", step)
        return draw_noise(shapes, seed=seed, device=self.device)

    def forward(self, x: Tensor) -> Tensor:
        """Return the network's raw outputs, ``(rows, n_outputs)``, without noise."""
        out: Tensor = self.network(x)
        if self.is_ensemble:
            return mean_of_members(out, regression=self.config.kind == "regression")
        return out

    def predict(self, outputs: Tensor) -> Tensor:
        """Turn raw outputs into probabilities ``(rows, classes)`` or numbers ``(rows,)``."""
        if self.config.kind == "regression":
            return self.facts.in_units(outputs[:, 0].float())
        return probabilities(outputs.float())

    def training_step(self, batch: Batch, batch_index: int) -> Tensor:
        """Return the loss of one batch."""
        rank, n_shares = self._share
        drawn = self.noise(len(batch[0]) * n_shares, self.global_step)
        noise = {name: values[rank::n_shares] for name, values in drawn.items()}
        forward = self.network if self.takes_noise else _plain(self.network)
        value, _ = self._step(forward, batch, noise, self.numbers)
        return value

    def validation_step(self, batch: Batch, batch_index: int) -> None:
        """Keep outputs and targets; they are measured together at the end."""
        self._seen.append((self(batch[0]), batch[1]))

    def on_validation_epoch_end(self) -> None:
        """Log the loss and the metrics of the whole split; step a plateau schedule with them.

        Here and not later: a checkpoint that is taken when the validation ends holds the step.
        """
        values = self.measure(everything=False)
        for name, value in values.items():
            self.log(f"val/{name}", value)
        if self._plateau is not None and not self.trainer.sanity_checking:
            objective = values[self.config.objective.metric]
            self._plateau.step(self.trainer.strategy.broadcast(objective))

    def measure(self, *, everything: bool) -> dict[str, float]:
        """Return loss and metrics over all that the validation steps kept, and forget it."""
        outputs, targets = self.collect()
        return self.measure_all(outputs, targets, everything=everything)

    def measure_all(
        self, outputs: Tensor, targets: Tensor, *, everything: bool
    ) -> dict[str, float]:
        """Return loss and metrics of raw outputs ``(rows, n_outputs)`` and targets ``(rows,)``."""
        silent = {**self.numbers, "label_smoothing": 0.0}
        values = {"loss": float(self._loss(outputs, targets, silent))}
        predicted, truth = self.predict(outputs), self.truth(targets)
        kind = str(self.config.kind)
        chosen = metrics_of(kind, objective=self.config.objective.metric, everything=everything)
        return {**values, **{name: compute(m, predicted, truth) for name, m in chosen.items()}}

    def collect(self) -> Batch:
        """Return all raw outputs and targets that were kept, and forget them."""
        outputs = torch.cat([outputs for outputs, _ in self._seen]).float()
        targets = torch.cat([targets for _, targets in self._seen])
        self._seen.clear()
        return outputs, targets

    def truth(self, targets: Tensor) -> Tensor:
        """Return targets in their own units: class numbers, or numbers ``(rows,)``."""
        if self.config.kind == "regression":
            return self.facts.in_units(targets)
        return targets

    def configure_optimizers(self) -> Any:
        """Return the optimizer and, unless the lr is constant, its schedule."""
        if self.config.optimizer is None or self.config.schedule is None:
            raise TypeError("a family's config always has an optimizer and a schedule")
        optimizer = build_optimizer(self.config.optimizer, self.network.parameters())
        schedule = build_schedule(
            self.config.schedule,
            optimizer,
            n_steps=self._n_steps(),
            direction=self.config.objective.direction,
        )
        if schedule is None:
            return optimizer
        if isinstance(schedule, ReduceLROnPlateau):
            self._plateau = schedule
            return optimizer
        return [optimizer], [{"scheduler": schedule, "interval": "step"}]

    def _n_steps(self) -> int:
        """Return the optimizer steps of the whole run.

        Lightning's own estimate sets the loaders up before a resumed run has restored where they
        stood, and so starts the epoch again.
        """
        loader = self.trainer.datamodule.train_dataloader()  # type: ignore[attr-defined]
        return len(loader) * self.config.trainer.max_epochs

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the state of a plateau schedule, which is stepped here and not by Lightning."""
        if self._plateau is not None:
            checkpoint["plateau"] = dict(self._plateau.state_dict())

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Remember the state of a plateau schedule until there is one."""
        self._plateau_state = checkpoint.get("plateau")

    def on_fit_start(self) -> None:
        """Learn which share of every batch comes here; put a plateau schedule's state back."""
        self._share = (self.trainer.global_rank, self.trainer.world_size)
        if self._plateau is not None and self._plateau_state is not None:
            self._plateau.load_state_dict(self._plateau_state)

    def _step(
        self, forward: Callable[..., Tensor], batch: Batch, noise: Noise, numbers: Numbers
    ) -> tuple[Tensor, Tensor]:
        x, targets = batch
        outputs = forward(x, noise, numbers)
        judged = as_rows(outputs, targets) if self.is_ensemble else (outputs, targets)
        return self._loss(*judged, numbers), outputs

    def _loss(self, outputs: Tensor, targets: Tensor, numbers: Numbers) -> Tensor:
        if self.config.kind == "regression":
            loss = getattr(self.config.task, "loss", None)
            if loss is None:
                raise TypeError("a regression task always has a loss")
            return regression_loss(loss, outputs, targets.float(), numbers=numbers)
        weights = self.get_buffer("class_weights") if self.class_weights is not None else None
        return classification_loss(outputs, targets, weights=weights, numbers=numbers)


def step_numbers(config: RunConfig) -> dict[str, float]:
    """Return the numbers that a training step takes as inputs."""
    loss = getattr(config.task, "loss", None)
    return {
        "dropout": float(getattr(config.model, "dropout", 0.0)),
        **{name: float(getattr(config.model, name)) for name in number_fields(type(config.model))},
        "label_smoothing": float(getattr(loss, "label_smoothing", 0.0)),
        "delta": float(getattr(loss, "delta", 1.0)),
    }


def _plain(network: nn.Module) -> Callable[[Tensor, Noise, Numbers], Tensor]:
    """Return a forward that leaves noise and numbers out, for networks that take none."""

    def forward(x: Tensor, noise: Noise, numbers: Numbers) -> Tensor:
        out: Tensor = network(x)
        return out

    return forward
