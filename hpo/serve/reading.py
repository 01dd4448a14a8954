"""The rows of a request as the inputs of a model: JSON, CSV, arrays of NumPy, image files."""

import io
from collections.abc import Collection, Sequence
from itertools import chain
from math import prod
from operator import itemgetter
from typing import Any

import numpy as np

from hpo.errors import DataError
from hpo.predict.header import check_columns, text_column
from hpo.predict.onnx_file import inputs_of
from hpo.predict.predictor import Raw
from hpo.predict.typed import typed_array, typed_frame, typed_json, typed_lists
from hpo.serve.csv_body import csv_in
from hpo.serve.json_body import kind_of, rows_in
from hpo.serve.npy_body import array_in
from hpo.serve.refusal import Refused, refused_values
from hpo.ship.feeds import feeds_of
from hpo.ship.manifest import Manifest
from lightning_modules.data.columns import CategoryColumn
from lightning_modules.data.config import HuggingFaceConfig, ImageConfig, TableConfig
from lightning_modules.data.decoding import decode
from lightning_modules.data.frames import Array
from lightning_modules.settings import Settings

_TYPES = {"application/json": "json", "text/csv": "csv", "application/x-npy": "npy"}
IMAGES = ("image/png", "image/jpeg", "image/webp", "image/bmp", "image/gif")
"""Types of image files."""
_NUMBERS = frozenset({int, float, type(None)})
_TEXTS = frozenset({str, type(None)})
_WIDE = 1000
"""Columns that a header may have beyond twice those that are known."""
_TRUTHS = frozenset({"True", "False"})


class Reading:
    """Reads rows for one model.

    Args:
        manifest: of the model.
        most_rows: of one request.
    """

    def __init__(self, manifest: Manifest, *, most_rows: int) -> None:
        self._manifest, self._most = manifest, most_rows
        self._inputs = inputs_of(manifest)
        self.kind = manifest.fitted.preparation.kind
        self.by_name = self.kind in ("table", "window")
        """Whether rows have columns by name."""
        self.files = files_of(self._inputs.data)
        """How image files are read, None where the model is of something else."""
        self._quick = _Quick.of(manifest)
        self._n_known = _n_columns(manifest)
        self._brackets = 64 + (most_rows + 1) * _brackets_of_row(manifest)

    def feeds(self, body: bytes, content_type: str, charset: str) -> dict[str, Array]:
        """Return the inputs of the model.

        Args:
            body: of the request.
            content_type: without parameters, lower case.
            charset: of text.

        Raises:
            Refused: if they are no rows for the model.
        """
        form = _TYPES.get(content_type)
        if form is None and content_type.endswith("+json"):
            form = "json"
        try:
            if form == "json":
                return self._of_json(body)
            if form == "csv":
                raw = self._of_csv(body, charset)
            elif form == "npy" and self._takes(form):
                array = array_in(body, most_rows=self._most)
                quick = self._quick.of_array(array) if self._quick is not None else None
                if quick is not None:
                    return quick
                raw = typed_array(self._inputs, array, "rows")
            elif content_type in IMAGES and self.files is not None:
                raw, _ = decode([lambda: io.BytesIO(body)], ["body"], self.files)
            else:
                raise self._unknown(content_type)
            return feeds_of(self._manifest, raw)
        except DataError as error:
            raise refused_values(error) from None

    def _of_json(self, body: bytes) -> dict[str, Array]:
        rows = rows_in(body, brackets=self._brackets, by_column=self.by_name)
        self._check_count(len(rows))
        if self.by_name:
            quick = self._quick.feeds(rows) if self._quick is not None else None
            if quick is not None:
                return quick
            return feeds_of(self._manifest, self._named(rows))
        if self.kind == "image":
            images = _images(rows, tuple(self._manifest.inputs[0].shape))
            if images is not None:
                return {"images": images}
        return feeds_of(self._manifest, typed_lists(self._inputs, rows, "rows"))

    def _named(self, rows: Sequence[Any]) -> Raw:
        """Return rows by the way that all readers share: it knows every type, and every error."""
        names = list(rows[0]) if type(rows[0]) is dict else []
        if type(rows[0]) is dict:
            self._check_width(names, "rows[0]")
            check_columns(self._inputs, names, "rows[0]")
        for i, row in enumerate(rows):
            if type(row) is not dict:
                hint = "an object with the value of each column"
                what = f"is {kind_of(row)}"
                raise Refused(422, "values", where=f"rows[{i}]", what=what, hint=hint)
            if row.keys() != rows[0].keys():
                self._check_width(row, f"rows[{i}]")
                check_columns(self._inputs, list(row), f"rows[{i}]")
        known = [name for name in names if all(name in row for row in rows)]
        columns = {name: [row[name] for row in rows] for name in known}
        return typed_json(self._inputs, columns, "rows")

    def _of_csv(self, body: bytes, charset: str) -> Raw:
        if self.kind == "sequence":
            raise self._unknown("text/csv")
        table = csv_in(body, charset)
        self._check_count(table.n_rows)
        self._check_width(table.header, "body")
        check_columns(self._inputs, table.header, "body")
        frame = table.frame()
        if self.kind == "text":
            frame = frame[[text_column(self._inputs, table.header, "body")]]
        return typed_frame(self._inputs, frame, "rows")

    def _check_count(self, n_rows: int) -> None:
        if not n_rows:
            hint = "at least one row is needed"
            raise Refused(422, "rows", where="rows", what="is empty", hint=hint)
        if n_rows > self._most:
            what, hint = f"holds {n_rows:,}", f"at most {self._most:,} in one request"
            raise Refused(413, "rows", where="rows", what=what, hint=hint)

    def _check_width(self, names: Collection[str], where: str) -> None:
        """Refuse far too many columns at once: to look for the misspelt ones would take long."""
        if len(names) > _WIDE + 2 * self._n_known:
            what, hint = f"has {len(names):,} columns", "/metadata lists those that are expected"
            raise Refused(422, "values", where=where, what=what, hint=hint)

    def _unknown(self, content_type: str) -> Refused:
        known = [name for name, form in _TYPES.items() if self._takes(form)]
        known += [] if self.files is None else IMAGES
        what = f"is {content_type!r}" if content_type else "is missing"
        hint = f"{' or '.join(known)}"
        return Refused(415, "content_type", where="content-type", what=what, hint=hint)

    def _takes(self, form: str) -> bool:
        if form == "csv":
            return self.kind != "sequence"
        return form == "json" or takes_arrays(self._manifest)


class _Quick:
    """Rows of plain numbers and texts without a table between: most requests are that.

    It takes no other rows than `hpo.predict.typed` does, and to the same inputs; whatever it does
    not know for sure is left to that.
    """

    def __init__(self, numbers: list[str], texts: list[str]) -> None:
        self._numbers, self._texts = numbers, texts
        self._pick_numbers = itemgetter(*numbers) if numbers else None
        self._pick_texts = itemgetter(*texts) if texts else None
        self._n_columns = len(numbers) + len(texts)

    @classmethod
    def of(cls, manifest: Manifest) -> "_Quick | None":
        """Return it for a table without moments and truths, None for other models."""
        preparation = manifest.fitted.preparation
        names = {spec.name: list(spec.columns or []) for spec in manifest.inputs}
        if preparation.kind != "table" or not set(names) <= {"numbers", "texts"}:
            return None
        for column in preparation.columns:
            if isinstance(column, CategoryColumn) and set(column.categories) <= _TRUTHS:
                return None
        if "texts" not in names and [c.name for c in preparation.columns] != names["numbers"]:
            return None
        return cls(names.get("numbers", []), names.get("texts", []))

    def of_array(self, array: Array) -> dict[str, Array] | None:
        """Return the inputs of a table of numbers alone, None where a closer look is needed."""
        if self._texts or array.ndim != 2 or array.shape[1] != self._n_columns:
            return None
        numbers = np.ascontiguousarray(array, dtype=np.float64)
        return None if np.isinf(numbers).any() else {"numbers": numbers}

    def feeds(self, rows: Sequence[Any]) -> dict[str, Array] | None:
        """Return the inputs, None where a closer look is needed."""
        try:
            if set(map(len, rows)) != {self._n_columns}:
                return None
            found: dict[str, Array] = {}
            if self._pick_numbers is not None:
                cells = _cells(self._pick_numbers, rows, len(self._numbers))
                if not set(map(type, cells)) <= _NUMBERS:
                    return None
                numbers = np.array(cells, dtype=np.float64)
                if np.isinf(numbers).any():
                    return None
                found["numbers"] = numbers.reshape(len(rows), -1)
            if self._pick_texts is not None:
                cells = _cells(self._pick_texts, rows, len(self._texts))
                if not set(map(type, cells)) <= _TEXTS:
                    return None
                plain = [text or "" for text in cells]
                found["texts"] = np.array(plain, dtype=object).reshape(len(rows), -1)
            return found
        except (KeyError, TypeError, OverflowError):
            return None


def takes_arrays(manifest: Manifest) -> bool:
    """Say whether rows may come as an array of numbers."""
    preparation = manifest.fitted.preparation
    if preparation.kind == "table":
        return all(column.kind == "number" for column in preparation.columns)
    return preparation.kind in ("image", "sequence")


def files_of(data: Settings) -> ImageConfig | None:
    """Return how image files were read in training, None where there were none."""
    found = data.images if isinstance(data, HuggingFaceConfig) and data.image else data
    if not isinstance(found, ImageConfig):
        return None
    return ImageConfig(path=found.path, size=found.size, channels=found.channels)


def _cells(pick: "itemgetter[Any]", rows: Sequence[Any], n_columns: int) -> list[Any]:
    """Return the cells of some columns, row after row."""
    picked = map(pick, rows)
    return list(picked) if n_columns == 1 else list(chain.from_iterable(picked))


def _images(rows: Sequence[Any], shape: tuple[int, ...]) -> Array | None:
    """Return images of nested lists at once, None where a closer look is needed."""
    try:
        array = np.array(rows)
    except (ValueError, OverflowError):
        return None
    forms = (shape, shape[1:] if shape[0] == 1 else shape, (int(np.prod(shape)),))
    if array.dtype.kind not in "iuf" or array.shape[1:] not in forms:
        return None
    pixels = np.ascontiguousarray(array.reshape(-1, *shape), dtype=np.float32)
    return pixels if np.isfinite(pixels).all() else None


def _n_columns(manifest: Manifest) -> int:
    """Return how many columns a table of rows may have, those included that are not looked at."""
    data = inputs_of(manifest).data
    ignored = len(data.ignore) if isinstance(data, TableConfig) else 0
    return ignored + sum(len(spec.columns or ()) or prod(spec.shape) for spec in manifest.inputs)


def _brackets_of_row(manifest: Manifest) -> int:
    """Return how many lists and objects a row of JSON has at most."""
    preparation, shape = manifest.fitted.preparation, manifest.inputs[0].shape
    if preparation.kind == "image":
        return 1 + shape[0] * (1 + shape[1])
    if preparation.kind == "sequence":
        return 1 + 4 * shape[0]
    return 1
