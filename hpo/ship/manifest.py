"""The manifest of a model file: what it predicts, from which rows, and where it comes from."""

import json
from typing import Any, Literal

from pydantic import Field, ValidationError

from hpo.errors import UsageError
from lightning_modules.data.fitted import Fitted
from lightning_modules.settings import Settings

MANIFEST_SCHEMA = "hpo.model/1"
MANIFEST = "hpo.manifest"
"""The name under which a model file keeps its manifest, as JSON."""
Json = dict[str, Any]


class TensorSpec(Settings):
    """An input or an output of a model file; the first axis is the rows, of any number.

    Inputs of tables are ``numbers`` (float64, NaN where missing), ``texts`` (string, empty where
    missing; in a ``.pt2`` file ``codes``, int64: the place in the column's vocabulary, -1 where
    missing, -2 where unknown) and ``moments`` (float64, seconds since 1970, NaN where missing),
    each ``(rows, columns)``, of a series ``(rows, window, columns)``. Others are ``images``
    (float32, raw pixels, ``(rows, channels, height, width)``), ``sequences`` (float64, NaN where
    missing, ``(rows, steps, channels)``), where those are padded ``lengths`` (int64, ``(rows,)``),
    and ``tokens`` (int64, ``(rows, length)``).
    Outputs are ``probabilities`` float32 ``(rows, classes or labels)``, or ``predictions`` float32
    ``(rows,)`` or ``(rows, targets or steps)`` in the target's own units.
    """

    name: str
    dtype: Literal["float64", "float32", "int64", "string"]
    shape: list[int]
    """Of one row."""
    columns: list[str] | None = None
    """What lies along the last axis, in order; of an input the columns of a table."""


class Shares(Settings):
    """How the training rows spread over the bins of one quantity.

    Of numbers, bin ``i`` holds values in ``(edges[i - 1], edges[i]]``, the first and the last are
    open; of text, bin ``i`` is ``values[i]``, and one more bin is all other text. The last bin of
    both is the missing values.
    """

    name: str
    edges: list[float] | None = None
    values: list[str] | None = None
    shares: list[float]


class Statistics(Settings):
    """What the training rows looked like, against which drift is measured."""

    n_rows: int
    inputs: list[Shares]
    predictions: list[Shares]


class Scored(Settings):
    """What the model came to on a split."""

    metric: str
    direction: Literal["minimize", "maximize"]
    split: Literal["validation", "out of fold", "test"]
    value: float
    ci95: list[float] | None
    n_rows: int


class Manifest(Settings):
    """Everything about a model file but its weights; JSON both ways.

    ``data`` is the section ``data`` of the config: by it new rows are read as training read them.
    ``fitted`` holds their columns, of an ensemble those of its first member.
    """

    schema_name: Literal["hpo.model/1"] = Field("hpo.model/1", alias="schema")
    name: str
    """The study's name, or that of the run's folder."""
    kind: str
    """Of the task."""
    classes: list[str] | None
    target_names: list[str] | None
    """Of labels, or of several numbers."""
    data: Json
    fitted: Fitted
    vocabularies: list[list[str]]
    """The categories of each text column, in the order of the input ``texts``."""
    inputs: list[TensorSpec]
    outputs: list[TensorSpec]
    scores: list[Scored]
    statistics: Statistics
    config: Json
    """Of an ensemble, that of its first member."""
    config_sha256: str
    hashes: dict[str, str] = Field(default_factory=dict)
    """``data_sha256`` and ``split_sha256`` of its training, by which its rows are known again."""
    members: list[Json]
    """Weight, trial and sha256 of the checkpoint of each; one without an ensemble."""
    compressed: str | None = None
    """How the file was made smaller: ``dynamic-int8``, ``static-int8``, ``pruned`` or ``fp16``."""
    notes: list[str] = Field(default_factory=list)
    """What must be known to use it, such as a fixed number of steps."""
    versions: dict[str, str]
    created_utc: str


def manifest_text(manifest: Manifest) -> str:
    """Return a manifest as a model file keeps it: strict JSON on one line."""
    plain = manifest.model_dump(mode="json", by_alias=True)
    return json.dumps(plain, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def read_manifest(text: str, where: str) -> Manifest:
    """Return what `manifest_text` wrote.

    Args:
        text: of a model file.
        where: begins the errors.

    Raises:
        UsageError: if it is of another version of the schema, or no manifest.
    """
    try:
        values = json.loads(text)
        schema = values.get("schema") if isinstance(values, dict) else None
        if schema != MANIFEST_SCHEMA:
            what = f"is of {schema!r}, this version of hpo reads {MANIFEST_SCHEMA!r}"
            hint = "install the hpo that wrote it, or export the model again"
            raise UsageError(where, what, hint)
        return Manifest.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        what = f"its manifest is wrong ({place}: {first['msg']})"
    except ValueError as error:
        what = f"its manifest is no JSON ({error})"
    raise UsageError(where, what, "export the model again")
