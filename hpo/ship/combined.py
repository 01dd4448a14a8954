"""An ensemble: which networks predict together, how, and what that is worth; no torch."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt
from pydantic import Field

from lightning_modules.packaged.agreeing import LEAST, SHARED_VOTE
from lightning_modules.settings import Settings
from lightning_modules.task import NUMBERS

ENSEMBLE_SCHEMA = "hpo.ensemble/1"
ENSEMBLE = "ensemble.json"
"""The name of the record, in the folder ``ensemble`` of its study."""
Method: TypeAlias = Literal["greedy", "mean", "weighted", "vote", "stack"]
METHODS: tuple[Method, ...] = get_args(Method)
Floats: TypeAlias = npt.NDArray[np.float32]
Doubles: TypeAlias = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Combination:
    """How the outputs of several networks become one.

    ``x[m]`` are the outputs of network ``m``, ``w[m]`` its weight, ``b`` the intercepts; the last
    axis is that of classes, labels or targets. Everything is computed in float64 and rounded to
    float32 at the end.

    - ``mean``, ``weighted``, ``greedy``: ``sum over m of w[m] * x[m]``.
    - ``vote``, classes: ``(votes + mean / 2) / (M + 1 / 2)``: ``votes`` counts the networks of
      which this class is the most probable (of equally probable ones the first), ``mean`` is that
      of their probabilities, ``M`` their number. Where votes are equal, the mean so decides.
    - ``vote``, labels: the same; a network votes for each label of a probability above 1/2.
    - ``vote``, numbers: the median; of an even number of networks the mean of the middle two.
    - ``stack``, classes: softmax over the classes of
      ``b + sum over m of w[m] * log(max(x[m], LEAST))``.
    - ``stack``, labels: sigmoid of
      ``b + sum over m of w[m] * (log(max(x[m], LEAST)) - log(max(1 - x[m], LEAST)))``.
    - ``stack``, numbers: ``b + sum over m of w[m] * x[m]``; of one number a row ``b`` has one.

    Weights of ``mean``, ``weighted`` and ``greedy`` are at least 0 and sum to one; those of a
    ``vote`` have no effect; those of a ``stack`` may be anything.
    """

    method: Method
    kind: str
    """Of the task."""
    weights: Sequence[float]
    intercepts: Sequence[float] | None = None
    """Of a stack, of each class, label or target."""


def combine(combination: Combination, outputs: Sequence[npt.ArrayLike]) -> Floats:
    """Return what several networks say together, as `Combination` defines it.

    Args:
        combination: how.
        outputs: of each network, in the order of the weights: probabilities ``(rows, classes)`` or
            ``(rows, labels)``, or numbers ``(rows,)`` or ``(rows, targets)``.

    Raises:
        ValueError: if there are more or fewer outputs than weights.
    """
    if len(outputs) != len(combination.weights):
        counts = f"{len(outputs)} outputs for {len(combination.weights)} weights"
        raise ValueError(f"{counts}: one of each network is needed")
    parts = np.stack([np.asarray(one, dtype=np.float64) for one in outputs])
    if combination.method == "vote":
        return _vote(parts, combination.kind).astype(np.float32)
    if combination.method == "stack":
        return _stack(parts, combination).astype(np.float32)
    return _weigh(parts, combination.weights).astype(np.float32)


def _weigh(parts: Doubles, weights: Sequence[float]) -> Doubles:
    return np.asarray(np.tensordot(np.asarray(weights, np.float64), parts, axes=1))


def _vote(parts: Doubles, kind: str) -> Doubles:
    if kind in NUMBERS:
        return np.asarray(np.median(parts, axis=0))
    if kind == "multilabel":
        votes = (parts > 0.5).sum(0)
    else:
        votes = (parts.argmax(-1)[..., None] == np.arange(parts.shape[-1])).sum(0)
    shared = SHARED_VOTE * parts.mean(0)
    return np.asarray((votes + shared) / (len(parts) + SHARED_VOTE))


def _stack(parts: Doubles, combination: Combination) -> Doubles:
    added = np.asarray(combination.intercepts or [0.0], np.float64)
    scores = _weigh(evidence(parts, combination.kind), combination.weights)
    if combination.kind in NUMBERS:
        return scores + (added if scores.ndim == 2 else added[0])
    scores = scores + added
    if combination.kind == "multilabel":
        return np.asarray(np.exp(-np.logaddexp(0.0, -scores)))
    raised = np.exp(scores - scores.max(-1, keepdims=True))
    return np.asarray(raised / raised.sum(-1, keepdims=True))


def evidence(parts: Doubles, kind: str) -> Doubles:
    """Return what a stack adds up of outputs: numbers as they are, of probabilities the logarithms.

    Args:
        parts: outputs of any number of networks, the last axis that of classes or labels.
        kind: of the task.
    """
    if kind in NUMBERS:
        return parts
    logs = np.log(np.maximum(parts, LEAST))
    if kind == "multilabel":
        logs = logs - np.log(np.maximum(1.0 - parts, LEAST))
    return np.asarray(logs)


def _is_none(value: object) -> bool:
    """Say whether something does not apply, which the record then leaves out."""
    return value is None


class Member(Settings):
    """A network of the ensemble."""

    trial: int
    fold: int | None = Field(None, exclude_if=_is_none)
    """Of a trial over folds, which of them, counted from 1: each has a network of its own."""
    folder: str
    """Of the run, relative to the folder of the record."""
    checkpoint_sha256: str
    weight: float
    """Of a stack, its coefficient."""
    value: float
    """The objective of its trial alone, on the same rows."""


class LeftOut(Settings):
    """A trial that was asked for and is no member."""

    trial: int
    why: str


class Difference(Settings):
    """What an ensemble and the single best come to by one measure, and how sure that differs."""

    ensemble: float
    single: float
    difference: float
    """Ensemble minus single best."""
    ci95: list[float] | None
    """Of the difference, over resamples of the rows."""


class Scores(Difference):
    """An ensemble beside the single best, each chosen on some rows and scored on others.

    All rows are cut into ``parts``; on each, both are scored as they were chosen on the others.
    That is done ``repeats`` times, with other parts, and the mean counts.
    """

    split: Literal["validation", "out of fold", "test"]
    n_rows: int
    parts: int | None = Field(None, exclude_if=_is_none)
    """How many; None of the test split, on which nothing was chosen."""
    repeats: int | None = Field(None, exclude_if=_is_none)
    kept_together: Literal["rows", "groups", "time"]
    """What is never cut: single rows (equal ones are one), groups, or what follows in time."""
    log_loss: Difference | None = Field(None, exclude_if=_is_none)
    """Of probabilities that another metric judges."""
    ahead: float
    """The share of resamples in which the ensemble is better; equal ones count half."""
    resamples: int


class EnsembleRecord(Settings):
    """``ensemble.json``."""

    schema_name: Literal["hpo.ensemble/1"] = Field("hpo.ensemble/1", alias="schema")
    study: str
    kind: str
    """Of the task."""
    metric: str
    direction: Literal["minimize", "maximize"]
    method: Method
    members: list[Member]
    """Best alone first; those without weight are left out."""
    intercepts: list[float] | None = Field(None, exclude_if=_is_none)
    """Of a stack, what is added for each class, label or target."""
    considered: list[int]
    """The trials that were to be had, best alone first."""
    left_out: list[LeftOut]
    single: int
    """The trial that is best alone."""
    scores: Scores
    better: bool
    """Whether the scores say so; `why` says by which rule."""
    used: bool
    """Whether it may predict: it is better, or was kept all the same."""
    why: str
    seed: int
    data_sha256: str | None
    split_sha256: str | None
    null_because: dict[str, str]
    created_utc: str

    @property
    def combination(self) -> Combination:
        """How the members' outputs become one."""
        return Combination(
            method=self.method,
            kind=self.kind,
            weights=[member.weight for member in self.members],
            intercepts=self.intercepts,
        )
