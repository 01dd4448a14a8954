"""Parquet files, of which single columns are read."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pandas as pd

from lightning_modules.data.csv_form import opening_error
from lightning_modules.errors import DataError


@dataclass(frozen=True, kw_only=True)
class ParquetTable:
    """The table in a Parquet file, or in a folder of them; its columns are read when asked for."""

    path: Path
    where: str
    columns: list[str]
    n_rows: int

    def __len__(self) -> int:
        return self.n_rows

    def __getitem__(self, names: list[str]) -> pd.DataFrame:
        """Return some columns.

        Raises:
            DataError: if they cannot be read.
        """
        if not names:
            return pd.DataFrame(index=pd.RangeIndex(self.n_rows))
        with _reading(self.path, self.where):
            frame = pd.read_parquet(self.path, engine="pyarrow", columns=names)
        return frame.set_axis(names, axis=1).reset_index(drop=True)

    def frames(
        self, names: list[str], *, n_rows: int, exact: Sequence[str] = ()
    ) -> Iterator[tuple[pd.DataFrame, dict[str, "pd.Series[Any]"]]]:
        """Yield some columns, at most ``n_rows`` rows at a time, in their order.

        Beside them come the ``exact`` columns, with the types of the file: whole numbers among
        which one is missing stay whole.

        Raises:
            DataError: if they cannot be read.
        """
        import pyarrow.dataset as ds

        with _reading(self.path, self.where):
            source = ds.dataset(self.path, format="parquet")
            reading = source.to_batches(
                columns=list(dict.fromkeys([*names, *exact])),
                batch_size=n_rows,
                batch_readahead=2,
                fragment_readahead=1,
            )
            for batch in reading:
                if batch.num_rows:
                    frame: pd.DataFrame = batch.select(names).to_pandas()
                    kept = {
                        name: pd.Series(pd.arrays.ArrowExtensionArray(batch.column(name)))
                        for name in exact
                    }
                    yield frame[names].reset_index(drop=True), kept


def open_parquet(path: Path, *, where: str) -> ParquetTable:
    """Return the table in a Parquet file; only its description is read.

    Raises:
        DataError: if pyarrow is missing; the file cannot be read, is none, or has no rows.
    """
    if find_spec("pyarrow") is None:
        raise DataError(where, "is Parquet, which needs pyarrow", "pip install 'hpo[parquet]'")
    import pyarrow.parquet as pq

    with _reading(path, where):
        file = pq.ParquetDataset(path)
        n_rows = sum(part.count_rows() for part in file.fragments)
    if not n_rows:
        raise DataError(where, "has no rows", "at least one row of data is needed")
    index = (file.schema.pandas_metadata or {}).get("index_columns", ())
    columns = [name for name in file.schema.names if name not in index]
    return ParquetTable(path=path, where=where, columns=columns, n_rows=n_rows)


def read_parquet(path: Path, *, where: str) -> pd.DataFrame:
    """Return the whole table in a Parquet file.

    Raises:
        DataError: as `open_parquet`, or if a column cannot be read.
    """
    table = open_parquet(path, where=where)
    return table[table.columns]


@contextmanager
def _reading(path: Path, where: str) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:  # pyarrow's own errors are these
        if isinstance(error, FileNotFoundError | PermissionError) or path.is_dir():
            fault = error if isinstance(error, OSError) else IsADirectoryError()
            raise opening_error(path, fault, where) from None
        first = (str(error) or type(error).__name__).splitlines()[0]
        raise DataError(where, f"is no Parquet file: {first}") from None
