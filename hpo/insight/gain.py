"""Was tuning worth it, and should the search go on? The best so far against the epochs spent."""

from collections.abc import Sequence
from dataclasses import dataclass

from hpo.best import default_of
from hpo.insight.noise import Span, difference
from hpo.records import TrialRecord
from hpo.seeds import SeedsRecord
from hpo.words import number

IDLE = 0.4
"""The last share of the budget without a gain from which on more of the same is no use."""
FEWEST = 8
"""Trials before which nothing is said about what more would bring."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """A trial that became the best one."""

    epochs: float
    """Spent by all trials until it had ended."""
    trial: int
    value: float


@dataclass(frozen=True, kw_only=True)
class Gain:
    """What the search gained over the default config, and when."""

    steps: tuple[Step, ...]
    ends: tuple[tuple[float, float, int], ...]
    """Epochs spent, value and number of every complete trial."""
    epochs: float
    """Spent in all."""
    default: float | None
    best: float | None
    trial: int | None
    gained: float | None
    """By how much the best is better than the default: over seeds if they are known."""
    against: float | None
    """The default's value that this is told against: its mean over seeds if they are known."""
    span: Span | None
    """The 95 % interval of the gain."""
    basis: str
    """What the interval rests on, in words; or why there is none."""
    idle: float | None
    """The last share of the epochs in which nothing was gained."""
    second_half: float | None
    """What the second half of the epochs gained over the first."""
    sentence: str


def gain(
    records: Sequence[TrialRecord],
    direction: str,
    metric: str,
    *,
    best: TrialRecord | None = None,
    seeds: SeedsRecord | None = None,
) -> Gain:
    """Return what the search gained; ``best`` where another trial than the first was chosen."""
    sign = 1.0 if direction == "maximize" else -1.0
    steps, ends, spent = _steps(records, sign)
    default = default_of(records)
    base = default.value if default is not None else None
    value = best.value if best is not None else (steps[-1].value if steps else None)
    trial = best.number if best is not None else (steps[-1].trial if steps else None)
    gained = None if value is None or base is None else sign * (value - base)
    span, basis = _span(records, metric, sign, trial, seeds)
    seeded = seeds.gain if seeds is not None and seeds.chosen == trial else None
    against = base
    if seeds is not None and seeded is not None and base is not None:
        gained = sign * seeded.mean
        over = seeds.default.interval if seeds.default else None
        against = over.mean if over else base
    half = [step.value for step in steps if step.epochs <= spent / 2]
    return Gain(
        steps=tuple(steps),
        ends=tuple(ends),
        epochs=spent,
        default=base,
        best=value,
        trial=trial,
        gained=gained,
        against=against,
        span=span,
        basis=basis,
        idle=1 - steps[-1].epochs / spent if steps and spent else None,
        second_half=sign * (steps[-1].value - half[-1]) if half and spent else None,
        sentence=_sentence(steps, spent, (metric, trial, value), base, len(records)),
    )


def _steps(
    records: Sequence[TrialRecord], sign: float
) -> tuple[list[Step], list[tuple[float, float, int]], float]:
    spent, best = 0.0, float("-inf")
    steps, ends = [], []
    for record in sorted(records, key=lambda r: (r.ended_utc, r.number)):
        spent += record.epochs_spent
        if not record.has_rank or record.value is None:
            continue
        ends.append((spent, record.value, record.number))
        if sign * record.value > best:
            best = sign * record.value
            steps.append(Step(epochs=spent, trial=record.number, value=record.value))
    return steps, ends, spent


def _span(
    records: Sequence[TrialRecord],
    metric: str,
    sign: float,
    trial: int | None,
    seeds: SeedsRecord | None,
) -> tuple[Span | None, str]:
    default = default_of(records)
    if default is None or default.value is None or trial is None:
        return None, "the default config has no value"
    if trial == default.number:
        return None, "the default config is the best"
    if seeds is not None and seeds.chosen == trial and seeds.gain is not None:
        found = seeds.gain
        if found.low is not None and found.high is not None:
            # the record's gain is chosen minus default; here better is more
            low, high = sorted((sign * found.low, sign * found.high))
            return Span(low=low, high=high), f"{found.n} paired seeds, validation"
    best = next((r for r in records if r.number == trial), None)
    span = difference(best, default, metric) if best is not None else None
    if span is None:
        return None, "one seed: hpo evaluate --seeds 5 gives an interval"
    low, high = sorted((sign * span.low, sign * span.high))
    folds = best is not None and best.run is not None and best.run.folds is not None
    basis = "paired over the folds" if folds else "the rows of one validation split, one seed"
    return Span(low=low, high=high), basis


def _sentence(
    steps: Sequence[Step],
    spent: float,
    best: tuple[str, int | None, float | None],
    default: float | None,
    n: int,
) -> str:
    metric, trial, value = best
    if not steps:
        return "No trial is complete yet, so there is nothing to compare."
    last = steps[-1]
    text = f"The best {metric} is {number(value)} (trial {trial})"
    if default is not None:
        if value == default:
            text += ", and nothing is better than the default config"
        else:
            text += f"; the default config has {number(default)}"
    idle = 1 - last.epochs / spent if spent else 0.0
    if n < FEWEST:
        return f"{text}. {n} trial{'s' if n != 1 else ''}: too few to say what more would bring."
    if not spent:  # of an imported study
        return f"{text}. How many epochs its trials were trained for is not known."
    if idle >= IDLE:
        return f"{text}. No gain in the last {idle:.0%} of the {spent:,.0f} epochs spent."
    return (
        f"{text}. The last gain came when {last.epochs / spent:.0%} of the {spent:,.0f} epochs "
        "were spent: a longer search may still gain."
    )
