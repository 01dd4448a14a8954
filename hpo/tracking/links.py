"""Links into TensorBoard that show a few runs of very many; no TensorBoard is needed for them."""

from collections.abc import Sequence
from urllib.parse import quote

from hpo.records import TrialRecord, ranked

MOST_RUNS = 10
"""Browsers stand still near 250 runs laid over each other."""


def top_runs(
    records: Sequence[TrialRecord],
    direction: str,
    *,
    study: str | None = None,
    tags: str = "val",
    most: int = MOST_RUNS,
) -> str:
    """Return a path and fragment that open TensorBoard at the curves of the best trials alone.

    >>> top_runs([], "maximize")
    '?tagFilter=val&smoothing=0#timeseries'

    Args:
        records: of a study.
        direction: ``maximize`` or ``minimize``.
        study: its name, where TensorBoard shows several studies, each under its name.
        tags: a pattern that the shown curves match.
        most: how many trials.
    """
    complete = [record for record in records if record.has_rank]
    numbers = [f"{record.number:04d}" for record in ranked(complete, direction)[:most]]
    shown = f"tagFilter={quote(tags)}&smoothing=0#timeseries"
    if not numbers:
        return f"?{shown}"
    before = "" if study is None else f"^{_escaped(study)}/"
    pattern = f"{before}t({'|'.join(numbers)})-"
    return f"?runFilter={quote(pattern, safe='')}&{shown}"


def _escaped(text: str) -> str:
    """Return text as a pattern that matches it alone."""
    return "".join(f"\\{one}" if one in r"\.^$*+?{}[]|()/" else one for one in text)
