"""Rows of a Parquet file, or of a folder of them, with the types of training: some at a time."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd

from hpo.predict.csv_rows import check_kept
from hpo.predict.header import check_columns, kinds_of
from hpo.predict.pieces import VALUES, Piece
from hpo.predict.predictor import Inputs
from hpo.predict.typed import typed_frame
from lightning_modules.data.forecasting import WindowPreparation
from lightning_modules.data.parquet import open_parquet


def parquet_pieces(inputs: Inputs, path: Path, keep: Sequence[str]) -> Iterator[Piece]:
    """Yield the rows of a Parquet file; of a series its last window.

    Raises:
        DataError: if pyarrow is missing; the file cannot be read, or does not fit the model.
    """
    where = str(path)
    table = open_parquet(path, where=where)
    check_kept(keep, table.columns, where)
    check_columns(inputs, table.columns, where, also=keep)
    names = list(kinds_of(inputs, table.columns, where, also=keep))
    frames = table.frames(names, n_rows=max(VALUES // len(names), 1), exact=keep)
    if isinstance(inputs.fitted.preparation, WindowPreparation):
        whole = pd.concat([frame for frame, _ in frames], ignore_index=True)
        yield Piece(raw=typed_frame(inputs, whole, where))
        return
    done = 0
    for frame, kept in frames:
        raw = typed_frame(inputs, frame, where, done=done)
        done += len(frame)
        yield Piece(raw=raw, kept=kept, share=done / len(table))
