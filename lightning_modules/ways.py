"""Measure in which precision and layout the steps of a config are fastest; decide nothing."""

import itertools
import math
import statistics
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lightning_modules.build import RunData, build_module
from lightning_modules.config import RunConfig
from lightning_modules.generators import seed_step
from lightning_modules.module import SupervisedModule
from lightning_modules.optimizers import build_optimizer
from lightning_modules.program import in_precision
from lightning_modules.seeds import derive

LEAST_ROUNDS, MOST_ROUNDS = 3, 12
"""How many steps of each way are measured, one of them warming up: as many as the time allows."""
BATCHES = 4
"""How many batches the steps repeat."""
LOSSES = 3
"""Of how many steps the loss is the mean: the last that all ways have made."""
LONGEST_STEP_S = 0.1
"""A step that takes longer is measured on a part of its rows."""
LEAST_ROWS = 16
MOST_SIDE_BY_SIDE = 8
"""Of how many cores it is measured how they are shared."""


@dataclass(frozen=True, kw_only=True)
class Way:
    """How a config could be computed: values of `trainer` that decide the program."""

    precision: str
    layout: str | None = None
    compile: bool = False


@dataclass(frozen=True, kw_only=True)
class MeasuredWay:
    """What the steps of a way showed."""

    way: Way
    step_ms: float
    """The median."""
    loss: float
    """The mean of the last steps."""
    first_s: float
    """Seconds of the first step, in which a network is compiled."""


class Steps:
    """The steps of a config in one way: the same weights, batches and noise in each.

    Args:
        config: of a network of ours.
        data: its data.
        way: how.
        device: where.
        rows: how many rows of each batch are used; None is all.
    """

    def __init__(
        self,
        config: RunConfig,
        data: RunData,
        way: Way,
        *,
        device: torch.device,
        rows: int | None = None,
    ) -> None:
        self.config = with_way(config, way)
        self.device = device
        torch.manual_seed(derive(config.seed, "init"))
        module = build_module(self.config, data)
        if not isinstance(module, SupervisedModule) or config.optimizer is None:
            raise TypeError("a network of ours is a SupervisedModule with an optimizer")
        self.module: SupervisedModule = module.to(device).train()
        if way.compile:
            self.module.network.compile()
        self.optimizer: Any = build_optimizer(config.optimizer, module.network, n_steps=1000)
        if hasattr(self.optimizer, "train"):  # those without a schedule keep two sets of weights
            self.optimizer.train()
        loader: Any = data.module(config).train_dataloader()
        self.n_batches = len(loader)
        some = itertools.islice(iter(loader), BATCHES)
        self._batches = [tuple(part[:rows].to(device) for part in batch) for batch in some]
        self.losses: list[Tensor] = []

    def step(self) -> float:
        """Make one step and return its seconds."""
        index = len(self.losses)
        batch: Any = self._batches[index % len(self._batches)]
        seed_step(derive(self.config.seed, "step", index))
        self._wait()
        began = time.perf_counter()
        with in_precision(self.config, self.device):
            loss = self.module.training_step(batch, 0)
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        self._wait()
        seconds = time.perf_counter() - began
        self.losses.append(loss.detach())
        return seconds

    def _wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


def with_way(config: RunConfig, way: Way) -> RunConfig:
    """Return ``config`` computed in that way."""
    changed = {"precision": way.precision, "layout": way.layout, "compile": way.compile}
    return config.model_copy(update={"trainer": config.trainer.model_copy(update=changed)})


def measure_ways(
    config: RunConfig,
    data: RunData,
    ways: Sequence[Way],
    *,
    device: torch.device,
    rows: int | None,
    seconds: float,
) -> list[MeasuredWay]:
    """Return what each way showed, their steps made by turns: what disturbs one disturbs all.

    Args:
        config: of a network of ours.
        data: its data.
        ways: the first is what the others are held against.
        device: where.
        rows: how many rows of each batch are used; None is all.
        seconds: after which no more rounds are begun, if there are enough.
    """
    began = time.perf_counter()
    all_steps = [Steps(config, data, way, device=device, rows=rows) for way in ways]
    times: list[list[float]] = [[] for _ in ways]
    for done in range(MOST_ROUNDS):
        if done >= LEAST_ROUNDS and time.perf_counter() - began > seconds:
            break
        for steps, mine in zip(all_steps, times, strict=True):
            mine.append(steps.step())
    return [
        MeasuredWay(
            way=way,
            step_ms=round(1000 * statistics.median(mine[1:]), 3),
            loss=float(torch.stack(steps.losses[-LOSSES:]).mean()),
            first_s=round(mine[0], 3),
        )
        for way, steps, mine in zip(ways, all_steps, times, strict=True)
    ]


@dataclass(frozen=True, kw_only=True)
class Pace:
    """What a few steps of a config take."""

    step_s: float
    """Seconds of a step, of all rows of a batch."""
    n_batches: int
    """Of an epoch."""
    rows: int | None
    """How many rows of a batch were used, for the step not to take too long; None is all."""


def pace_of(config: RunConfig, data: RunData, way: Way, *, device: torch.device) -> Pace:
    """Return what a step of ``config`` takes, tried on few rows first: a large one takes long."""
    size = config.trainer.batch_size or LEAST_ROWS
    rows = min(LEAST_ROWS, size)
    steps = Steps(config, data, way, device=device, rows=rows)
    steps.step()
    few = min(steps.step(), steps.step())
    fitting = max(LEAST_ROWS, math.floor(size * LONGEST_STEP_S / max(few * size / rows, 1e-9)))
    rows = min(size, fitting)
    steps = Steps(config, data, way, device=device, rows=rows)
    steps.step()
    step_s = min(steps.step(), steps.step())
    return Pace(
        step_s=step_s * size / rows,
        n_batches=steps.n_batches,
        rows=None if rows == size else rows,
    )


@dataclass(frozen=True, kw_only=True)
class SideBySide:
    """How many steps a second this machine makes of a config, by how its cores are shared."""

    cores: int
    ones: float
    """Of as many trainings as cores, one thread each."""
    twos: float
    """Of half as many, two threads each."""


def measure_threads(
    config: RunConfig, data: RunData, way: Way, *, rows: int | None, cores: int, seconds: float
) -> SideBySide:
    """Return the steps a second of one thread for each training, and of two; on a CPU.

    The trainings run side by side in this process: torch lets the others run while it computes.
    """
    cores = min(cores, MOST_SIDE_BY_SIDE)
    before = torch.get_num_threads()
    cpu = torch.device("cpu")
    trainings = [Steps(config, data, way, device=cpu, rows=rows) for _ in range(cores)]
    counted: dict[int, list[float]] = {1: [], 2: []}
    try:
        for threads in (1, 2, 1):
            torch.set_num_threads(threads)
            some = trainings[: cores // threads]
            counted[threads].append(_steps_a_second(some, seconds / 3))
    finally:
        torch.set_num_threads(before)
    return SideBySide(cores=cores, ones=round(max(counted[1]), 3), twos=round(max(counted[2]), 3))


def _steps_a_second(trainings: Sequence[Steps], seconds: float) -> float:
    """Return how many steps these trainings make in a second, side by side."""
    rates = [0.0] * len(trainings)

    def work(place: int) -> None:
        trainings[place].step()  # warms up
        made, began = 0, time.perf_counter()
        while not made or time.perf_counter() - began < seconds:
            trainings[place].step()
            made += 1
        rates[place] = made / (time.perf_counter() - began)

    running = [threading.Thread(target=work, args=(place,)) for place in range(len(trainings))]
    for one in running:
        one.start()
    for one in running:
        one.join()
    return sum(rates)
