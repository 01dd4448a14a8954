"""Importance: how much of the trials' order each parameter explains, beside a control without any.

The order of the trials (`hpo.insight.scores`) is regressed on all parameters at once, each by a
smooth curve or by its options (an additive model: Hastie & Tibshirani, 1986; with a ridge). A
parameter's importance is the share of the variance that is lost when it alone is left out. Columns
of one that exists in a branch only are zero elsewhere: that the branch differs is its parent's. The
control are shadows in the parameter's place: made-up parameters of its kind, drawn evenly where it
exists. Intervals are those of a bootstrap over the trials (Efron, 1979).

A sampler that learns goes back to where it was good, in every parameter, so one without effect goes
along with those that have one. As all are regressed at once, that is no more than chance gives an
even shadow: `benchmarks.honesty` measures it, on studies by TPE too.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hpo.insight.axes import Axis
from hpo.insight.regression import Floats, Table
from hpo.insight.scores import Curves, scores
from hpo.records import TrialRecord

FEWEST = 12
"""Trials below which nothing is said."""
SHADOWS = 200
CAUGHT = 0.01
"""The share of shadows that may be above a parameter that stands out."""
MOST_TRIALS = 600
"""Of more trials, the latest: the regression costs the square of it."""


@dataclass(frozen=True, kw_only=True)
class Importance:
    """One parameter: its share of the order of the trials, beside the control's."""

    name: str
    share: float | None
    """Of the variance of the trials' ranks; None where too few trials have the parameter."""
    low: float | None
    high: float | None
    """The 95 % interval of a bootstrap over trials."""
    null: float | None
    """What a parameter without effect reaches in 1 of 100 cases."""
    n: int
    """The trials that have it."""
    stands_out: bool


@dataclass(frozen=True, kw_only=True)
class Importances:
    """All parameters, the most important first."""

    found: tuple[Importance, ...]
    n_trials: int
    n_pruned: int
    """Of these, how many were pruned and took the place of their value at that validation."""
    explained: float | None
    """The share that all parameters explain together."""
    sentence: str

    @property
    def telling(self) -> list[str]:
        """The names of those that stand out."""
        return [one.name for one in self.found if one.stands_out]


def importances(
    records: Sequence[TrialRecord],
    axes: Sequence[Axis],
    curves: Curves,
    *,
    direction: str,
) -> Importances:
    """Return how much each parameter matters.

    Args:
        records: trials that ended.
        axes: the searched parameters.
        curves: of their objectives.
        direction: of the objective.
    """
    told = scores(records, curves, direction)
    kept = [r for r in sorted(records, key=lambda r: r.number) if r.number in told][-MOST_TRIALS:]
    n_pruned = sum(record.state == "pruned" for record in kept)
    none = _nothing(kept, axes, told)
    if none:
        unknown = tuple(_unknown(axis, kept) for axis in axes)
        return Importances(
            found=unknown, n_trials=len(kept), n_pruned=n_pruned, explained=None, sentence=none
        )
    table = Table(kept, axes, np.array([told[record.number] for record in kept]))
    rng = np.random.default_rng(_seed(kept))
    found = [_importance(table, axis, rng) for axis in axes]
    spread = table.resampled(rng)
    done = [_with_interval(one, spread.get(one.name)) for one in found]
    done.sort(key=lambda one: (not one.stands_out, -(one.share or 0.0), one.name))
    return Importances(
        found=tuple(done),
        n_trials=len(kept),
        n_pruned=n_pruned,
        explained=table.explained(),
        sentence=_sentence(done, len(kept)),
    )


def _seed(kept: Sequence[TrialRecord]) -> int:
    """Return a seed that follows from the trials: the same records say the same again."""
    text = repr([(record.number, record.config_sha256) for record in kept])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8])


def _nothing(kept: Sequence[TrialRecord], axes: Sequence[Axis], told: Mapping[int, float]) -> str:
    """Return why nothing can be said of these trials; nothing if something can."""
    if not axes:
        return "Nothing was searched."
    if len(kept) < FEWEST:
        return f"Too few trials to say what matters: {len(kept)} that count, {FEWEST} are needed."
    if len({told[record.number] for record in kept}) == 1:
        return f"All {len(kept)} trials came to the same value: nothing can be said to matter."
    return ""


def _importance(table: Table, axis: Axis, rng: np.random.Generator) -> Importance:
    if axis.name not in table.groups:
        return _unknown(axis, table.records)
    share = table.share(axis.name)
    control = table.control(axis, _shadows(axis, int(table.active[axis.name].sum()), rng))
    null = float(np.quantile(control, 1 - CAUGHT))
    return Importance(
        name=axis.name,
        share=share,
        low=None,
        high=None,
        null=null,
        n=int(table.active[axis.name].sum()),
        stands_out=share > null,
    )


def _shadows(axis: Axis, n: int, rng: np.random.Generator) -> Floats:
    """Return parameters without effect, ``(trials, shadows)``: numbers, or indices of options."""
    if axis.is_number:
        return rng.random((n, SHADOWS))
    return rng.integers(max(len(axis.options), 1), size=(n, SHADOWS)).astype(float)


def _unknown(axis: Axis, records: Sequence[TrialRecord]) -> Importance:
    n = sum(axis.name in record.params for record in records)
    return Importance(
        name=axis.name, share=None, low=None, high=None, null=None, n=n, stands_out=False
    )


def _with_interval(one: Importance, drawn: Floats | None) -> Importance:
    """Return the importance with its interval, the resamples centred on what was found.

    A resample holds rows twice, and so explains more than the trials do.
    """
    if one.share is None or drawn is None or not len(drawn):
        return one
    centred = np.asarray(drawn) - float(np.mean(drawn)) + one.share
    low, high = np.quantile(centred, [0.025, 0.975]).clip(0, 1)
    ends = {"low": float(min(low, one.share)), "high": float(max(high, one.share))}
    return Importance(**{**one.__dict__, **ends})


def _sentence(found: Sequence[Importance], n: int) -> str:
    telling = [one for one in found if one.stands_out]
    grey = [one for one in found if not one.stands_out and one.share is not None]
    few = [one for one in found if one.share is None]
    if telling:
        text = "What mattered: " + ", ".join(f"{o.name} ({o.share:.0%})" for o in telling[:4])
        text += f" and {len(telling) - 4} more" if len(telling) > 4 else ""
        word = "other" if len(grey) == 1 else "others"
        none = f"; {len(grey)} {word} cannot be told from a parameter without effect"
        rest = none if grey else ""
    else:
        text = "No parameter can be told from one without effect"
        rest = ""
    less = f" ({len(few)} were tried too rarely)" if few else ""
    return f"{text}{rest}{less}, in {n} trials."
