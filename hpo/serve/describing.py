"""What callers and people are told of a model: its columns, its answers, how good it is."""

from dataclasses import dataclass
from typing import Any

from hpo.predict.onnx_file import inputs_of
from hpo.serve.model import Model
from hpo.serve.options import Limits
from hpo.serve.reading import files_of
from hpo.ship.manifest import Manifest, Shares
from lightning_modules.data.columns import CategoryColumn, Column, NumericColumn
from lightning_modules.data.config import TableConfig
from lightning_modules.data.forecasting import WindowPreparation

MOST_CATEGORIES = 50
"""Categories that are listed."""
_ORDERS = {"ymd": "2024-12-31", "dmy": "31.12.2024", "mdy": "12/31/2024"}


@dataclass(frozen=True, kw_only=True)
class Field:
    """A column of a row."""

    name: str
    kind: str
    """``number``, ``category`` or ``date``."""
    typical: float | str | None
    """A value that many rows have."""
    low: float | None = None
    """Most rows lie between it and ``high``."""
    high: float | None = None
    categories: tuple[str, ...] = ()
    """Those that training saw, `MOST_CATEGORIES` at most; others may be given."""
    n_categories: int = 0
    """How many training saw."""
    example: str = ""
    """How a date is written."""


def fields_of(manifest: Manifest) -> list[Field]:
    """Return the columns of a row, in their order; none where rows have no columns."""
    preparation = manifest.fitted.preparation
    watched = {shares.name: shares for shares in manifest.statistics.inputs}
    if isinstance(preparation, WindowPreparation):
        time = []
        if preparation.time is not None:
            order = preparation.time_order
            kind = "number" if order is None else "date"
            example = "" if order is None else _ORDERS[order]
            time = [Field(name=preparation.time, kind=kind, typical=None, example=example)]
        target = _number(preparation.target, None, watched.get(preparation.target))
        others = [_field(column, watched) for column in preparation.others.columns]
        known = {field.name for field in (*time, target)}
        return [*time, target, *(field for field in others if field.name not in known)]
    if preparation.kind != "table":
        return []
    return [_field(column, watched) for column in preparation.columns]


def metadata(model: Model, limits: Limits) -> dict[str, Any]:
    """Return what a caller may know of a model: nothing of its data but the columns."""
    manifest = model.manifest
    return {
        "model": model.sha256,
        "name": manifest.name,
        "kind": manifest.kind,
        "rows": rows_of(manifest),
        "classes": manifest.classes,
        "targets": manifest.target_names,
        "scores": [score.model_dump(mode="json") for score in manifest.scores],
        "compressed": manifest.compressed,
        "members": len(manifest.members),
        "notes": manifest.notes,
        "config_sha256": manifest.config_sha256,
        "training_rows": manifest.statistics.n_rows,
        "created_utc": manifest.created_utc,
        "versions": manifest.versions,
        "limits": {
            "body_bytes": limits.body_bytes,
            "rows": limits.rows,
            "seconds": limits.timeout_s,
        },
    }


def rows_of(manifest: Manifest) -> dict[str, Any]:
    """Return what rows look like."""
    preparation = manifest.fitted.preparation
    fields = [
        {
            "name": field.name,
            "kind": field.kind,
            "typical": field.typical,
            "range": None if field.low is None else [field.low, field.high],
            "categories": list(field.categories) or None,
        }
        for field in fields_of(manifest)
    ]
    if isinstance(preparation, WindowPreparation):
        steps = {"window": preparation.window, "horizon": preparation.horizon}
        return {"kind": "series", "columns": fields, **steps}
    if preparation.kind == "table":
        return {"kind": "table", "columns": fields}
    shape = manifest.inputs[0].shape
    if preparation.kind == "sequence":
        steps = {"steps": shape[0], "any_length": preparation.padded}
        return {"kind": "sequence", "channels": shape[1], **steps}
    if preparation.kind == "text":
        return {"kind": "text", "tokens": preparation.length}
    files = files_of(inputs_of(manifest).data)
    return {"kind": "image", "shape": shape, "files": files is not None}


def passed_columns(manifest: Manifest) -> list[str]:
    """Return columns that rows may have, and that the model does not look at."""
    data = inputs_of(manifest).data
    if not isinstance(data, TableConfig):
        return []
    known = {field.name for field in fields_of(manifest)}
    names = [*data.targets, data.group, data.time, *data.ignore]
    return [name for name in dict.fromkeys(names) if name is not None and name not in known]


def _field(column: Column, watched: dict[str, Shares]) -> Field:
    if isinstance(column, NumericColumn):
        return _number(column.name, column.fill, watched.get(column.name))
    if isinstance(column, CategoryColumn):
        return Field(
            name=column.name,
            kind="category",
            typical=column.fill,
            categories=tuple(column.categories[:MOST_CATEGORIES]),
            n_categories=len(column.categories),
        )
    return Field(name=column.name, kind="date", typical=None, example=_ORDERS[column.order])


def _number(name: str, fill: float | None, shares: Shares | None) -> Field:
    edges = (shares.edges if shares is not None else None) or []
    middle = edges[len(edges) // 2] if edges else None
    typical = fill if fill is not None else middle
    low, high = (edges[0], edges[-1]) if len(edges) > 1 else (None, None)
    return Field(name=name, kind="number", typical=typical, low=low, high=high)
