"""The leaderboard of studies: what each found, at an equal budget too, and what that cost."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any, Literal

from hpo.best import best_of, default_of
from hpo.compare.evidence import Evidence
from hpo.compare.sides import Side
from hpo.records import TrialRecord, ranked
from hpo.statistics import Interval
from hpo.words import counts

At = Literal["trials", "epochs", "seconds"]
COSTS = ("n_parameters", "latency_ms")


@dataclass(frozen=True, kw_only=True)
class Budget:
    """What every study may have spent where they are compared at an equal budget."""

    at: At
    amount: float
    """The smallest total of the studies."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """A trial that ended, and the best of the study so far."""

    spent: float
    best: float | None
    """None while no trial was complete."""
    trial: int | None


@dataclass(frozen=True, kw_only=True)
class Standing:
    """One study in the leaderboard."""

    study: str
    best: float | None
    """The best value that the search saw: of many, so it flatters."""
    trial: int | None
    """Of the best config, which fresh seeds may have changed."""
    default: float | None
    seeds: int
    """How many fresh seeds the best config was trained with."""
    mean: float | None
    """Over the fresh seeds."""
    sd: float | None
    ci95: tuple[float, float] | None
    at_budget: float | None
    """The best of the trials that ended within the equal budget."""
    at_budget_trial: int | None
    median: float | None
    """Of the complete trials."""
    trials: int
    complete: int
    pruned: int
    failed: int
    epochs: float
    seconds: float
    """Of training, added up over the trials."""
    n_parameters: int | None
    latency_ms: float | None

    def plain(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class Point:
    """A trial that no other of any study beats in value and cost at once."""

    study: str
    trial: int
    value: float
    cost: float


def equal_budget(sides: Sequence[Side], at: At) -> Budget:
    """Return the smallest total of the studies."""
    return Budget(at=at, amount=min(history(side, at)[-1].spent for side in sides))


def history(side: Side, at: At) -> list[Step]:
    """Return the best so far after every trial, in the order in which they ended."""
    spent, steps = 0.0, []
    best: TrialRecord | None = None
    for record in side.records:
        spent += _cost(record, at)
        if record.has_rank:
            best = record if best is None else ranked([best, record], side.direction)[0]
        value, number = (best.value, best.number) if best else (None, None)
        steps.append(Step(spent=spent, best=value, trial=number))
    return steps


def standings(
    sides: Sequence[Side], evidence: Sequence[Evidence], budget: Budget
) -> list[Standing]:
    """Return a line for each study, in the order given."""
    return [_standing(side, one, budget) for side, one in zip(sides, evidence, strict=True)]


def pareto(sides: Sequence[Side], cost: str) -> list[Point]:
    """Return the trials of all studies that none beats in both value and cost, cheapest first."""
    direction = sides[0].direction
    points = [
        Point(study=side.label, trial=record.number, value=record.value, cost=float(measured))
        for side in sides
        for record in side.records
        if record.has_rank and record.run is not None and record.value is not None
        if (measured := getattr(record.run, cost)) is not None
    ]
    sign = -1 if direction == "maximize" else 1
    front: list[Point] = []
    for point in sorted(points, key=lambda one: (one.cost, sign * one.value)):
        if not front or sign * point.value < sign * front[-1].value:
            front.append(point)
    return front


def _standing(side: Side, evidence: Evidence, budget: Budget) -> Standing:
    found, default = best_of(side.records, side.direction), default_of(side.records)
    best = side.best_trial
    reached = _within(side, budget)
    complete = [r.value for r in side.records if r.has_rank and r.value is not None]
    tally = counts(side.records)
    run = best.run if best else None
    interval = evidence.interval
    return Standing(
        study=side.label,
        best=found.value if found else None,
        trial=best.number if best else None,
        default=default.value if default else None,
        seeds=interval.n if interval else 0,
        mean=interval.mean if interval else None,
        sd=interval.sd if interval else None,
        ci95=_ends(interval),
        at_budget=reached.best if reached else None,
        at_budget_trial=reached.trial if reached else None,
        median=median(complete) if complete else None,
        trials=len(side.records),
        complete=tally["complete"],
        pruned=tally["pruned"],
        failed=tally["failed"],
        epochs=round(sum(record.epochs_spent for record in side.records), 4),
        seconds=round(sum(record.seconds for record in side.records), 3),
        n_parameters=run.n_parameters if run else None,
        latency_ms=run.latency_ms if run else None,
    )


def _ends(interval: Interval | None) -> tuple[float, float] | None:
    if interval is None or interval.low is None or interval.high is None:
        return None
    return interval.low, interval.high


def _within(side: Side, budget: Budget) -> Step | None:
    """Return the last step that lies within the budget."""
    within = [step for step in history(side, budget.at) if step.spent <= budget.amount * (1 + 1e-9)]
    return within[-1] if within else None


def _cost(record: TrialRecord, at: At) -> float:
    if at == "trials":
        return 1.0
    return record.epochs_spent if at == "epochs" else record.seconds
