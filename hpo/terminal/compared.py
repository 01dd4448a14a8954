"""The answer of `hpo compare` as lines; no torch, no Optuna."""

from collections.abc import Sequence

from rich.cells import cell_len

from hpo.compare.answers import SEARCHES, may_words
from hpo.compare.comparison import Comparison, Verdict
from hpo.compare.tables import Table, costs_table, front_tables, settings_table, values_table
from hpo.words import short

WIDEST = 40
"""A cell, in characters."""


def compared_lines(
    comparison: Comparison, *, environment: bool = False, fronts: bool = False
) -> list[str]:
    """Return everything that a comparison says."""
    labels = comparison.labels
    lines = comparable_lines(comparison)
    if comparison.settings:
        found = settings_table("What differs in the study files?", comparison.settings, labels)
        lines += ["", *table_lines(found)]
    if environment:
        title = "What differs in the environments?" if comparison.packages else "Equal environments"
        lines += ["", *table_lines(settings_table(title, comparison.packages, labels))]
    lines += ["", *table_lines(values_table(comparison))]
    lines += ["", *table_lines(costs_table(comparison))]
    if fronts:
        lines += [line for table in front_tables(comparison) for line in ("", *table_lines(table))]
    lines += ["", "Which is better?", *_verdict_lines(comparison.verdicts)]
    if comparison.others:
        lines += [f"on the {comparison.others[0].split} split:"]
        lines += _verdict_lines(comparison.others)
    if any(one.outcome in ("better", "not distinguishable") for one in comparison.verdicts):
        lines += ["", SEARCHES]
    return lines


def comparable_lines(comparison: Comparison) -> list[str]:
    """Return whether the studies may be compared, and every difference with what it means."""
    lines = [may_words(comparison), *comparison.copies]
    for one in comparison.differences:
        values = "   ".join(f"{label}: {value}" for label, value in one.values.items())
        lines += [f"  not the same {one.what}:   {_printable(values)}", f"    {one.says}"]
    return lines


def table_lines(table: Table) -> list[str]:
    """Return a table in columns, without what moves a terminal's cursor."""
    cells = [
        [short(_printable(cell), WIDEST) for cell in row] for row in (table.headings, *table.rows)
    ]
    if not table.rows:
        return [table.title]
    widths = [max(cell_len(row[i]) for row in cells) for i in range(len(table.headings))]
    return [table.title, *(_line(row, widths, right=table.numbers) for row in cells)]


def _line(row: Sequence[str], widths: Sequence[int], *, right: bool) -> str:
    parts = []
    for i, (cell, width) in enumerate(zip(row, widths, strict=True)):
        room = " " * (width - cell_len(cell))
        parts.append(room + cell if right and i else cell + room)
    return ("  " + "  ".join(parts)).rstrip()


def _verdict_lines(verdicts: Sequence[Verdict]) -> list[str]:
    lines = []
    for one in verdicts:
        lines += [f"  {_printable(one.sentence)}", *(f"    {text}" for text in one.remarks)]
    return lines


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else "�" for c in text)
