"""compare: several studies in, a Comparison out; everything is read from their records."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Literal

from hpo.compare.checks import Difference, blocked, find_differences, same_trials
from hpo.compare.evidence import Evidence, Split, evidence_of
from hpo.compare.settings import Setting, differing_packages, differing_settings, machine
from hpo.compare.sides import Side, read_sides
from hpo.compare.standing import (
    COSTS,
    At,
    Budget,
    Point,
    Standing,
    equal_budget,
    pareto,
    standings,
)
from hpo.compare.verdict import Weighed, adjusted, weigh
from hpo.compare.words import cost_words, difference_words, own_remarks, proof, remarks
from hpo.layout import StudyFolder

Outcome = Literal["better", "not distinguishable", "same", "unknown", "not comparable"]


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What is known of two studies' best configs against each other."""

    a: str
    b: str
    split: Split
    outcome: Outcome
    better: str | None
    """The study whose config is better, where that is told."""
    weighed: Weighed
    sentence: str
    remarks: Sequence[str]
    proof: Sequence[str]
    """The commands that would tell more."""

    def plain(self) -> dict[str, Any]:
        """Return plain values."""
        found = self.weighed
        return {
            "a": self.a,
            "b": self.b,
            "split": self.split,
            "outcome": self.outcome,
            "better": self.better,
            "basis": found.basis,
            "difference": found.difference,
            "ci95": None if found.low is None else [found.low, found.high],
            "p": found.p,
            "n": found.n,
            "sentence": self.sentence,
            "remarks": list(self.remarks),
            "proof": list(self.proof),
        }


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Everything that is said of several studies."""

    sides: Sequence[Side]
    differences: Sequence[Difference]
    """What they have not in common; empty if nothing stands against comparing them."""
    copies: Sequence[str]
    """Which folders hold the same trials, in words."""
    settings: Sequence[Setting]
    packages: Sequence[Setting]
    budget: Budget
    standings: Sequence[Standing]
    """In the order given."""
    verdicts: Sequence[Verdict]
    """Of every two, on the split asked for."""
    others: Sequence[Verdict]
    """On the other split, where both studies have values of it."""

    @property
    def labels(self) -> list[str]:
        """The studies, in the order given."""
        return [side.label for side in self.sides]

    @property
    def refused(self) -> list[Difference]:
        """What --strict does not let pass."""
        return [difference for difference in self.differences if difference.level != "notes"]

    @property
    def comparable(self) -> bool:
        """Whether a verdict can be given on every two of the studies."""
        return all(difference.level != "blocks" for difference in self.differences)

    @property
    def fronts(self) -> Mapping[str, list[Point]]:
        """The trials that none beats in value and cost, by cost; empty without a common value."""
        if not self.comparable:
            return {}
        return {cost: front for cost in COSTS if (front := pareto(self.sides, cost))}

    def ranked(self) -> list[Standing]:
        """Return the leaderboard, best first; in the order given if values cannot be compared."""
        if not self.comparable:
            return list(self.standings)
        seeded = all(one.mean is not None for one in self.standings if one.best is not None)
        sign = -1 if self.sides[0].direction == "maximize" else 1

        def key(one: Standing) -> tuple[bool, float]:
            value = one.mean if seeded else one.best
            return (value is None, sign * (value or 0.0))

        return sorted(self.standings, key=key)

    def worse(self, label: str) -> list[Verdict]:
        """Return the verdicts that find a study worse than another."""
        return [
            one
            for one in self.verdicts
            if label in (one.a, one.b) and one.better not in (None, label)
        ]

    def plain(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        return {
            "studies": self.labels,
            "metric": [side.metric for side in self.sides],
            "direction": [side.direction for side in self.sides],
            "comparable": self.comparable,
            "differences": [difference.plain() for difference in self.differences],
            "copies": list(self.copies),
            "settings": {one.path: dict(one.values) for one in self.settings},
            "packages": {one.path: dict(one.values) for one in self.packages},
            "budget": {"at": self.budget.at, "amount": self.budget.amount},
            "leaderboard": [one.plain() for one in self.ranked()],
            "verdicts": [one.plain() for one in (*self.verdicts, *self.others)],
            "pareto": {
                cost: [vars(point) for point in front] for cost, front in self.fronts.items()
            },
        }


def compare(
    folders: Sequence[StudyFolder], *, at: At = "trials", on: Split = "validation"
) -> Comparison:
    """Compare studies by their records.

    Args:
        folders: two or more.
        at: in what an equal budget is counted.
        on: the split whose values decide.

    Raises:
        UsageError: see `read_sides`.
        StudyError: see `read_sides`.
    """
    sides = read_sides(folders)
    differences = find_differences(sides)
    budget = equal_budget(sides, at)
    evidence = [evidence_of(side, on) for side in sides]
    other: Split = "test" if on == "validation" else "validation"
    elsewhere = _verdicts(sides, [evidence_of(side, other) for side in sides], differences, other)
    return Comparison(
        sides=sides,
        differences=differences,
        copies=_copies(sides),
        settings=differing_settings(sides),
        packages=differing_packages(sides),
        budget=budget,
        standings=standings(sides, evidence, budget),
        verdicts=_verdicts(sides, evidence, differences, on),
        others=[one for one in elsewhere if one.weighed.basis != "nothing"],
    )


def _verdicts(
    sides: Sequence[Side],
    evidence: Sequence[Evidence],
    differences: Sequence[Difference],
    split: Split,
) -> list[Verdict]:
    """Return the verdict on every two studies; p is adjusted for how many they are."""
    pairs = list(combinations(range(len(sides)), 2))
    barred = [blocked(differences, sides[i].label, sides[j].label) for i, j in pairs]
    found = [
        Weighed(basis="nothing", difference=None) if bars else weigh(evidence[i], evidence[j])
        for (i, j), bars in zip(pairs, barred, strict=True)
    ]
    return [
        _refused(sides[i], sides[j], split, bars)
        if bars
        else _verdict((sides[i], sides[j]), (evidence[i], evidence[j]), one, split)
        for (i, j), bars, one in zip(pairs, barred, adjusted(found), strict=True)
    ]


def _refused(a: Side, b: Side, split: Split, bars: Sequence[Difference]) -> Verdict:
    names = " and ".join(one.what for one in bars)
    what = f"{a.label} and {b.label} have not the same {names}: {bars[0].says}"
    return Verdict(
        a=a.label,
        b=b.label,
        split=split,
        outcome="not comparable",
        better=None,
        weighed=Weighed(basis="nothing", difference=None),
        sentence=what,
        remarks=(),
        proof=(),
    )


def _verdict(
    sides: tuple[Side, Side], evidence: tuple[Evidence, Evidence], found: Weighed, split: Split
) -> Verdict:
    a, b = evidence
    outcome, better = _outcome(sides, evidence, found)
    text = difference_words(a, b, found)
    match outcome:
        case "better":
            text += f": {better} is better"
        case "not distinguishable":
            text += ": not distinguishable"
        case "same":
            text = f"{a.label} and {b.label}: the same values, nothing tells them apart"
        case "unknown":
            text += "" if found.difference is None else ", one seed each: cannot be told"
    return Verdict(
        a=a.label,
        b=b.label,
        split=split,
        outcome=outcome,
        better=better,
        weighed=found,
        sentence="; ".join([text, *_cost_words(sides)]),
        remarks=own_remarks(a) + own_remarks(b) if outcome == "same" else remarks(a, b, found),
        proof=[] if outcome == "same" else proof([a, b], found, [side.given for side in sides]),
    )


def _cost_words(sides: tuple[Side, Side]) -> list[str]:
    """Return which network is smaller, and which is faster if the same machine measured both."""
    labels = [side.label for side in sides]
    runs = [side.best_trial.run if side.best_trial else None for side in sides]
    sizes = [None if run is None else run.n_parameters for run in runs]
    times = [None if run is None else run.latency_ms for run in runs]
    same = machine(sides[0]) == machine(sides[1])
    return cost_words(labels, sizes, times if same else (None, None))


def _outcome(
    sides: tuple[Side, Side], evidence: tuple[Evidence, Evidence], found: Weighed
) -> tuple[Outcome, str | None]:
    a, b = evidence
    if found.difference is None:
        return "unknown", None
    if found.same or (found.difference == 0 and a.config == b.config):
        return "same", None
    if found.basis == "nothing":
        return "unknown", None
    if not found.told:
        return "not distinguishable", None
    first = (found.difference > 0) == (sides[0].direction == "maximize")
    return "better", (a if first else b).label


def _copies(sides: Sequence[Side]) -> list[str]:
    said = []
    for a, b in combinations(sides, 2):
        shared = same_trials(a, b)
        if shared is not None:
            of = f"{shared} of {max(len(a.records), len(b.records))} trials"
            which = "their trials" if shared == len(a.records) == len(b.records) else of
            said.append(f"{a.label} and {b.label} are copies of one study: {which} are the same")
    return said
