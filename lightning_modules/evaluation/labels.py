"""What is to be found in labels that were predicted: each row has any number of them."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from lightning_modules.evaluation.details import label_curves, reliability, scores_of, silent_scores
from lightning_modules.evaluation.findings import Findings, measured
from lightning_modules.evaluation.intervals import label_groups, resample, with_functions
from lightning_modules.label_metrics import taken

OVERLAP = "a row has any number of labels"
NO_RANKS = "of no label, some rows of the split have it and some have not"
NO_NUMBERS = "a classification has no residuals"
NO_TARGETS = "only several numbers a row have it"


def examine_labels(
    outputs: Tensor,
    targets: Tensor,
    *,
    metrics: Mapping[str, float],
    names: Sequence[str] | None,
    numbers: Mapping[str, float],
    seed: int,
) -> Findings:
    """Return the findings of probabilities against 0 and 1, both ``(rows, labels)``.

    A curve has each label that some rows of the split have, and some have not; the reliability is
    that of all labels together.

    Args:
        outputs: probabilities.
        targets: what was right.
        metrics: what was measured of them already, by name.
        names: of the labels; None for their numbers.
        numbers: of the loss, for the metrics that take them.
        seed: of the resamples.
    """
    names = list(names or map(str, range(targets.shape[1])))
    roc, pr = label_curves(outputs, targets, names)
    ranks = ("roc_auc", "pr_auc", "roc", "pr")
    unranked = {} if roc else dict.fromkeys(ranks, NO_RANKS)
    values, reasons = measured(metrics, unranked)
    groups = with_functions(label_groups(outputs, targets), metrics, outputs, targets, numbers)
    known = resample(values, groups, rows=(len(targets), len(names)), seed=seed)
    found = taken(outputs)
    counts = [(found * targets).sum(0), targets.sum(0), found.sum(0)]
    scores = scores_of(names, *(part.tolist() for part in counts))
    flat = torch.stack([1 - outputs, outputs], dim=2).flatten(0, 1)
    return Findings(
        task="multilabel",
        n_rows=len(targets),
        metrics=values,
        ci95=known.ci95,
        resamples=known.resamples,
        classes=names,
        per_class=scores,
        confusion=None,
        roc=roc or None,
        pr=pr or None,
        reliability=reliability(flat, targets.flatten()),
        residuals=None,
        null_because={
            **reasons,
            **known.null_because,
            **{name: why for name, why in unranked.items() if name in ("roc", "pr")},
            **silent_scores(scores, "label"),
            "confusion": OVERLAP,
            "residuals": NO_NUMBERS,
            "per_target": NO_TARGETS,
        },
    )
