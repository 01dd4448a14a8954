"""Verdicts in words: the difference, its interval, what it rests on, and what would prove it."""

import shlex
from collections.abc import Sequence

from hpo.compare.evidence import Evidence
from hpo.compare.verdict import Weighed, rows_interval, seeds_needed

MOST_SEEDS = 200
"""More than this nobody trains: then the difference is too small to matter."""
FIRST_SEEDS = 5
NOTABLE = 1.05
"""The ratio of two costs from which it is worth a word."""


def signed(value: float) -> str:
    """Return a difference with its sign, and four digits behind the point or in front of it.

    >>> signed(0.00421), signed(-123.456), signed(0.0)
    ('+0.0042', '-123.5', '+0.0000')
    """
    if value and abs(value) < 1e-3:
        return f"{value:+.2g}"
    return f"{value:+.4f}" if abs(value) < 10 else f"{value:+.4g}"


def difference_words(a: Evidence, b: Evidence, found: Weighed) -> str:
    """Return ``A - B = +0.0042 [-0.0011, +0.0095] over 5 paired seeds, p = 0.092``."""
    if found.difference is None:
        missing = [one.label for one in (a, b) if one.level is None]
        where = " on the test split" if a.split == "test" else ""
        return f"{' and '.join(missing)}: no value{where} yet"
    text = f"{a.label} – {b.label} = {signed(found.difference)}"
    if found.low is None or found.high is None:
        return text
    text += f" [{signed(found.low)}, {signed(found.high)}] over {_basis_words(a, b, found)}"
    if found.p is None:
        return text
    several = f" (of {found.tests} tests, Holm)" if found.tests > 1 else ""
    return f"{text}, p {_p(found.p)}{several}"


def cost_words(
    labels: Sequence[str], sizes: Sequence[int | None], times: Sequence[float | None]
) -> list[str]:
    """Return which of two networks is smaller, and which is faster.

    >>> cost_words(["A", "B"], [310, 100], [0.4, 0.1]), cost_words(["A", "B"], [100, 102], [1, 2])
    (['B is 3.1× smaller and 4.0× faster'], ['A is 2.0× faster'])
    """
    found: dict[str, list[str]] = {}
    for values, word in ((sizes, "smaller"), (times, "faster")):
        first, second = values
        ratio = max(first, second) / min(first, second) if first and second else 1.0
        if first and second and ratio >= NOTABLE:
            label = labels[0 if first < second else 1]
            found.setdefault(label, []).append(f"{_times(ratio)}× {word}")
    return [f"{label} is {' and '.join(words)}" for label, words in found.items()]


def remarks(a: Evidence, b: Evidence, found: Weighed) -> list[str]:
    """Return what to bear in mind about a verdict, one sentence each."""
    said = []
    if found.difference and not found.told and found.low is not None and found.high is not None:
        said.append(_open_words(found, found.low, found.high))
    if found.basis == "folds":
        said.append(
            "these folds also chose the configs, so both values flatter; fresh seeds do not"
        )
    if found.basis == "nothing" and found.difference is not None:
        said.append(
            "one training each"
            + (", the luckiest of its search" if a.split == "validation" else "")
            + ": whether the configs differ cannot be said; with several seeds it can"
        )
    for one in (a, b):
        said += own_remarks(one)
    return [*said, *_rows_remark(a, b, found)]


def proof(sides: Sequence[Evidence], found: Weighed, names: Sequence[str]) -> list[str]:
    """Return the commands that would tell the two apart, or show that they are alike."""
    if found.told or found.same or any(one.trial is None for one in sides):
        return []
    test = sides[0].split == "test"
    if found.basis in ("nothing", "folds"):
        pairs = zip(names, sides, strict=True)
        lacking = [name for name, one in pairs if len(one.by_seed) < 2]
        return [evaluate_command(name, FIRST_SEEDS, test=test) for name in lacking or names]
    needed = seeds_needed(found)
    if needed is None:
        needed = found.n + 1 if found.sd == 0 else FIRST_SEEDS
    if needed > MOST_SEEDS:
        return []
    return [evaluate_command(name, max(needed, found.n + 1), test=test) for name in names]


def evaluate_command(name: str, seeds: int, *, test: bool = False) -> str:
    """Return the command that trains a study's best config with fresh seeds."""
    return f"hpo evaluate {shlex.quote(name)} --seeds {seeds}" + (" --test" if test else "")


def _basis_words(a: Evidence, b: Evidence, found: Weighed) -> str:
    """Return what an interval rests on."""
    if found.basis == "paired seeds":
        return f"{found.n} paired seeds"
    if found.basis == "folds":
        return f"{found.n} folds, one seed (corrected for their overlap)"
    counts = len(a.by_seed), len(b.by_seed)
    each = (
        f"{counts[0]} seeds each"
        if counts[0] == counts[1]
        else f"{counts[0]} and {counts[1]} seeds"
    )
    return f"{each}, not the same ones"


def _open_words(found: Weighed, low: float, high: float) -> str:
    if found.sd == 0:
        return (
            f"all {found.n} pairs differ by the same: so few equal ones may be chance; "
            "one seed more decides it"
        )
    text = f"a difference of more than {max(abs(low), abs(high)):.2g} is ruled out"
    needed = seeds_needed(found)
    if needed is None or needed > MOST_SEEDS:
        return f"{text}; one as small as this would need more than {MOST_SEEDS} seeds"
    return f"{text}; if it is as large as it looks, {needed} seeds show it four times out of five"


def own_remarks(one: Evidence) -> list[str]:
    """Return what to bear in mind about one study's values."""
    said = []
    if one.failed:
        many = len(one.by_seed) + one.failed
        said.append(f"{one.label} failed with {one.failed} of {many} seeds, which are left out")
    if one.stale is not None:
        said.append(
            f"the seeds of {one.label} are of trial {one.stale}; its search has found trial "
            f"{one.trial} since"
        )
    if one.candidates > 2 and one.by_seed:
        said.append(
            f"these seeds chose the config of {one.label} among {one.candidates}: where it is "
            "ahead, interval and p allow for that"
        )
    return said


def _rows_remark(a: Evidence, b: Evidence, found: Weighed) -> list[str]:
    """Say what the rows alone leave open; other rows would give other values."""
    if not a.n_rows or a.n_rows != b.n_rows or a.level is None or b.level is None or found.same:
        return []
    if not (0 <= a.level <= 1 and 0 <= b.level <= 1):
        return []
    low, high = rows_interval((a.level, a.n_rows), (b.level, a.n_rows))
    text = f"rows: on {a.n_rows:,} others it may be anything in [{signed(low)}, {signed(high)}]"
    around = found.told and low <= 0 <= high
    return [text + (", so others may turn it around" if around else "") + " (95 %, at most)"]


def _p(p: float) -> str:
    return "< 0.0001" if p < 1e-4 else f"= {p:.2g}"


def _times(ratio: float) -> str:
    return f"{ratio:.1f}" if ratio < 10 else f"{ratio:,.0f}"
