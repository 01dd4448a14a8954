"""Which others are as good? The top trials with what can be told apart; winner or luck."""

from collections.abc import Sequence
from dataclasses import dataclass

from hpo.insight.noise import Span, span_of, within_noise
from hpo.records import TrialRecord, ranked
from hpo.seeds import SeedsRecord
from hpo.words import number

SHOWN = 10


@dataclass(frozen=True, kw_only=True)
class Contender:
    """A trial among the best."""

    rank: int
    record: TrialRecord
    span: Span | None
    """The 95 % interval of its value."""
    within_noise: bool | None
    """Whether it cannot be told from the best; None if the records do not say."""
    seeds: tuple[float, ...]
    """Its values on fresh seeds, if it was evaluated."""


@dataclass(frozen=True, kw_only=True)
class Top:
    """The best trials."""

    contenders: tuple[Contender, ...]
    n_alike: int | None
    """How many complete trials cannot be told from the best, itself included."""
    n_complete: int
    sentence: str


@dataclass(frozen=True, kw_only=True)
class Luck:
    """Whether the winner is real: its config and others trained again with fresh seeds."""

    record: SeedsRecord | None
    sentence: str


def top(
    records: Sequence[TrialRecord],
    direction: str,
    metric: str,
    *,
    best: TrialRecord | None,
    seeds: SeedsRecord | None = None,
) -> Top:
    """Return the best ten complete trials; the chosen one first, whatever its rank."""
    complete = ranked([record for record in records if record.has_rank], direction)
    if not complete or best is None:
        none = "No trial is complete yet."
        return Top(contenders=(), n_alike=None, n_complete=0, sentence=none)
    alike = [within_noise(record, best, metric) for record in complete]
    known = [one for one in alike if one is not None]
    contenders = [
        Contender(
            rank=rank,
            record=record,
            span=span_of(record, metric),
            within_noise=near,
            seeds=_seeds(seeds, record),
        )
        for rank, (record, near) in enumerate(zip(complete, alike, strict=True), start=1)
        if rank <= SHOWN or record.number == best.number
    ]
    return Top(
        contenders=tuple(contenders),
        n_alike=sum(known) if known else None,
        n_complete=len(complete),
        sentence=_sentence(complete, best, metric, sum(known) if known else None),
    )


def luck(seeds: SeedsRecord | None, direction: str) -> Luck:
    """Return what fresh seeds say of the winner."""
    if seeds is None:
        text = "Not known: each config was trained with one seed; fresh seeds tell."
        return Luck(record=None, sentence=text)
    chosen = seeds.config(seeds.chosen)
    parts = []
    words = seeded_words(seeds, seeds.chosen)
    if chosen is not None and words is not None:
        parts.append(f"Trial {chosen.trial} comes to {words}")
    gain = seeds.gain
    sign = 1.0 if direction == "maximize" else -1.0
    if gain is not None and gain.low is not None and gain.high is not None:
        low, high = sorted((sign * gain.low, sign * gain.high))
        better = "better than the default by" if low > 0 else "against the default"
        parts.append(f"{better} {sign * gain.mean:+.4g} [{low:+.4g}, {high:+.4g}], paired")
        parts.append("real, not luck" if low > 0 else "this may be luck")
    tested = seeds.gain_test
    if tested is not None and tested.low is not None and tested.high is not None:
        low, high = sorted((sign * tested.low, sign * tested.high))
        parts.append(f"on the test split {sign * tested.mean:+.4g} [{low:+.4g}, {high:+.4g}]")
    if seeds.optimism is not None:
        was = sign * seeds.optimism.mean
        told = "optimistic" if was > 0 else "pessimistic"
        parts.append(f"the search value was {abs(was):.2g} {told}" if was else "as the search said")
    return Luck(record=seeds, sentence="; ".join(parts) + "." if parts else "Every seed failed.")


def seeded_words(seeds: SeedsRecord, trial: int) -> str | None:
    """Return what a config is worth over seeds, with the interval; None if no seed has a value.

    Of the chosen one as the record has it, which allows for the choice.
    """
    config = seeds.config(trial)
    found = config.interval if config is not None else None
    if found is None:
        return None
    if trial == seeds.chosen and seeds.worth is not None:
        found = seeds.worth
    text = number(found.mean)
    if found.low is not None and found.high is not None:
        text += f" [{number(found.low)}, {number(found.high)}]"
    return f"{text} over {found.n} seed{'s' if found.n != 1 else ''}"


def _seeds(seeds: SeedsRecord | None, record: TrialRecord) -> tuple[float, ...]:
    config = seeds.config(record.number) if seeds is not None else None
    return tuple(config.values) if config is not None else ()


def _sentence(
    complete: Sequence[TrialRecord], best: TrialRecord, metric: str, alike: int | None
) -> str:
    n = len(complete)
    if n == 1:
        return f"Trial {best.number} is the only complete one."
    if alike is None:
        return (
            f"Trial {best.number} leads {n} complete trials with {number(best.value)}. How far one "
            f"seed's {metric} can be trusted is not known: fresh seeds would tell."
        )
    if alike <= 1:
        return f"None of the {n - 1} other complete trials is within the noise of the best."
    others = alike - 1
    return (
        f"{others} of the {n - 1} other complete trials cannot be told from the best on these "
        "validation rows: choose among them by size, speed or seeds."
    )
