"""How long model files take for their answers, measured turn by turn on one thread."""

import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from hpo.compress.outcome import Latency
from lightning_modules.data.frames import Array

Feeds = Mapping[str, Array]
CALLS = 300
"""Of each form, counted after the warm-up."""
WARM_UP = 20
FEWEST = 20
LONGEST_S = 10.0
"""So long the calls of one number of rows may take, all forms together; slow ones are called less
often, but `FEWEST` times."""


def latencies(
    calls: Sequence[Callable[[], object]], *, clock: Callable[[], float] = time.perf_counter
) -> list[Latency]:
    """Return how long each of several calls takes: they take turns, so that all see one machine.

    Args:
        calls: what is timed.
        clock: seconds.
    """
    if not calls:
        return []
    began = clock()
    for _ in range(WARM_UP):
        for call in calls:
            call()
    once = max((clock() - began) / WARM_UP, 1e-9)
    n_calls = max(min(CALLS, int(LONGEST_S / once)), FEWEST)
    taken = np.empty((len(calls), n_calls))
    for turn in range(n_calls):
        for i, call in enumerate(calls):
            start = clock()
            call()
            taken[i, turn] = clock() - start
    p50, p99 = np.quantile(taken * 1e3, [0.5, 0.99], axis=1)
    return [
        Latency(p50_ms=float(half), p99_ms=float(most), calls=n_calls)
        for half, most in zip(p50, p99, strict=True)
    ]


def rows_of(feeds: Feeds, n_rows: int) -> dict[str, Array]:
    """Return that many rows, from the first on; where there are fewer they come again."""
    return {name: values[np.arange(n_rows) % len(values)] for name, values in feeds.items()}
