"""What the best validation of a trial was like, as a picture in its folder; drawn in its child."""

import logging
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from hpo.figures.confusion import confusion_figure
from hpo.figures.residuals import residuals_figure, targets_figure
from lightning_modules.build import RunData
from lightning_modules.durable import write_text
from lightning_modules.errors import TrialFailed
from lightning_modules.evaluation.details import residuals
from lightning_modules.evaluation.findings import Residuals
from lightning_modules.task import NUMBERS

MOST_CLASSES = 30
"""Of more, those are drawn that are most often mistaken."""
MOST_TARGETS = 4
MOST_PAIRS = 120
"""Predictions that are drawn against the truth, of all targets together."""
_log = logging.getLogger(__name__)


class Gallery:
    """Draws what the best validation of a run predicted: ``confusion.svg`` or ``residuals.svg``.

    Labels, of which a row has any number, have neither. What cannot be drawn is told to the log,
    and costs the trial nothing.

    Args:
        kind: of the task.
        data: of the run, which name classes and targets.
        about: the trial, in words.
    """

    def __init__(self, kind: str, data: RunData, about: str) -> None:
        self._kind = kind
        self._about = about
        facts = data.facts
        self._names = (facts.classes or facts.target_names) if facts is not None else None

    def __call__(self, folder: Path, predicted: Tensor, truth: Tensor) -> None:
        """Draw classes ``(rows,)``, or numbers ``(rows,)`` or ``(rows, targets)``.

        Raises:
            TrialFailed: reason ``disk`` if there is no room.
        """
        try:
            for name, picture in self._drawn(predicted.cpu(), truth.cpu()).items():
                write_text(folder / f"{name}.svg", picture, sync=False)
        except TrialFailed:
            raise
        except Exception as error:  # noqa: BLE001  (the training has ended well)
            _log.warning("%s: no picture: %s: %s", folder, type(error).__name__, error)

    def _drawn(self, predicted: Tensor, truth: Tensor) -> dict[str, str]:
        about = f"{self._about}: {len(truth):,} rows"
        if self._kind == "multilabel":
            return {}
        if self._kind not in NUMBERS:
            table, names = mistaken(_table(predicted, truth, self._names), self._names)
            if self._names is not None and len(names) < len(self._names):
                about += f"; the {len(names)} most mistaken of {len(self._names)} classes"
            return {"confusion": confusion_figure(table, names, about)}
        if truth.ndim == 1 or self._kind == "forecasting":  # whose steps share their units
            found = thinned(residuals(predicted.flatten(), truth.flatten()), MOST_PAIRS)
            return {"residuals": residuals_figure(found, about)}
        names = self._names or [str(i + 1) for i in range(truth.shape[1])]
        each = [
            (name, thinned(residuals(*both), MOST_PAIRS // MOST_TARGETS))
            for name, *both in zip(names[:MOST_TARGETS], predicted.T, truth.T, strict=False)
        ]
        about += f"; {len(each)} of {len(names)} targets" if len(names) > len(each) else ""
        return {"residuals": targets_figure(each, about)}


def _table(predicted: Tensor, truth: Tensor, names: Sequence[str] | None) -> list[list[int]]:
    """Return how many rows of each class (first index) were taken for each class (second)."""
    n = len(names) if names else int(torch.stack([predicted.max(), truth.max()]).max()) + 1
    counts = torch.bincount(truth * n + predicted, minlength=n**2).view(n, n)
    table: list[list[int]] = counts.tolist()
    return table


def mistaken(
    table: Sequence[Sequence[int]], names: Sequence[str] | None
) -> tuple[list[list[int]], list[str]]:
    """Return a confusion table and its names; of very many classes, of the most mistaken ones.

    >>> mistaken([[3, 1], [0, 2]], ["a", "b"])
    ([[3, 1], [0, 2]], ['a', 'b'])
    """
    known = list(names or map(str, range(len(table))))
    wrong = [
        sum(table[i]) + sum(row[i] for row in table) - 2 * table[i][i] for i in range(len(table))
    ]
    worst = sorted(range(len(table)), key=lambda i: (-wrong[i], i))[:MOST_CLASSES]
    kept = sorted(worst)
    return [[table[row][column] for column in kept] for row in kept], [known[i] for i in kept]


def thinned(found: Residuals, most: int) -> Residuals:
    """Return residuals with fewer pairs of target and prediction, still spread over the targets."""
    step = max(1, -(-len(found.pairs) // most))
    return found.model_copy(update={"pairs": found.pairs[::step]})
