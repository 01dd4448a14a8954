"""SupervisedModule: network, task and optimizer; a pure step inside, logging outside it."""

import math
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
    label_weights,
    loss_of,
    mean_of_members,
    probabilities,
)
from lightning_modules.data.batches import ALL
from lightning_modules.data.facts import DataFacts
from lightning_modules.families import FAMILIES
from lightning_modules.label_metrics import taken
from lightning_modules.last_rows import LastRows
from lightning_modules.layers.level import FromLevel
from lightning_modules.layers.noise import Noise, draw_noise, number_of
from lightning_modules.metrics import compute, metrics_of
from lightning_modules.optimizers import build_optimizer, build_schedule
from lightning_modules.seeds import of_step
from lightning_modules.settings import number_fields
from lightning_modules.task import METRICS, NUMBERS, ForecastingConfig

Batch = tuple[Tensor, Tensor]
Tensors = Mapping[str, Tensor]


class SupervisedModule(pl.LightningModule):
    """One network under one config.

    Logs at each validation ``val/loss`` and ``val/<metric>`` for the metrics of the task, in the
    target's own units; and ``train/<objective>``, of the last rows that were trained, as they were
    put out then: with dropout, augmented, by weights that moved on. No metric of a plugin is called
    for that, and none of rows that were mixed.

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
        fitted: dict[str, Any] = {} if facts.bin_edges is None else {"bin_edges": facts.bin_edges}
        if not {"sequence", "text"}.isdisjoint(family.takes):
            fitted |= {"n_tokens": facts.n_tokens, "padded": facts.padded}
        self.network: nn.Module = family.resolve()(
            config.model, facts.input_shape, facts.n_outputs, **fitted
        )
        level = config.task.level if isinstance(config.task, ForecastingConfig) else "none"
        if level != "none" and facts.input_kind == "sequence":
            self.network = FromLevel(self.network, level)
        self.numbers = step_numbers(config)
        self.register_buffer("class_weights", _weights(config, facts), persistent=False)
        self._seen: list[Batch] = []
        self._trained = LastRows() if _measures_training(config) else None
        self.validated: Batch | None = None
        """What the last validation predicted, `outlook` of it, and what was right."""
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
            batch: inputs ``(rows, *input_shape)`` and targets, as `loss_of` takes them.
            noise: what `noise` draws; empty for none.
            numbers: ``dropout``, ``label_smoothing`` and such, as `step_numbers` gives them.
        """

        def forward(x: Tensor, noise: Noise, numbers: Numbers) -> Tensor:
            taken = (x, noise, numbers) if self.takes_noise else (x,)
            out: Tensor = functional_call(self.network, (dict(params), dict(buffers)), taken)
            return out

        value, outputs = self._step(forward, batch, noise, numbers)
        return value, buffers, outputs

    def noise(self, n_rows: int, step: int, part: int = 0) -> dict[str, Tensor]:
        """Draw the noise of a batch: a function of the run's seed, the step and its part of it."""
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
        seed = of_step(self.config.seed, "noise", step, part)
        return draw_noise(shapes, seed=seed, device=self.device)

    def forward(self, x: Tensor) -> Tensor:
        """Return the network's raw outputs, ``(rows, n_outputs)``, without noise."""
        out: Tensor = self.network(x)
        if self.is_ensemble:
            return mean_of_members(out, kind=str(self.config.kind))
        return out

    def predict(self, outputs: Tensor) -> Tensor:
        """Turn raw outputs into probabilities or numbers, as metrics take them.

        Probabilities are ``(rows, classes)`` or ``(rows, labels)``; numbers ``(rows,)``, or of
        several targets ``(rows, targets)``.
        """
        outputs = outputs.float()
        if self.config.kind in NUMBERS:
            return self.facts.in_units(outputs if self.facts.n_outputs > 1 else outputs[:, 0])
        return outputs.sigmoid() if self.config.kind == "multilabel" else probabilities(outputs)

    def training_step(self, batch: Batch, batch_index: int) -> Tensor:
        """Return the loss of one batch."""
        rank, n_shares = self._share
        part = batch_index % self.config.trainer.accumulate
        drawn = self.noise(len(batch[0]) * n_shares, self.global_step, part)
        noise = {name: values[rank::n_shares] for name, values in drawn.items()}
        forward = self.network if self.takes_noise else _plain(self.network)
        value, outputs = self._step(forward, batch, noise, self.numbers)
        if self._trained is not None:
            self._trained.add(outputs, batch[1])
        return value

    def validation_step(self, batch: Batch, batch_index: int) -> None:
        """Keep outputs and targets; they are measured together at the end."""
        self._seen.append((self(batch[0]), batch[1]))

    def on_validation_epoch_end(self) -> None:
        """Log the loss and the metrics of the whole split; step a plateau schedule with them.

        Here and not later: a checkpoint that is taken when the validation ends holds the step.
        """
        outputs, targets = self.collect()
        values = self.measure_all(outputs, targets, everything=False)
        told = {f"val/{name}": value for name, value in values.items()}
        self.validated = (self.outlook(outputs), self.truth(targets))
        if self._trained:
            trained = self._measure_trained(*self._trained.take())
            told[f"train/{self.config.objective.metric}"] = trained
        self._tell(told)
        if self._plateau is not None and not self.trainer.sanity_checking:
            objective = values[self.config.objective.metric]
            self._plateau.step(self.trainer.strategy.broadcast(objective))

    def _tell(self, values: Mapping[str, float]) -> None:
        """Log the outcome of a validation.

        Lightning's ``log`` collects, reduces and sorts what is told at every batch. Where no logger
        asks for that, callbacks are told here, by the numbers that they would get.
        """
        if self.trainer.loggers:
            self.log_dict(values)
        else:
            tensors = {name: torch.tensor(value) for name, value in values.items()}
            self.trainer.callback_metrics.update(tensors)

    def outlook(self, outputs: Tensor) -> Tensor:
        """Return what raw outputs predict: classes ``(rows,)``, labels 0 and 1, or numbers."""
        predicted = self.predict(outputs)
        if self.config.kind in NUMBERS:
            return predicted
        return taken(predicted) if self.config.kind == "multilabel" else predicted.argmax(1)

    def _measure_trained(self, outputs: Tensor, targets: Tensor) -> float:
        """Return the objective's metric of rows as they were trained."""
        if self.is_ensemble:
            outputs = mean_of_members(outputs.float(), kind=str(self.config.kind))
        metric = METRICS[self.config.objective.metric]
        return compute(metric, self.predict(outputs), self.truth(targets), self.numbers)

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
        chosen = metrics_of(
            str(self.config.kind),
            objective=self.config.objective.metric,
            everything=everything,
            numbers=loss_numbers(self.config),
        )
        measured = {n: compute(m, predicted, truth, self.numbers) for n, m in chosen.items()}
        return {**values, **measured}

    def collect(self) -> Batch:
        """Return all raw outputs and targets that were kept, and forget them."""
        outputs = torch.cat([outputs for outputs, _ in self._seen]).float()
        targets = torch.cat([targets for _, targets in self._seen])
        self._seen.clear()
        return outputs, targets

    def truth(self, targets: Tensor) -> Tensor:
        """Return targets as metrics take them: whole numbers of classes or labels, or in units."""
        if self.config.kind in NUMBERS:
            return self.facts.in_units(targets if self.facts.n_outputs > 1 else targets.flatten())
        return targets.long() if self.config.kind == "multilabel" else targets

    def configure_optimizers(self) -> Any:
        """Return the optimizer and, unless the lr is constant, its schedule."""
        if self.config.optimizer is None or self.config.schedule is None:
            raise TypeError("a family's config always has an optimizer and a schedule")
        n_steps = self._n_steps()
        optimizer = build_optimizer(
            self.config.optimizer,
            self.network,
            n_steps=n_steps,
            fused=self.config.trainer.precision != "16-mixed",
        )
        schedule = build_schedule(
            self.config.schedule,
            optimizer,
            n_steps=n_steps,
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
        settings = self.config.trainer
        return math.ceil(len(loader) / settings.accumulate) * settings.max_epochs

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the state of a plateau schedule, which is stepped here and not by Lightning.

        And what was put out since the last validation, where that was a while ago.
        """
        if self._plateau is not None:
            checkpoint["plateau"] = dict(self._plateau.state_dict())
        if self._trained:
            checkpoint["trained"] = self._trained.state()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Remember the state of a plateau schedule until there is one, and what was put out."""
        self._plateau_state = checkpoint.get("plateau")
        if self._trained is not None:
            self._trained.restore(checkpoint.get("trained", []))

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
        kind, loss = str(self.config.kind), getattr(self.config.task, "loss", None)
        if loss is None:
            raise TypeError(f"a {kind} task always has a loss")
        weights = self.get_buffer("class_weights") if self.class_weights is not None else None
        return loss_of(kind, loss, outputs, targets, weights=weights, numbers=numbers)


def _measures_training(config: RunConfig) -> bool:
    """Return whether the objective is measured of trained rows: it is ours, and they are whole.

    A function of the user's own may take long, or count how often it is called.
    """
    mixed = bool(getattr(getattr(config.data, "augment", None), "of_rows", []))
    return isinstance(METRICS[config.objective.metric].compute, str) and not mixed


def _weights(config: RunConfig, facts: DataFacts) -> Tensor | None:
    """Return the weights of classes or labels that the config asks for."""
    if getattr(config.task, "class_weights", "none") != "balanced":
        return None
    if facts.label_counts:
        return label_weights(facts.label_counts)
    return class_weights(facts.class_counts) if facts.class_counts else None


def step_numbers(config: RunConfig) -> dict[str, float]:
    """Return the numbers that a training step takes as inputs."""
    loss = getattr(config.task, "loss", None)
    return {
        "dropout": float(getattr(config.model, "dropout", 0.0)),
        **{name: float(getattr(config.model, name)) for name in number_fields(type(config.model))},
        "label_smoothing": float(getattr(loss, "label_smoothing", 0.0)),
        "delta": float(getattr(loss, "delta", 1.0)),
        **loss_numbers(config),
    }


def loss_numbers(config: RunConfig) -> dict[str, float]:
    """Return the numbers of the config's loss, by name."""
    loss = getattr(config.task, "loss", None)
    names = [] if loss is None else number_fields(type(loss))
    return {name: float(getattr(loss, name)) for name in names}


def _plain(network: nn.Module) -> Callable[[Tensor, Noise, Numbers], Tensor]:
    """Return a forward that leaves noise and numbers out, for networks that take none."""

    def forward(x: Tensor, noise: Noise, numbers: Numbers) -> Tensor:
        out: Tensor = network(x)
        return out

    return forward
