"""Write tables piece by piece: CSV, JSON lines, Parquet."""

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import pandas as pd

from hpo.extras import require
from hpo.predict.pieces import Column
from hpo.predict.table import Columns, texts_in
from lightning_modules.cells import safe_cell

_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]*)?([eE][+-]?[0-9]+)?")
_PLAIN = re.compile(r"[A-Za-z0-9_. ]*")
_QUOTED = re.compile(r'[",\r\n]')


def write_csv(tables: Iterator[Columns], stream: TextIO) -> None:
    """Write CSV that no spreadsheet takes for formulas, and every reader can read."""
    for index, table in enumerate(tables):
        if not index:
            stream.write(_line([cell_of(name) for name in table]))
        columns = [_cells(column) for column in table.values()]
        if len(columns) == 1:
            lines = [cell or '""' for cell in columns[0]]  # nothing at all would be no row
        else:
            lines = list(map(",".join, zip(*columns, strict=True)))
        lines.append("")
        stream.write("\n".join(lines))


def write_jsonl(tables: Iterator[Columns], stream: TextIO) -> None:
    """Write a JSON object for each row; what is missing or no finite number is null."""
    for table in tables:
        fields = [
            map(f"{json.dumps(name, ensure_ascii=False)}: ".__add__, _json_values(column))
            for name, column in table.items()
        ]
        lines = [f"{{{row}}}" for row in map(", ".join, zip(*fields, strict=True))]
        lines.append("")
        stream.write("\n".join(lines))


def write_parquet(tables: Iterator[Columns], path: Path, where: str) -> None:
    """Write a Parquet file, a row group for each table.

    Raises:
        EnvironmentFault: if pyarrow is missing.
    """
    require(where, ["pyarrow"], extra="parquet")
    import pyarrow as pa
    import pyarrow.parquet as pq

    writer: Any = None
    try:
        for table in tables:
            arrays = [pa.array(_plain(column), from_pandas=True) for column in table.values()]
            made = pa.table(dict(zip(table, arrays, strict=True)))
            if writer is None:
                writer = pq.ParquetWriter(path, made.schema)
            writer.write_table(made.cast(writer.schema))
    finally:
        if writer is not None:
            writer.close()


def cell_of(text: str) -> str:
    r"""Return a cell of CSV that no spreadsheet takes for a formula; numbers stay numbers.

    >>> cell_of("=1+1"), cell_of("-1.5"), cell_of("a"), cell_of('a "b", c')
    ("'=1+1", '-1.5', 'a', '"a ""b"", c"')
    """
    if _PLAIN.fullmatch(text):
        return text
    safe = text if _NUMBER.fullmatch(text) else safe_cell(text)
    return '"' + safe.replace('"', '""') + '"' if _QUOTED.search(safe) else safe


def _cells(column: Column) -> list[str]:
    if isinstance(column, pd.Categorical):
        names = np.array([*map(cell_of, map(str, column.categories)), ""], dtype=object)
        cells: list[str] = names[column.codes].tolist()
        return cells
    texts = texts_in(column)
    return texts if _is_number(column) else list(map(cell_of, texts))


def _json_values(column: Column) -> list[str]:
    if isinstance(column, pd.Categorical):
        known = [json.dumps(str(one), ensure_ascii=False) for one in column.categories]
        names = np.array([*known, "null"], dtype=object)
        cells: list[str] = names[column.codes].tolist()
        return cells
    texts = texts_in(column)
    if _is_number(column):
        return [text if text[-1].isdigit() else "null" for text in texts]
    missing = np.asarray(pd.isna(pd.Series(column))).tolist()
    if isinstance(column, pd.Series) and column.dtype.kind in "bfiu":
        return [
            "null" if gone else json.dumps(_finite(value))
            for value, gone in zip(column.tolist(), missing, strict=True)
        ]
    return [
        "null" if gone else json.dumps(text, ensure_ascii=False)
        for text, gone in zip(texts, missing, strict=True)
    ]


def _finite(value: object) -> object:
    return None if isinstance(value, float) and not np.isfinite(value) else value


def _is_number(column: Column) -> bool:
    return isinstance(column, np.ndarray) and column.dtype.kind in "fiu"


def _plain(column: Column) -> Any:
    """Return a column as Parquet keeps it: categories as their text."""
    return pd.Series(column.astype(object)) if isinstance(column, pd.Categorical) else column


def _line(cells: Sequence[str]) -> str:
    return ",".join(cells) + "\n"
