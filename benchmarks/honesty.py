"""Are intervals, verdicts and importances what they say? Simulated studies whose truth is known.

python -m benchmarks.honesty [--write] [--only evaluate]
python -m benchmarks.honesty --measure FOLDER   after hpo evaluate --top 3 --seeds 5 --test

The noise of the simulated studies is that of a real one: ``--measure`` takes it from the runs that
``hpo evaluate`` left, and writes it to results/reference/honesty-noise.json. Everything that is
judged here is computed by the functions that the commands call.
"""

import argparse
import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.honesty_evaluate import evaluate_part
from benchmarks.honesty_noise import (
    NOISE_FILE,
    REFERENCE,
    SEED,
    Noise,
    Part,
    Row,
    measure,
    read_noise,
)
from hpo.best import wilson
from hpo.compare.evidence import Evidence
from hpo.compare.verdict import adjusted, weigh

TABLE = REFERENCE / "honesty.md"


# --- hpo compare: does it call equal configs different, does it see a difference? ---

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
    return Row(
        what=f"a winner is named: {what}",
        wanted="5 % or less",
        found=f"{told / of:.1%} of {of:,}",
        holds=wilson(told / of, of)[0] <= 0.05,
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


# --- the table ---

PARTS: dict[str, tuple[str, Part]] = {
    "evaluate": ("hpo evaluate --top 3 --seeds N", evaluate_part),
    "compare": ("hpo compare A B", compare_part),
}


def table(noise: Noise, found: dict[str, list[Row]], seconds: float) -> str:
    """Return the reference table."""
    lines = [
        "# Honesty, measured",
        "",
        "`python -m benchmarks.honesty --write`, simulated studies whose truth is known,",
        f"{seconds:.0f} s on one core. The functions judged are those that the commands call.",
        "",
        f"The noise is that of {noise.study} ({noise.metric}, {noise.runs} runs with fresh seeds,",
        "taken by `--measure` from what `hpo evaluate` left): sd over seeds "
        f"{noise.within:.4f}, sd between",
        f"complete trials {noise.between:.4f}, best minus default {noise.gap:.4f}.",
    ]
    for name, rows in found.items():
        lines += [
            "",
            f"## {PARTS[name][0]}",
            "",
            "| what | wanted | found | |",
            "|---|---|---|---|",
        ]
        for row in rows:
            mark = "holds" if row.holds else "**does not hold**"
            lines.append(f"| {row.what} | {row.wanted} | {row.found} | {mark} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure, or simulate."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--measure", type=Path, metavar="STUDY_FOLDER")
    parser.add_argument("--only", choices=list(PARTS), action="append")
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    if given.measure is not None:
        noise = measure(given.measure)
        NOISE_FILE.write_text(json.dumps(asdict(noise), indent=1) + "\n", encoding="utf-8")
        print(NOISE_FILE)
        return
    noise, began = read_noise(), time.process_time()
    found = {name: PARTS[name][1](noise) for name in given.only or PARTS}
    text = table(noise, found, time.process_time() - began)
    print(text)
    if given.write:
        TABLE.write_text(text, encoding="utf-8")
    if not all(row.holds for rows in found.values() for row in rows):
        raise SystemExit(4)


if __name__ == "__main__":
    main()
