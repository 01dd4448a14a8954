"""From outputs and targets of a split to everything that they tell."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from lightning_modules.evaluation.details import class_scores, curves, reliability, silent_scores
from lightning_modules.evaluation.findings import Findings, measured
from lightning_modules.evaluation.intervals import class_groups, resample, with_functions
from lightning_modules.evaluation.labels import NO_NUMBERS, NO_TARGETS, examine_labels
from lightning_modules.evaluation.numbers import OF_CLASSES, examine_numbers
from lightning_modules.metrics import confusion
from lightning_modules.task import NUMBERS

ONE_CLASS = "all rows of the split are of one class"
OWN_MODULE = "the module is the user's own: only what it logs is known"
RANKS = ("roc_auc", "pr_auc")


def examine(
    kind: str,
    outputs: Tensor,
    targets: Tensor,
    *,
    metrics: Mapping[str, float],
    classes: Sequence[str] | None,
    seed: int,
    numbers: Mapping[str, float] | None = None,
) -> Findings:
    """Return what is to be found in outputs and targets of a split.

    Args:
        kind: of the task.
        outputs: probabilities ``(rows, classes)`` or ``(rows, labels)``, or predictions ``(rows,)``
            or ``(rows, targets)``.
        targets: class numbers or numbers, ``(rows,)``, or of several targets as the outputs.
        metrics: what was measured of them already, by name.
        classes: names of classes, labels or several targets; None for their numbers.
        seed: of the resamples.
        numbers: of the loss, for the metrics that take them.
    """
    outputs, targets = outputs.detach().cpu(), targets.detach().cpu()
    more: dict[str, Any] = {"metrics": metrics, "numbers": numbers or {}, "seed": seed}
    if kind in NUMBERS:
        return examine_numbers(kind, outputs, targets, names=classes, **more)
    if kind == "multilabel":
        return examine_labels(outputs, targets, names=classes, **more)
    names = list(classes or map(str, range(outputs.shape[1])))
    return _of_classes(kind, outputs, targets, names=names, **more)


def examine_logged(metrics: Mapping[str, float]) -> Findings:
    """Return what a user's own module told of a split: numbers that it logged."""
    values, reasons = measured(metrics, {})
    silent = ("task", "n_rows", *OF_CLASSES, "residuals", "per_target")
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
    *,
    metrics: Mapping[str, float],
    names: list[str],
    numbers: Mapping[str, float],
    seed: int,
) -> Findings:
    one_class = bool((targets == targets[0]).all())
    undefined = dict.fromkeys(RANKS, ONE_CLASS) if one_class else {}
    values, reasons = measured(metrics, undefined)
    groups = with_functions(class_groups(outputs, targets), metrics, outputs, targets, numbers)
    known = resample(values, groups, rows=(len(targets), len(names)), seed=seed)
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
            **known.null_because,
            **flat,
            **silent_scores(scores, "class"),
            "residuals": NO_NUMBERS,
            "per_target": NO_TARGETS,
        },
    )
