"""From outputs and targets of a split to everything that they tell."""

import math
from collections.abc import Iterator, Mapping, Sequence

from torch import Tensor

from lightning_modules.evaluation.details import class_scores, curves, reliability, residuals
from lightning_modules.evaluation.findings import ClassScores, Findings
from lightning_modules.evaluation.intervals import class_groups, number_groups, resample
from lightning_modules.metrics import confusion

ONE_CLASS = "all rows of the split are of one class"
OWN_MODULE = "the module is the user's own: only what it logs is known"
NO_CLASSES = "a regression has no classes"
NO_NUMBERS = "a classification has no residuals"
OF_CLASSES = ("classes", "per_class", "confusion", "roc", "pr", "reliability")
RANKS = ("roc_auc", "pr_auc")
TINY = 1e-6
"""A target below this share of the largest one is taken for 0: it was scaled there and back."""


def examine(
    kind: str,
    outputs: Tensor,
    targets: Tensor,
    *,
    metrics: Mapping[str, float],
    classes: Sequence[str] | None,
    seed: int,
) -> Findings:
    """Return what is to be found in outputs and targets of a split.

    Args:
        kind: of the task: binary, multiclass or regression.
        outputs: probabilities ``(rows, classes)``, or predictions ``(rows,)``.
        targets: class numbers or numbers, ``(rows,)``.
        metrics: what was measured of them already, by name.
        classes: their names; None for their numbers.
        seed: of the resamples.
    """
    outputs, targets = outputs.detach().cpu(), targets.detach().cpu()
    if kind == "regression":
        return _of_numbers(outputs, targets, metrics, seed)
    names = list(classes or map(str, range(outputs.shape[1])))
    return _of_classes(kind, outputs, targets, metrics, names, seed)


def examine_logged(metrics: Mapping[str, float]) -> Findings:
    """Return what a user's own module told of a split: numbers that it logged."""
    values, reasons = _measured(metrics, {})
    silent = ("task", "n_rows", *OF_CLASSES, "residuals")
    own = {**dict.fromkeys(silent, OWN_MODULE), **{f"ci95.{name}": OWN_MODULE for name in values}}
    return Findings(
        task=None,
        n_rows=None,
        metrics=values,
        ci95=dict.fromkeys(values),
        resamples=0,
        classes=None,
        per_class=None,
        confusion=None,
        roc=None,
        pr=None,
        reliability=None,
        residuals=None,
        null_because={**own, **reasons},
    )


def _of_classes(
    kind: str,
    outputs: Tensor,
    targets: Tensor,
    metrics: Mapping[str, float],
    names: list[str],
    seed: int,
) -> Findings:
    one_class = bool((targets == targets[0]).all())
    undefined = dict.fromkeys(RANKS, ONE_CLASS) if one_class else {}
    values, reasons = _measured(metrics, undefined)
    known = resample(
        values, class_groups(outputs, targets), rows=(len(targets), len(names)), seed=seed
    )
    table = confusion(outputs, targets)
    scores = class_scores(table, names)
    roc, pr = (None, None) if one_class else curves(outputs, targets, names)
    flat = {"roc": ONE_CLASS, "pr": ONE_CLASS} if one_class else {}
    return Findings(
        task=kind,
        n_rows=len(targets),
        metrics=values,
        ci95=known.ci95,
        resamples=known.resamples,
        classes=names,
        per_class=scores,
        confusion=table,
        roc=roc,
        pr=pr,
        reliability=reliability(outputs, targets),
        residuals=None,
        null_because={
            **reasons,
            **{f"ci95.{name}": why for name, why in known.reasons.items()},
            **flat,
            **dict(_silent_scores(scores)),
            "residuals": NO_NUMBERS,
        },
    )


def _of_numbers(
    outputs: Tensor, targets: Tensor, metrics: Mapping[str, float], seed: int
) -> Findings:
    undefined: dict[str, str] = {}
    if bool((targets == targets[0]).all()):
        undefined["r2"] = "all targets of the split are equal"
    if bool((targets.abs() <= TINY * targets.abs().max()).any()):
        undefined["mape"] = "a target is 0, of which no error is a share"
    values, reasons = _measured(metrics, undefined)
    known = resample(values, number_groups(outputs, targets), rows=(len(targets), 1), seed=seed)
    return Findings(
        task="regression",
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
        residuals=residuals(outputs, targets),
        null_because={
            **reasons,
            **{f"ci95.{name}": why for name, why in known.reasons.items()},
            **dict.fromkeys(OF_CLASSES, NO_CLASSES),
        },
    )


def _measured(
    metrics: Mapping[str, float], undefined: Mapping[str, str]
) -> tuple[dict[str, float | None], dict[str, str]]:
    """Return the metrics, None where they say nothing, and why that is so."""
    why = {name: undefined[name] for name in metrics if name in undefined}
    why |= {name: f"it is {value}" for name, value in metrics.items() if not math.isfinite(value)}
    values = {name: None if name in why else value for name, value in metrics.items()}
    return values, {f"metrics.{name}": reason for name, reason in why.items()}


def _silent_scores(scores: Sequence[ClassScores]) -> Iterator[tuple[str, str]]:
    for index, one in enumerate(scores):
        where = f"per_class.{index}"
        if one.precision is None:
            yield f"{where}.precision", "no row was taken for this class"
        if one.recall is None:
            yield f"{where}.recall", "no row of the split is of this class"
        if one.f1 is None:
            yield f"{where}.f1", "no row is of this class, or was taken for it"
