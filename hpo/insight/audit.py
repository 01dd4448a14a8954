"""Did pruning throw away good trials? What the audited ones show, of one study or of several."""

import statistics
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hpo.insight.noise import Span, correlation_span, exact, rank_correlation
from hpo.insight.scores import Curves
from hpo.records import TrialRecord, most_epochs, ranked
from hpo.words import number

TOP = 0.1
"""An audited trial that ends among this share of the complete ones was wrongly condemned."""
FEW = 20
"""Audited trials below which the interval is the message, not the rate."""


@dataclass(frozen=True, kw_only=True)
class Audited:
    """A trial that the pruner would have stopped, and that ran on."""

    study: str
    trial: int
    validation: int
    """Where it would have stopped."""
    then: float | None
    """The best value until there."""
    final: float
    rank: int
    """Among the complete trials of its study: one more than are better."""
    wrong: bool
    """Whether it ended among the best tenth; where many are equal, none of them is missed."""


@dataclass(frozen=True, kw_only=True)
class Audit:
    """What pruning saved, and what it threw away."""

    audited: tuple[Audited, ...]
    wrong: int
    rate: float | None
    """Of the trials condemned, how many would have ended among the best tenth."""
    span: Span
    """The exact interval of the rate; all of 0 to 1 without an audited trial."""
    regret: float | None
    """By how much the best value would be worse without the audited trials; of one study."""
    correlation: float | None
    """Spearman's, of the values at the validation ``at`` with the final ones."""
    correlation_span: Span | None
    at: int | None
    """The median validation of pruning, at which complete trials are looked at."""
    pairs: tuple[tuple[int, float, float], ...]
    """Trial, best value until ``at``, final value: of all complete trials that got there."""
    n_pruned: int
    n_trained: int
    saved_epochs: float
    whole_epochs: float
    """What all these trials would have taken unpruned."""
    studies: int
    sentence: str

    @property
    def saved(self) -> float | None:
        """The share of the epochs that pruning saved."""
        return self.saved_epochs / self.whole_epochs if self.whole_epochs else None


def audit(records: Sequence[TrialRecord], direction: str, curves: Curves) -> Audit:
    """Return the audit of one study."""
    sign = 1.0 if direction == "maximize" else -1.0
    complete = ranked([r for r in records if r.has_rank], direction)
    order = sorted(-sign * (record.value or 0.0) for record in complete)
    last = max(1, round(TOP * len(complete)))
    audited = [
        _audited(record, order, last, curves, sign)
        for record in complete
        if record.audit is not None
    ]
    pruned = [r for r in records if _by_pruner(r)]
    trained = [r for r in records if r.run is not None and r.same_as is None]
    whole = [max(most_epochs(r.config) or 0, r.epochs_spent) for r in trained]
    stops = [r.run.validations for r in pruned if r.run is not None]
    stops += [one.validation for one in audited]
    at = round(statistics.median(stops)) if stops else None
    pairs = _pairs(complete, curves, at, sign)
    correlation = rank_correlation([(then, final) for _, then, final in pairs])
    saved = sum(max(most_epochs(r.config) or 0, r.epochs_spent) - r.epochs_spent for r in pruned)
    return _told(
        audited,
        regret=_regret(complete, sign),
        correlation=correlation,
        at=at,
        pairs=pairs,
        counts=(len(pruned), len(trained), 1),
        epochs=(saved, sum(whole)),
    )


def pooled(audits: Sequence[Audit]) -> Audit:
    """Return the audits of several studies as one; values of several are not set side by side."""
    return _told(
        [one for audit in audits for one in audit.audited],
        regret=None,
        correlation=None,
        at=None,
        pairs=(),
        counts=(
            sum(audit.n_pruned for audit in audits),
            sum(audit.n_trained for audit in audits),
            len(audits),
        ),
        epochs=(
            sum(audit.saved_epochs for audit in audits),
            sum(audit.whole_epochs for audit in audits),
        ),
    )


def _told(
    audited: Sequence[Audited],
    *,
    regret: float | None,
    correlation: float | None,
    at: int | None,
    pairs: tuple[tuple[int, float, float], ...],
    counts: tuple[int, int, int],
    epochs: tuple[float, float],
) -> Audit:
    wrong = sum(one.wrong for one in audited)
    span = exact(wrong, len(audited))
    n_pruned, n_trained, studies = counts
    share = epochs[0] / epochs[1] if epochs[1] else 0.0
    return Audit(
        audited=tuple(sorted(audited, key=lambda one: (one.study, one.trial))),
        wrong=wrong,
        rate=wrong / len(audited) if audited else None,
        span=span,
        regret=regret,
        correlation=correlation,
        correlation_span=None if correlation is None else correlation_span(correlation, len(pairs)),
        at=at,
        pairs=pairs,
        n_pruned=n_pruned,
        n_trained=n_trained,
        saved_epochs=epochs[0],
        whole_epochs=epochs[1],
        studies=studies,
        sentence=_sentence(len(audited), wrong, span, n_pruned, share),
    )


def _by_pruner(record: TrialRecord) -> bool:
    run = record.run
    return (
        record.state == "pruned"
        and record.same_as is None
        and run is not None
        and run.stopped_by == "pruner"
    )


def _audited(
    record: TrialRecord, order: Sequence[float], last: int, curves: Curves, sign: float
) -> Audited:
    place = -sign * (record.value or 0.0)
    better, upto = bisect_left(order, place), bisect_right(order, place)
    return Audited(
        study=record.study,
        trial=record.number,
        validation=record.audit or 0,
        then=_best_until(curves.get(record.number, {}), record.audit or 0, sign),
        final=record.value or 0.0,
        rank=better + 1,
        wrong=(better + 1 + upto) / 2 <= last,
    )


def _best_until(curve: Mapping[int, float], validation: int, sign: float) -> float | None:
    told = [sign * value for at, value in curve.items() if at <= validation]
    return sign * max(told) if told else None


def _pairs(
    complete: Sequence[TrialRecord], curves: Curves, at: int | None, sign: float
) -> tuple[tuple[int, float, float], ...]:
    found = []
    for record in complete:
        curve = curves.get(record.number, {})
        if at is None or record.value is None or not curve or max(curve) < at:
            continue
        then = _best_until(curve, at, sign)
        if then is not None:
            found.append((record.number, then, record.value))
    return tuple(sorted(found))


def _regret(complete: Sequence[TrialRecord], sign: float) -> float | None:
    """Return what the study's best would have lost had the audited trials been stopped."""
    kept = [record.value for record in complete if record.audit is None]
    if not any(record.audit is not None for record in complete) or not kept:
        return None
    best = complete[0].value
    if best is None or kept[0] is None:
        return None
    return max(0.0, sign * (best - kept[0]))


def _sentence(n: int, wrong: int, span: Span, n_pruned: int, share: float) -> str:
    if not n_pruned and not n:
        return "Nothing was pruned."
    text = f"Pruning stopped {n_pruned} trials and saved {share:.0%} of the epochs"
    if not n:
        return (
            f"{text}; what it threw away is not known: no trial was audited. "
            "search.audit: 0.1 lets a tenth of such trials run to their end."
        )
    trials = f"{n} trial that it would have" if n == 1 else f"{n} trials that it would have"
    text += f". Of {trials} stopped and that ran on, {wrong} ended among the best tenth"
    low, high = f"{span.low:.0%}", f"{span.high:.0%}"
    text += f": between {low} and {high} of what is pruned is pruned wrongly"
    return f"{text}; that few say little." if n < FEW else f"{text}."


def words_of(one: Audited) -> str:
    """Return an audited trial in words."""
    then = "" if one.then is None else f"{number(one.then)} when condemned, "
    return f"Trial {one.trial}: {then}{number(one.final)} at its end, number {one.rank}"
