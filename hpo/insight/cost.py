"""What does it cost: size and latency against the metric, time, epochs, failures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hpo.insight.noise import within_noise
from hpo.records import TrialRecord
from hpo.words import duration, number

Priced = tuple[float, float, int]
"""Cost, value, trial."""


@dataclass(frozen=True, kw_only=True)
class Stairs:
    """The trials that no other one beats at the same cost or less."""

    cost: str
    """``n_parameters`` or ``latency_ms``."""
    points: tuple[Priced, ...]
    """All complete trials."""
    front: tuple[Priced, ...]
    """Cheapest first."""
    limit: float | None
    """The study's constraint on it."""


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What accuracy costs."""

    stairs: tuple[Stairs, ...]
    cheaper: TrialRecord | None
    """The smallest network that cannot be told from the best one, if it is smaller."""
    sentence: str


@dataclass(frozen=True, kw_only=True)
class Failures:
    """The trials that failed, by reason."""

    by_reason: Mapping[str, tuple[int, ...]]
    sentence: str


def cost(
    records: Sequence[TrialRecord],
    direction: str,
    metric: str,
    limits: Mapping[str, float],
    *,
    best: TrialRecord | None,
) -> Cost:
    """Return what the metric costs in parameters and in milliseconds."""
    done = [record for record in records if record.has_rank and record.run is not None]
    stairs = []
    for name in ("n_parameters", "latency_ms"):
        points = [
            (float(price), r.run.value, r.number)
            for r in done
            if r.run is not None and (price := getattr(r.run, name)) is not None
        ]
        if points:
            stairs.append(
                Stairs(
                    cost=name,
                    points=tuple(points),
                    front=tuple(_front(points, direction)),
                    limit=limits.get(name),
                )
            )
    cheaper = _cheaper(done, best, metric)
    return Cost(stairs=tuple(stairs), cheaper=cheaper, sentence=_sentence(best, cheaper, done))


def failures(records: Sequence[TrialRecord]) -> Failures:
    """Return the failed trials by reason."""
    found: dict[str, list[int]] = {}
    for record in records:
        if record.state == "failed":
            found.setdefault(str(record.reason), []).append(record.number)
    n = sum(map(len, found.values()))
    if not n:
        return Failures(by_reason={}, sentence="No trial failed.")
    order = sorted(found, key=lambda reason: -len(found[reason]))
    told = ", ".join(f"{len(found[reason])} {reason}" for reason in order)
    text = f"{n} of {len(records)} trials failed: {told}."
    return Failures(by_reason={reason: tuple(found[reason]) for reason in order}, sentence=text)


def spent_words(records: Sequence[TrialRecord]) -> str:
    """Return what the trials took together."""
    epochs = sum(record.epochs_spent for record in records)
    seconds = sum(record.seconds for record in records)
    return f"{epochs:,.0f} epochs, {duration(seconds)} of training"


def _front(points: Sequence[Priced], direction: str) -> list[Priced]:
    sign = 1.0 if direction == "maximize" else -1.0
    found: list[Priced] = []
    for point in sorted(points, key=lambda one: (one[0], -sign * one[1], one[2])):
        if not found or sign * point[1] > sign * found[-1][1]:
            found.append(point)
    return found


def _cheaper(
    done: Sequence[TrialRecord], best: TrialRecord | None, metric: str
) -> TrialRecord | None:
    if best is None or best.run is None:
        return None
    size = best.run.n_parameters
    near = [
        record
        for record in done
        if record.run is not None
        and record.run.n_parameters < size
        and within_noise(record, best, metric)
    ]
    return min(near, key=lambda r: (r.run.n_parameters if r.run else 0, r.number), default=None)


def _sentence(
    best: TrialRecord | None, cheaper: TrialRecord | None, done: Sequence[TrialRecord]
) -> str:
    if best is None or best.run is None:
        return "No trial is complete yet."
    text = f"The best network has {best.run.n_parameters:,} parameters"
    if best.run.latency_ms is not None:
        text += f" and takes {number(best.run.latency_ms)} ms a row"
    if cheaper is not None and cheaper.run is not None:
        times = best.run.n_parameters / max(cheaper.run.n_parameters, 1)
        return (
            f"{text}; trial {cheaper.number} is {times:.1f}× smaller "
            f"({cheaper.run.n_parameters:,}) and within its noise, {number(cheaper.value)}."
        )
    smaller = sum(1 for r in done if r.run and r.run.n_parameters < best.run.n_parameters)
    return f"{text}; {smaller} complete trials are smaller, none of them known to be as good."
