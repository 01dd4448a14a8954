"""What a smaller form of a model loses, and whether it is worth keeping."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from hpo.compress.outcome import Change
from hpo.words import number
from lightning_modules.evaluation.intervals import (
    Floats,
    Group,
    class_groups,
    label_groups,
    number_groups,
    resample,
    with_functions,
)
from lightning_modules.metrics import compute
from lightning_modules.task import METRICS, NUMBERS, Direction


@dataclass(frozen=True, kw_only=True)
class Truth:
    """What outputs are measured by."""

    kind: str
    """Of the task."""
    metric: str
    direction: Direction
    targets: Tensor
    """As metrics take them."""
    numbers: Mapping[str, float]
    """Of the loss."""
    seed: int = 0
    """Of the resamples."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Whether a form is kept, and why."""

    kept: bool
    words: str


def change(before: Tensor, after: Tensor, truth: Truth) -> Change | None:
    """Return what became of a model's outputs on the same rows.

    None if one of them, or the metric of all, is no finite number.
    """
    if not bool(after.isfinite().all()):
        return None
    metric = METRICS[truth.metric]
    old, new = (
        compute(metric, outputs, truth.targets, truth.numbers) for outputs in (before, after)
    )
    if not (math.isfinite(old) and math.isfinite(new)):
        return None
    groups = [_group(outputs, truth) for outputs in (before, after)]

    def apart(weights: Floats) -> dict[str, float]:
        one, other = (group(weights)[truth.metric] for group in groups)
        return {"apart": other - one}

    alone = _resampled({truth.metric: new}, groups[1], truth)
    together = _resampled({"apart": new - old}, apart, truth)
    return Change(
        before=old,
        after=new,
        difference=new - old,
        ci95=together["apart"] or [new - old, new - old],  # no resample knows them apart
        after_ci95=alone[truth.metric],
        largest=float((after - before).abs().max()),
    )


def drop(found: Change, direction: Direction) -> float:
    """Return by how much the metric is worse, below 0 where it is better."""
    return -found.difference if direction == "maximize" else found.difference


def verdict(
    found: Change | None, truth: Truth, *, max_drop: float, sizes: tuple[int, int]
) -> Verdict:
    """Say whether a form is kept.

    Args:
        found: what became of the outputs; None if they, or the metric, are no numbers.
        truth: what they are measured by.
        max_drop: how much worse the metric may be, in its own units.
        sizes: of the original and of the form, in bytes.
    """
    if found is None:
        return Verdict(kept=False, words="refused: it puts out NaN or infinity, or its metric is")
    lost = drop(found, truth.direction)
    wrong = []
    if lost > max_drop:
        wrong.append(f"{truth.metric} is worse by {number(lost)}, more than {max_drop:g}")
    before, after = sizes
    if after >= before:
        wrong.append(f"{'larger' if after > before else 'no smaller'} than the original")
    if wrong:
        return Verdict(kept=False, words="refused: " + "; ".join(wrong))
    worst = -found.ci95[0] if truth.direction == "maximize" else found.ci95[1]
    words = "kept"
    if worst > max_drop:
        words += f"; on other rows it may be worse by {number(worst)}"
    return Verdict(kept=True, words=words)


def _group(outputs: Tensor, truth: Truth) -> Group:
    """Return what makes the metric of weighted rows."""
    if truth.kind in NUMBERS:
        groups = number_groups(outputs, truth.targets)
    elif truth.kind == "multilabel":
        groups = label_groups(outputs, truth.targets)
    else:
        groups = class_groups(outputs, truth.targets)
    every = with_functions(groups, [truth.metric], outputs, truth.targets, truth.numbers)
    whole = np.ones(len(truth.targets))
    return next(group for group in every if truth.metric in group(whole))


def _resampled(
    values: Mapping[str, float], group: Group, truth: Truth
) -> dict[str, list[float] | None]:
    targets = truth.targets
    wide = targets.shape[1] if targets.ndim == 2 else 1
    # Forecasts that begin one step apart share all their other steps.
    block = min(wide, max(1, len(targets) // 10)) if truth.kind == "forecasting" else 1
    if truth.kind not in NUMBERS and truth.kind != "multilabel":
        wide = int(torch.unique(targets).numel())
    rows = (len(targets), wide)
    return resample(values, [group], rows=rows, seed=truth.seed, block=block).ci95
