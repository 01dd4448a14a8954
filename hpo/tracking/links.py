"""Links into TensorBoard that show a few runs of very many; no TensorBoard is needed for them."""

from collections.abc import Sequence
from urllib.parse import quote

MOST_RUNS = 10
"""Browsers stand still near 250 runs laid over each other."""


def of_runs(trials: Sequence[int], *, tags: str = "") -> str:
    """Return the query that opens TensorBoard at some trials' runs alone; at all, where none is.

    >>> of_runs([3, 12], tags="val"), of_runs([])
    ('?smoothing=0&tagFilter=val&runFilter=t%280003%7C0012%29-', '?smoothing=0')

    Args:
        trials: their numbers, best first; more than `MOST_RUNS` are left out.
        tags: a pattern that the shown curves match.
    """
    query = "?smoothing=0" + (f"&tagFilter={quote(tags, safe='')}" if tags else "")
    if not trials:
        return query
    numbers = "|".join(f"{number:04d}" for number in trials[:MOST_RUNS])
    return f"{query}&runFilter={quote(f't({numbers})-', safe='')}"
