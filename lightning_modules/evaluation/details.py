"""Tables, curves, bins and residuals of a split, from outputs and targets."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from torch import Tensor

from lightning_modules.evaluation.findings import Bin, ClassScores, Curve, Residuals
from lightning_modules.metrics import N_BINS, bins_of

N_PAIRS = 400
N_LARGEST = 5
QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
MOST_POINTS = 2000
"""Points of all curves together, about: each has 30 to 200 of them."""

Floats = npt.NDArray[np.float64]


def class_scores(table: Sequence[Sequence[int]], names: Sequence[str]) -> list[ClassScores]:
    """Return the scores of each class, of a confusion table; None where they are undefined."""
    counts = np.array(table)
    return scores_of(
        names, counts.diagonal().tolist(), counts.sum(1).tolist(), counts.sum(0).tolist()
    )


def scores_of(
    names: Sequence[str], hits: Sequence[int], rows: Sequence[int], found: Sequence[int]
) -> list[ClassScores]:
    """Return the scores of classes or labels of so many right, own and taken rows."""
    return [
        ClassScores(
            name=name,
            rows=right,
            found=taken,
            precision=hit / taken if taken else None,
            recall=hit / right if right else None,
            f1=2 * hit / (right + taken) if right + taken else None,
        )
        for name, hit, right, taken in zip(names, hits, rows, found, strict=True)
    ]


def silent_scores(scores: Sequence[ClassScores], word: str) -> dict[str, str]:
    """Return why scores are None, by their paths; ``word`` is what each is of."""
    silent = {}
    for index, one in enumerate(scores):
        where = f"per_class.{index}"
        if one.precision is None:
            silent[f"{where}.precision"] = f"no row was taken for this {word}"
        if one.recall is None:
            silent[f"{where}.recall"] = f"no row of the split is of this {word}"
        if one.f1 is None:
            silent[f"{where}.f1"] = f"no row is of this {word}, or was taken for it"
    return silent


def curves(
    outputs: Tensor, targets: Tensor, names: Sequence[str]
) -> tuple[list[Curve], list[Curve]]:
    """Return ROC and PR curves: of the second class of two, or of each class in this split."""
    scores, labels = outputs.numpy().astype(np.float64), targets.numpy()
    classes = [1] if len(names) == 2 else np.unique(labels).tolist()
    return _both([(names[one], labels == one, scores[:, one]) for one in classes])


def label_curves(
    outputs: Tensor, targets: Tensor, names: Sequence[str]
) -> tuple[list[Curve], list[Curve]]:
    """Return ROC and PR curves of the labels that some rows have and some have not."""
    scores, hits = outputs.numpy().astype(np.float64), targets.numpy() > 0
    ranked = [i for i in range(len(names)) if 0 < hits[:, i].sum() < len(hits)]
    return _both([(names[i], hits[:, i], scores[:, i]) for i in ranked])


def _both(
    ranked: Sequence[tuple[str, npt.NDArray[np.bool_], Floats]],
) -> tuple[list[Curve], list[Curve]]:
    """Return the curves of names, hits ``(rows,)`` and scores ``(rows,)``."""
    from sklearn import metrics as sk  # it takes a third of a second, and a child draws without it

    most = min(200, max(30, MOST_POINTS // max(len(ranked), 1)))
    roc, pr = [], []
    for name, hit, score in ranked:
        wrong, right, _ = sk.roc_curve(hit, score)
        roc.append(_curve(name, wrong, right, float(sk.auc(wrong, right)), most))
        precision, recall, _ = sk.precision_recall_curve(hit, score, drop_intermediate=True)
        area = float(sk.average_precision_score(hit, score))
        pr.append(_curve(name, recall[::-1], precision[::-1], area, most))
    return roc, pr


def reliability(outputs: Tensor, targets: Tensor) -> list[Bin]:
    """Return what rows of like confidence come to."""
    confidence, found = outputs.max(1)
    bins, right = bins_of(confidence).numpy(), (found == targets).numpy()
    means = confidence.double().numpy()
    return [
        Bin(
            low=round(one / N_BINS, 6),
            high=round((one + 1) / N_BINS, 6),
            rows=int((bins == one).sum()),
            confidence=float(means[bins == one].mean()),
            accuracy=float(right[bins == one].mean()),
        )
        for one in np.unique(bins).tolist()
    ]


def residuals(outputs: Tensor, targets: Tensor) -> Residuals:
    """Return how predictions ``(rows,)`` lie about targets ``(rows,)``."""
    predicted, truth = (part.numpy().astype(np.float64) for part in (outputs, targets))
    errors = predicted - truth
    counts, edges = np.histogram(errors, bins=min(40, max(8, round(len(errors) ** 0.5))))
    order = np.argsort(truth, kind="stable")
    spread = np.unique(np.linspace(0, len(order) - 1, N_PAIRS).round().astype(int))
    worst = np.argsort(-np.abs(errors), kind="stable")[:N_LARGEST]
    pairs = np.stack([truth, predicted], axis=1)
    return Residuals(
        mean=float(errors.mean()),
        sd=float(errors.std()),
        quantiles={f"{q:g}": float(np.quantile(errors, q)) for q in QUANTILES},
        edges=edges.tolist(),
        counts=counts.tolist(),
        pairs=pairs[order[spread]].tolist(),
        largest=pairs[worst].tolist(),
    )


def _curve(name: str, x: Floats, y: Floats, area: float, most: int) -> Curve:
    """Return a curve with ``most`` points, evenly spread over its length."""
    length = np.concatenate([[0.0], np.cumsum(np.abs(np.diff(x)) + np.abs(np.diff(y)))])
    places = np.searchsorted(length, np.linspace(0, length[-1], most))
    kept = np.unique(np.concatenate([[0], places, [len(x) - 1]])) if len(x) > most else slice(None)
    return Curve(name=name, x=x[kept].round(6).tolist(), y=y[kept].round(6).tolist(), area=area)
