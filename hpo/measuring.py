"""Measure the ways in which a family's steps can be computed, in a child. No Optuna."""

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from pydantic import ValidationError

from hpo.choice import (
    CLEARLY,
    FamilyChoice,
    FamilyOrder,
    Machine,
    MeasuredWay,
    best_way,
    name_of,
    worth_compiling,
)
from hpo.environment import cpu_features
from lightning_modules.build import RunData, build_module
from lightning_modules.config import RunConfig
from lightning_modules.costs import Uncounted, count_flops
from lightning_modules.module import SupervisedModule
from lightning_modules.program import (
    device_of,
    has_bf16_units,
    layout_of,
    missing_compiler,
)
from lightning_modules.ways import Pace, Way, measure_threads, measure_ways, pace_of

LEAST_STEP_S = 0.002
"""Of a shorter step most is not arithmetic: there is nothing to gain."""
LEAST_STUDY_S = 60.0
"""A study that trains for less is over before the measuring has paid."""
SECONDS = {"default": 0.3, "largest": 1.0}
"""For the ways of each config; enough rounds are made in any case."""
COMPILED_FROM_S, COMPILED_STUDY_S = 600.0, 7200.0
"""How long a trial of the most expensive config, and all of the study, must train for compiling to
be thought of: to measure it takes a minute or more."""
SHARED_FROM_S = 0.02
"""A step must take that long for it to matter how trainings share the cores."""
SHARED_S = 0.6
MOST_CORNERS = 6


@dataclass(frozen=True, kw_only=True)
class _Tried:
    """A config and its pace."""

    config: RunConfig
    pace: Pace

    @property
    def n_steps(self) -> int:
        """Of a whole training."""
        return self.pace.n_batches * self.config.most_epochs

    @property
    def trial_s(self) -> float:
        """Seconds of a whole training."""
        return self.n_steps * self.pace.step_s


def machine_of(config: RunConfig) -> Machine:
    """Return the machine, as a record names it."""
    device = device_of(config)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    memory = torch.cuda.mem_get_info(device)[1] if device.type == "cuda" else None
    features = cpu_features()
    return Machine(cpu_features=features, device=name, torch=torch.__version__, gpu_bytes=memory)


def measure_family(order: FamilyOrder, data: RunData) -> FamilyChoice:
    """Choose how a family is computed; whatever goes wrong in it, the plain way is taken.

    Args:
        order: of the family.
        data: of its default config.
    """
    threads = torch.get_num_threads()
    state = torch.get_rng_state()
    try:
        return _measure(order, data)
    except Exception as error:  # noqa: BLE001  (the trials themselves will say what does not work)
        lines = str(error).splitlines() or ["no message"]
        return _plain(order, f"cannot be measured: {type(error).__name__}: {lines[0]}")
    finally:
        torch.set_num_threads(threads)
        torch.set_rng_state(state)


def _plain(order: FamilyOrder, why: str, **measured: Any) -> FamilyChoice:
    config = RunConfig.model_validate(order.default)
    chosen = {name: getattr(config.trainer, name) for name in order.open if name != "threads"}
    return FamilyChoice(chosen={k: v for k, v in chosen.items() if v}, why=why, **measured)


def _measure(order: FamilyOrder, data: RunData) -> FamilyChoice:
    default = RunConfig.model_validate(order.default)
    if default.whole or data.prepared is None or data.facts is None:
        return _plain(order, "a module or data of your own: its steps are not repeated")
    if default.trainer.processes > 1:
        return _plain(order, "several processes train together")
    torch.set_num_threads(default.trainer.threads)
    device, plain = device_of(default), _way_of(default)
    small = _Tried(config=default, pace=pace_of(default, data, plain, device=device))
    config = _largest(default, order.corners, data)
    large = _Tried(config=config, pace=pace_of(config, data, plain, device=device))
    memory = torch.cuda.max_memory_reserved(device) if device.type == "cuda" else None
    if large.pace.rows is not None and memory is not None:  # of whole batches, at most
        memory = memory * (large.config.trainer.batch_size or 1) // large.pace.rows
    if large.pace.step_s < LEAST_STEP_S:
        why = f"a step takes {1000 * large.pace.step_s:.1f} ms: nothing to gain"
        return _plain(order, why, gpu_bytes=memory)
    study_s = _study_s(order, (small.trial_s + large.trial_s) / 2)
    if study_s < LEAST_STUDY_S:
        why = f"the study trains for about {study_s:.0f} s: nothing to gain"
        return _plain(order, why, gpu_bytes=memory)
    ways = _ways(order, default, data, device)
    choice = _choose(order, (small, large), data, ways, study_s=study_s)
    idle = os.getloadavg()[0] < order.cores  # else others decide which threads wait for which
    shares = "threads" in order.open and device.type == "cpu" and order.cores > 1 and idle
    if shares and large.pace.step_s > SHARED_FROM_S:
        way = Way(**{"precision": plain.precision, "layout": plain.layout, **choice.chosen})
        shared = measure_threads(
            config, data, way, rows=large.pace.rows, cores=order.cores, seconds=SHARED_S
        )
        choice = choice.model_copy(update={"ones": shared.ones, "twos": shared.twos})
    return choice.model_copy(update={"gpu_bytes": memory})


def _way_of(config: RunConfig) -> Way:
    trainer = config.trainer
    return Way(precision=trainer.precision, layout=trainer.layout, compile=trainer.compile)


def _study_s(order: FamilyOrder, trial_s: float) -> float:
    """Return how long all trainings of a study take, if all were of this family."""
    limits = [order.seconds] if order.seconds is not None else []
    limits += [order.trials * trial_s] if order.trials is not None else []
    return min(limits, default=math.inf)


def _largest(default: RunConfig, corners: Sequence[dict[str, Any]], data: RunData) -> RunConfig:
    """Return the network that costs most for each row, all else as in the default config.

    The learning rate of a corner may be such that losses differ by any rounding.
    """
    best, most = default, _cost(default, data)
    for values in corners[:MOST_CORNERS]:
        try:
            config = RunConfig.model_validate({**default.plain(), "model": values["model"]})
        except ValidationError:  # this network and the default's other settings exclude each other
            continue
        cost = _cost(config, data)
        if cost > most:
            best, most = config, cost
    return best


def _cost(config: RunConfig, data: RunData) -> float:
    module = build_module(config, data)
    if not isinstance(module, SupervisedModule) or data.facts is None:
        raise TypeError("a network of ours is a SupervisedModule")
    try:
        return float(count_flops(module.eval(), data.facts))
    except Uncounted:
        return float(sum(parameter.numel() for parameter in module.parameters()))


def _ways(order: FamilyOrder, config: RunConfig, data: RunData, device: torch.device) -> list[Way]:
    """Return the ways that are open, the plain one first."""
    plain = _way_of(config)
    precisions = [plain.precision]
    if "precision" in order.open and has_bf16_units(device):
        precisions.append("bf16-mixed")
    layouts = [plain.layout]
    own = layout_of(build_module(config, data)) if "layout" in order.open else None
    if own is not None:
        layouts.append("channels_last" if own == "contiguous" else "contiguous")
    return [
        Way(precision=precision, layout=layout, compile=plain.compile)
        for layout in layouts
        for precision in precisions
    ]


def _choose(
    order: FamilyOrder,
    both: tuple[_Tried, _Tried],
    data: RunData,
    ways: list[Way],
    *,
    study_s: float,
) -> FamilyChoice:
    small, large = both
    if len(ways) == 1 and "compile" not in order.open:
        return _plain(order, "nothing else can be computed here")
    on_largest = _measured(large, data, ways, SECONDS["largest"])
    fast = [one.step_ms * CLEARLY <= on_largest[0].step_ms for one in on_largest]
    fast[0] = any(fast)  # what else is measured on the default config is held against it
    some = [way for way, is_fast in zip(ways, fast, strict=True) if is_fast]
    on_default = _measured(small, data, some, SECONDS["default"]) if some else []
    way, why = best_way(on_default, on_largest)
    long = large.trial_s >= COMPILED_FROM_S and study_s >= COMPILED_STUDY_S
    if "compile" in order.open and long:
        compiled, said = _compiled(way, small, large, data)
        way, why = (compiled, said) if compiled is not None else (way, f"{why}; {said}")
    chosen = {"precision": way.precision, "layout": way.layout, "compile": way.compile}
    return FamilyChoice(
        chosen={name: value for name, value in chosen.items() if name in order.open and value},
        why=why,
        speedup=None if way == on_largest[0] else round(on_largest[0].step_ms / way.step_ms, 3),
        default=on_default,
        largest=on_largest,
        rows=large.pace.rows,
    )


def _compiled(
    way: MeasuredWay, small: _Tried, large: _Tried, data: RunData
) -> tuple[MeasuredWay | None, str]:
    """Return the compiled form of a way if whole trainings gain by it, and what is to say."""
    lacking = missing_compiler(device_of(small.config).type)
    if lacking is not None:
        return None, lacking
    plain = Way(precision=way.precision, layout=way.layout)
    both = [plain, Way(precision=way.precision, layout=way.layout, compile=True)]
    for tried, gain in ((large, CLEARLY), (small, 1.0)):
        before, after = _measured(tried, data, both, seconds=0.0)
        if not worth_compiling(before, after, n_steps=tried.n_steps, gain=gain):
            return None, f"compiling takes {after.first_s:.0f} s and does not pay"
        if tried is large:
            best = after
    return (
        best,
        f"{name_of(best)}: trainings are shorter, {best.first_s:.0f} s of compiling included",
    )


def _measured(
    tried: _Tried, data: RunData, ways: Sequence[Way], seconds: float
) -> list[MeasuredWay]:
    found = measure_ways(
        tried.config,
        data,
        ways,
        device=device_of(tried.config),
        rows=tried.pace.rows,
        seconds=seconds,
    )
    return [
        MeasuredWay(
            precision=one.way.precision,
            layout=one.way.layout,
            compile=one.way.compile,
            step_ms=one.step_ms,
            loss=one.loss if math.isfinite(one.loss) else None,
            first_s=one.first_s,
        )
        for one in found
    ]
