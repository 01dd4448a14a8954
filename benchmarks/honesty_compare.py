"""Does `hpo compare` call equal configs different, and does it see a difference that there is?"""

import math
from collections.abc import Callable
from itertools import combinations
from typing import Any

import numpy as np

from benchmarks.honesty_noise import SEED, Noise, Row
from hpo.best import wilson
from hpo.compare.evidence import Evidence
from hpo.compare.verdict import adjusted, weigh

PAIRS = 10_000
N_ROWS = 30
"""Of a validation split so small that a value has few steps."""
Pairs = tuple[Any, Any]


def compare_part(noise: Noise) -> list[Row]:
    """Return how often `hpo compare` names a winner: of equal configs, and of different ones."""
    random = np.random.default_rng([SEED, 7])
    normal = _drawn_from(lambda n: random.normal(0.0, noise.within, n))
    real = _drawn_from(lambda n: random.choice(noise.residuals, n))
    coarse = _drawn_from(lambda n: random.binomial(N_ROWS, 0.95, n) / N_ROWS)
    wild = _drawn_from(lambda n: random.normal(0.0, 3 * noise.within, n))
    equal = {
        "5 paired seeds": lambda: (normal(5), normal(5)),
        "3 paired seeds": lambda: (normal(3), normal(3)),
        "10 paired seeds": lambda: (normal(10), normal(10)),
        "5 paired seeds, residuals of the real runs": lambda: (real(5), real(5)),
        f"5 paired seeds, accuracies of {N_ROWS} rows": lambda: (coarse(5), coarse(5)),
        f"3 paired seeds, accuracies of {N_ROWS} rows": lambda: (coarse(3), coarse(3)),
        "5 seeds each, not the same ones": lambda: (normal(5), normal(5, first=50)),
        "3 and 10 seeds, one three times as noisy": lambda: (wild(3), normal(10, first=50)),
        "5 seeds each, one three times as noisy": lambda: (wild(5), normal(5, first=50)),
        "one of them chosen among 4 by its 5 seeds": lambda: (_chosen(normal, 4), normal(5)),
        "5 folds, each trained on the others' rows": lambda: (_folds(random, noise), _no_folds()),
    }
    rows = [_calls(f"equal configs, {name}", draw) for name, draw in equal.items()]
    rows.append(_any_of_four(normal))
    return rows + [_power(noise, normal, sds, n) for n in (5, 10) for sds in (1.0, 2.0, 3.0)]


def _drawn_from(draw: Callable[[int], Any]) -> Callable[..., Evidence]:
    def values(n: int, *, first: int = 0, shift: float = 0.0, candidates: int = 1) -> Evidence:
        drawn = {first + i: 0.9 + shift + float(x) for i, x in enumerate(draw(n))}
        return _evidence(drawn, candidates=candidates)

    return values


def _evidence(by_seed: dict[int, float], *, folds: Any = (), candidates: int = 1) -> Evidence:
    return Evidence(
        label="",
        direction="maximize",
        trial=0,
        config="",
        search_value=None,
        by_seed=by_seed,
        failed=0,
        folds=[float(value) for value in folds],
        candidates=candidates,
        stale=None,
        n_rows=None,
    )


def _chosen(draw: Callable[..., Evidence], n: int) -> Evidence:
    several = [draw(5, candidates=n) for _ in range(n)]
    return max(several, key=lambda one: sum(one.by_seed.values()))


def _folds(random: np.random.Generator, noise: Noise) -> Evidence:
    """Return differences over 5 folds, correlated as Nadeau and Bengio (2003) take them to be."""
    shared = math.sqrt(0.2) * random.normal(0.0, noise.within)
    return _evidence({}, folds=shared + math.sqrt(0.8) * random.normal(0.0, noise.within, 5))


def _no_folds() -> Evidence:
    return _evidence({}, folds=[0.0] * 5)


def _calls(what: str, draw: Callable[[], Pairs]) -> Row:
    told = sum(weigh(*draw()).told for _ in range(PAIRS))
    return _called(what, told)


def _any_of_four(draw: Callable[..., Evidence]) -> Row:
    told = 0
    for _ in range(PAIRS // 5):
        four = [draw(5) for _ in range(4)]
        found = adjusted([weigh(a, b) for a, b in combinations(four, 2)])
        told += any(one.told for one in found)
    return _called("equal configs, any of the 6 pairs of 4 studies", told, PAIRS // 5)


def _called(what: str, told: int, of: int = PAIRS) -> Row:
    low, high = wilson(told / of, of)
    return Row(
        what=f"a winner is named: {what}",
        wanted="5 % or less within",
        found=f"{told / of:.1%} [{low:.1%}, {high:.1%}] of {of:,}",
        holds=low <= 0.05,
    )


def _power(noise: Noise, draw: Callable[..., Evidence], sds: float, n: int) -> Row:
    shift = sds * noise.within
    found = [weigh(draw(n, shift=shift), draw(n)) for _ in range(PAIRS // 5)]
    right = sum(one.told and (one.difference or 0.0) > 0 for one in found)
    wrong = sum(one.told and (one.difference or 0.0) < 0 for one in found)
    what = f"the better of two is named, better by {shift:.4f} ({sds:g} sd), {n} paired seeds"
    return Row(
        what=what,
        wanted="the power",
        found=f"{right / len(found):.0%}; the other one: {wrong / len(found):.1%}",
        holds=wrong / len(found) <= 0.025,
    )
