"""Every trial of a study as a table: for the terminal, for spreadsheets, for pandas; no torch.

One row is one trial that ended. Its columns: what became of it, the objective and every metric at
the best validation, what it cost, every parameter by its dotted path (empty where a trial has none
of it), seeds and hashes.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from hpo.errors import UsageError
from hpo.extras import require
from hpo.files import dump_json
from hpo.layout import StudyFolder
from hpo.records import State, TrialRecord, ranked, read_trials
from lightning_modules.cells import CsvWriter, safe_cell
from lightning_modules.durable import renamed
from lightning_modules.registry import suggest

if TYPE_CHECKING:
    from typing import TextIO

    import pandas as pd

Cell = None | bool | int | float | str
Kind = Literal["whole", "number", "truth", "time", "text"]
Form = Literal["csv", "parquet", "json"]
FORMS: Mapping[str, Form] = {".csv": "csv", ".parquet": "parquet", ".json": "json"}
STATES: tuple[State, ...] = ("complete", "pruned", "failed")
_FIRST: Mapping[str, Kind] = {
    "trial": "whole",
    "state": "text",
    "reason": "text",
    "objective": "number",
}
_COSTS: Mapping[str, Kind] = {
    "best_epoch": "number",
    "epochs_run": "number",
    "steps": "whole",
    "stopped_by": "text",
    "seconds": "number",
    "train_seconds": "number",
    "samples_per_second": "number",
    "n_parameters": "whole",
    "size_bytes": "whole",
    "flops": "whole",
    "latency_ms": "number",
    "device": "text",
}
_OF_RECORDS: Mapping[str, Kind] = {
    "state": "text",
    "reason": "text",
    "violation": "number",
    "same_as": "whole",
    "audit": "whole",
    "attempts": "whole",
    "seed": "whole",
    "config_sha256": "text",
    "started_utc": "time",
    "ended_utc": "time",
}
_LAST: Mapping[str, Kind] = {
    **{name: kind for name, kind in _OF_RECORDS.items() if name not in _FIRST},
    "notes": "text",
    "what": "text",
}


@dataclass(frozen=True, kw_only=True)
class TrialTable:
    """The trials of a study as columns, each of one kind, and rows in one order."""

    columns: Mapping[str, Kind]
    values: Sequence[Mapping[str, Cell]]
    """Of every row, by column; a row has no key where it has no value."""

    def rows(self) -> Iterator[dict[str, Cell]]:
        """Yield one row after the other: a value for every column, None where there is none."""
        for values in self.values:
            yield {name: _cell(values.get(name), kind) for name, kind in self.columns.items()}

    def column(self, name: str) -> list[Cell]:
        """Return a column, None where there is no value."""
        return [_cell(values.get(name), self.columns[name]) for values in self.values]


def select(
    records: Sequence[TrialRecord],
    *,
    states: Sequence[State] = (),
    top: int | None = None,
    direction: str = "",
) -> list[TrialRecord]:
    """Return some trials of a study.

    Args:
        records: of the study.
        states: only trials that ended so; none are all.
        top: only so many, best first, complete ones unless ``states`` says otherwise; what took
            the outcome of an equal config is left out.
        direction: of the objective, which ``top`` needs.
    """
    if top is not None:
        own = [record for record in records if record.same_as is None]
        return ranked(select(own, states=states or ("complete",)), direction)[:top]
    return [record for record in records if not states or record.state in states]


def check_states(given: Sequence[str]) -> tuple[State, ...]:
    """Return the states that were named.

    Raises:
        UsageError: if one is none.
    """
    for name in given:
        if name not in STATES:
            raise UsageError("--state", f"no state {name[:60]!r}", suggest(name, list(STATES)))
    return tuple(state for state in STATES if state in given)


def form(path: Path | None, *, csv: bool, parquet: bool, as_json: bool) -> Form | None:
    """Return the form in which a table is written, None for one that is read in a terminal.

    Raises:
        UsageError: if several are asked for, or none is and the file's name tells none.
    """
    wanted = {"csv": csv, "parquet": parquet, "json": as_json}
    asked = [name for name in FORMS.values() if wanted[name]]
    if len(asked) > 1:
        raise UsageError("", "--csv, --parquet, --json exclude each other", "choose one")
    if path is None and asked == ["parquet"]:
        raise UsageError("--parquet", "no terminal shows Parquet", "-o trials.parquet")
    if path is None or asked:
        return asked[0] if asked else None
    if path.suffix.lower() not in FORMS:
        hint = f"one of {', '.join(FORMS)}, or --csv, --parquet, --json"
        raise UsageError(str(path), "its ending does not say what to write", hint)
    return FORMS[path.suffix.lower()]


def table_of(records: Sequence[TrialRecord]) -> TrialTable:
    """Return records as a table; a parameter that is called like another column says so."""
    metrics = _names(record.run.metrics for record in records if record.run is not None)
    measured = {name: f"measured.{name}" for name in _names(r.measured for r in records)}
    fixed: dict[str, Kind] = {**_FIRST, **dict.fromkeys(metrics, "number"), **_COSTS}
    fixed |= dict.fromkeys(measured.values(), "number")
    taken = {*fixed, *_LAST}
    params = {n: f"param.{n}" if n in taken else n for n in _names(r.params for r in records)}
    values = [_values(record, measured, params) for record in records]
    kinds = {name: _kind([row.get(name) for row in values]) for name in params.values()}
    return TrialTable(columns={**fixed, **kinds, **_LAST}, values=values)


def trials_frame(folder: StudyFolder | str | Path) -> "pd.DataFrame":
    """Return the trials of a study as a pandas frame, one row each, columns with proper types.

    Args:
        folder: of the study, such as ``results/quickstart``.

    Raises:
        UsageError: if there is no study, or a record cannot be read.
    """
    import pandas as pd

    found = folder if isinstance(folder, StudyFolder) else StudyFolder(Path(folder))
    if not found.study_file.is_file():
        raise UsageError(str(found.path), "holds no study", "results/NAME, where hpo run says so")
    table = table_of(read_trials(found))
    kinds: Mapping[Kind, Any] = {
        "whole": "Int64",
        "number": "float64",
        "truth": "boolean",
        "text": "string",
    }
    columns = {
        name: pd.to_datetime(pd.Series(table.column(name), dtype=object), utc=True)
        if kind == "time"
        else pd.Series(table.column(name), dtype=object).astype(kinds[kind])
        for name, kind in table.columns.items()
    }
    return pd.DataFrame(columns)


def write_csv(table: TrialTable, stream: "TextIO") -> None:
    """Write a table as CSV in which no cell is taken for a formula; numbers stay numbers."""
    writer = CsvWriter(stream)
    writer.row(map(safe_cell, table.columns))
    for row in table.rows():
        cells = row.values()
        writer.row(safe_cell(cell) if isinstance(cell, str) else cell for cell in cells)


def write_json(table: TrialTable, stream: "TextIO") -> None:
    """Write a table as strict JSON: a list of rows, null where there is no value."""
    stream.write(dump_json(list(table.rows())))


def write_parquet(table: TrialTable, path: Path) -> None:
    """Write a table as Parquet, with a type for every column.

    Raises:
        EnvironmentFault: if pyarrow is missing.
    """
    require("--parquet", ["pyarrow"], extra="parquet")
    import pyarrow as pa
    import pyarrow.parquet as pq

    types = {
        "whole": pa.int64(),
        "number": pa.float64(),
        "truth": pa.bool_(),
        "time": pa.timestamp("s", tz="UTC"),
        "text": pa.string(),
    }
    arrays = []
    for name, kind in table.columns.items():
        cells: list[Any] = table.column(name)
        if kind == "time":
            cells = [None if cell is None else datetime.fromisoformat(cell) for cell in cells]
        arrays.append(pa.array(cells, type=types[kind]))
    pq.write_table(pa.table(arrays, names=list(table.columns)), path)


def export(table: TrialTable, form: Form, path: Path) -> None:
    """Write a table to a file, whole or not at all.

    Raises:
        UsageError: if there cannot be such a file.
        EnvironmentFault: if Parquet is asked for, and pyarrow is missing.
    """
    try:
        with renamed(path, sync=False) as temporary:
            if form == "parquet":
                write_parquet(table, temporary)
            else:
                write = write_csv if form == "csv" else write_json
                with temporary.open("w", encoding="utf-8", newline="") as stream:
                    write(table, stream)
    except OSError as error:
        raise UsageError(str(path), str(error.strerror), "name another file with -o") from None


def _names(found: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return every key, in the order in which it came first."""
    return list(dict.fromkeys(name for mapping in found for name in mapping))


def _values(
    record: TrialRecord, measured: Mapping[str, str], params: Mapping[str, str]
) -> dict[str, Cell]:
    """Return what a record says, by column."""
    run = record.run
    values: dict[str, Cell] = {
        "trial": record.number,
        "objective": record.value,
        **{name: getattr(record, name) for name in (*_OF_RECORDS, "seconds")},
        "notes": "; ".join(record.notes) or None,
        "what": record.what or None,
    }
    if record.imported is not None:  # with which seed it was trained, and how often, is not known
        values |= {"seed": None, "attempts": None}
    if run is not None:
        values |= {name: getattr(run, name) for name in _COSTS if name != "seconds"}
        values |= run.metrics
    values |= {measured[name]: value for name, value in record.measured.items()}
    return values | {params[name]: value for name, value in record.params.items()}


def _kind(cells: Sequence[Cell]) -> Kind:
    """Return the kind of a parameter's column: one that holds several kinds is text."""
    types = {type(cell) for cell in cells} - {type(None)}
    if types == {bool}:
        return "truth"
    if types == {int} and all(abs(int(cell)) < 2**63 for cell in cells if cell is not None):
        return "whole"
    return "number" if types and types <= {int, float} else "text"


def _cell(value: Cell, kind: Kind) -> Cell:
    """Return a value as its column has it."""
    if value is None or isinstance(value, str):
        return value
    if kind == "number":
        return float(value)
    return json.dumps(value) if kind == "text" else value
