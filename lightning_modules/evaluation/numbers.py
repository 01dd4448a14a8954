"""What is to be found in numbers that were predicted: one of each row, or several."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from lightning_modules.evaluation.details import residuals
from lightning_modules.evaluation.findings import Findings, TargetScores, measured
from lightning_modules.evaluation.intervals import number_groups, resample, with_functions
from lightning_modules.metrics import compute
from lightning_modules.task import METRICS

NO_CLASSES = "numbers have no classes"
ONE_NUMBER = "one number is predicted of each row"
EACH_TARGET = "each target has its own"
ALL_STEPS = "those of all steps stand together"
OF_CLASSES = ("classes", "per_class", "confusion", "roc", "pr", "reliability")
TINY = 1e-6
"""A target below this share of the largest one is taken for 0: it was scaled there and back."""


def examine_numbers(
    kind: str,
    outputs: Tensor,
    targets: Tensor,
    *,
    metrics: Mapping[str, float],
    names: Sequence[str] | None,
    numbers: Mapping[str, float],
    seed: int,
) -> Findings:
    """Return the findings of predictions ``(rows,)``, or ``(rows, targets)``.

    Args:
        kind: regression or forecasting, of which the steps share their units.
        outputs: predictions in the targets' own units.
        targets: what was right.
        metrics: what was measured of them already, by name.
        names: of several targets; None for their numbers.
        numbers: of the loss, for the metrics that take them.
        seed: of the resamples.
    """
    several = targets.ndim == 2
    columns = list(targets.T) if several else [targets]
    undefined = {name: why for column in columns for name, why in _undefined(column).items()}
    values, reasons = measured(metrics, undefined)
    groups = with_functions(number_groups(outputs, targets), metrics, outputs, targets, numbers)
    # Forecasts that begin one step apart share all their other steps.
    block = min(len(columns), max(1, len(targets) // 10)) if kind == "forecasting" else 1
    size = (len(targets), len(columns))
    known = resample(values, groups, rows=size, seed=seed, block=block)
    shared = not several or kind == "forecasting"
    each, silent = None, {"per_target": ONE_NUMBER}
    if several:
        each, silent = _each(kind, outputs, targets, metrics, names, numbers)
    return Findings(
        task=kind,
        n_rows=len(targets),
        metrics=values,
        ci95=known.ci95,
        resamples=known.resamples,
        classes=None,
        per_class=None,
        confusion=None,
        roc=None,
        pr=None,
        reliability=None,
        residuals=residuals(outputs.flatten(), targets.flatten()) if shared else None,
        per_target=each,
        null_because={
            **reasons,
            **known.null_because,
            **dict.fromkeys(OF_CLASSES, NO_CLASSES),
            **({} if shared else {"residuals": EACH_TARGET}),
            **silent,
        },
    )


def _each(
    kind: str,
    outputs: Tensor,
    targets: Tensor,
    metrics: Mapping[str, float],
    names: Sequence[str] | None,
    numbers: Mapping[str, float],
) -> tuple[list[TargetScores], dict[str, str]]:
    """Return the scores of each target, and why some of them are null."""
    steps = kind == "forecasting"
    word = "step " if steps else ""
    names = names or [f"{word}{i + 1}" for i in range(targets.shape[1])]
    found: list[TargetScores] = []
    silent: dict[str, str] = {}
    for i, (name, predicted, truth) in enumerate(zip(names, outputs.T, targets.T, strict=True)):
        own = {
            metric: compute(METRICS[metric], predicted, truth, numbers)
            for metric in metrics
            if metric in METRICS
        }
        values, reasons = measured(own, _undefined(truth), where=f"per_target.{i}.metrics")
        silent |= reasons
        if steps:
            silent[f"per_target.{i}.residuals"] = ALL_STEPS
        spread = None if steps else residuals(predicted, truth)
        found.append(TargetScores(name=name, metrics=values, residuals=spread))
    return found, silent


def _undefined(targets: Tensor) -> dict[str, str]:
    """Return the metrics that say nothing of targets ``(rows,)``, and why."""
    found = {}
    if bool(torch.eq(targets, targets[0]).all()):
        found["r2"] = "all targets of the split are equal"
    if bool((targets.abs() <= TINY * targets.abs().max()).any()):
        found["mape"] = "a target is 0, of which no error is a share"
    return found
