"""The raw columns that a packaged model takes, in the order of its inputs; no torch."""

from collections.abc import Sequence
from dataclasses import dataclass

from lightning_modules.data.columns import CategoryColumn, DateColumn, NumericColumn
from lightning_modules.data.forecasting import WindowPreparation
from lightning_modules.data.prepare import Preparation
from lightning_modules.data.table_preparation import TablePreparation

MISSING, UNKNOWN = -1, -2
"""The codes of text that is missing, and of text that stands in no vocabulary."""


@dataclass(frozen=True, kw_only=True)
class RawColumns:
    """Names of the columns of numbers, text and dates; of a series, the predicted one is first.

    A text is coded by its place in the ``vocabularies`` of its column.
    """

    numbers: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()
    vocabularies: tuple[tuple[str, ...], ...] = ()
    moments: tuple[str, ...] = ()


def raw_columns(preparations: Sequence[Preparation]) -> RawColumns:
    """Return the columns of tables or series that were prepared in one way or several.

    What each knows of a column's text goes into one vocabulary. Other rows have no columns.

    Raises:
        ValueError: if they are not of the same columns.
    """
    tables = [table_of(one) for one in preparations]
    first = tables[0]
    if first is None:
        return RawColumns()
    kinds = {column.name: column.kind for column in first.columns}
    known: dict[str, dict[str, None]] = {}
    for table in tables:
        if table is None or {one.name: one.kind for one in table.columns} != kinds:
            raise ValueError("the members of an ensemble take different columns")
        for column in table.columns:
            if isinstance(column, CategoryColumn):
                known.setdefault(column.name, {}).update(dict.fromkeys(column.categories))
    target = [one.target for one in preparations[:1] if isinstance(one, WindowPreparation)]
    numbers = [one.name for one in first.columns if isinstance(one, NumericColumn)]
    texts = [one.name for one in first.columns if isinstance(one, CategoryColumn)]
    return RawColumns(
        numbers=(*target, *numbers),
        texts=tuple(texts),
        vocabularies=tuple(tuple(known[name]) for name in texts),
        moments=tuple(one.name for one in first.columns if isinstance(one, DateColumn)),
    )


def table_of(preparation: Preparation) -> TablePreparation | None:
    """Return the preparation of the columns of a table, or beside a series; None of other rows."""
    if isinstance(preparation, WindowPreparation):
        return preparation.others
    return preparation if isinstance(preparation, TablePreparation) else None
