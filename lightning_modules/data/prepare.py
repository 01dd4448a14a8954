"""Turn raw rows into tensors by statistics that are fitted on training rows and are JSON."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal, TypeAlias

import pandas as pd
from pydantic import Field

from lightning_modules.data.config import PrepareConfig
from lightning_modules.data.dates import Order
from lightning_modules.data.forecasting import WindowPreparation
from lightning_modules.data.frames import Array
from lightning_modules.data.image_preparation import ImagePreparation, fit_images
from lightning_modules.data.kinds import raw_kind
from lightning_modules.data.sequences import SequencePreparation, fit_sequences
from lightning_modules.data.table_preparation import TablePreparation, fit_table
from lightning_modules.data.texts import TextPreparation, fit_texts
from lightning_modules.errors import DataError

Preparation: TypeAlias = Annotated[
    TablePreparation | ImagePreparation | SequencePreparation | TextPreparation | WindowPreparation,
    Field(discriminator="kind"),
]

InputKind: TypeAlias = Literal["features", "image", "sequence", "text"]
INPUT_KINDS: Mapping[str, InputKind] = {
    "table": "features",
    "image": "image",
    "sequence": "sequence",
    "text": "text",
    "window": "sequence",
}
"""The kind of input that each kind of preparation makes."""


def input_of(preparation: Preparation) -> tuple[InputKind, int | None, bool]:
    """Return the kind of input, how many tokens there are (of text), and whether it is padded."""
    kind = INPUT_KINDS[preparation.kind]
    if isinstance(preparation, TextPreparation):
        return kind, preparation.n_tokens, True
    return kind, None, isinstance(preparation, SequencePreparation) and preparation.padded


_EFFECTS: Mapping[str, Sequence[str]] = {
    "table": ("impute", "indicator", "clip", "rare", "scale", "pca"),
    "image": ("scale",),
    "sequence": ("impute", "scale", "length", "difference"),
    "text": ("length", "tokens", "vocabulary", "lowercase"),
}
"""Which settings change what each kind of data becomes."""
_WORDS = {
    "table": "tables",
    "image": "images",
    "sequence": "sequences",
    "text": "texts",
    "series": "a series of one column",
}


def fit_preparation(
    raw_x_train: "pd.DataFrame | Array",
    config: PrepareConfig,
    *,
    date_orders: Mapping[str, Order] | None = None,
) -> TablePreparation | ImagePreparation | SequencePreparation | TextPreparation:
    """Fit on training rows alone, of any kind that `raw_kind` knows.

    Args:
        raw_x_train: the rows.
        config: how.
        date_orders: the order of day, month and year in the text of each column of dates.

    Raises:
        DataError: if a setting has no effect on these data; there are fewer features than
            components; a sequence is too short, or no text has a token.
    """
    kind = raw_kind(raw_x_train, "data")
    check_effect(kind, config)
    if isinstance(raw_x_train, pd.DataFrame) or kind == "table":
        return fit_table(raw_x_train, config, date_orders or {})
    if kind == "image":
        return fit_images(raw_x_train, config.scale)
    return (fit_sequences if kind == "sequence" else fit_texts)(raw_x_train, config)


def check_effect(kind: str, config: PrepareConfig) -> None:
    """Refuse settings that change nothing in this kind of data.

    Args:
        kind: as `raw_kind` says, or ``series`` for one without other columns.
        config: the settings.

    Raises:
        DataError: if there is one.
    """
    default, known = PrepareConfig(), _EFFECTS.get(kind, ())
    if kind == "image" and config.impute != default.impute:
        raise DataError("data.prepare.impute", "images have no missing values", "remove it")
    for name in type(config).model_fields:
        if name in known or name == "target" or getattr(config, name) == getattr(default, name):
            continue
        fitting = " and ".join(_WORDS[other] for other, names in _EFFECTS.items() if name in names)
        what = f"is for {fitting}, not for {_WORDS[kind]}"
        raise DataError(f"data.prepare.{name}", what, "remove it")
    if kind == "image" and config.scale in ("robust", "quantile"):
        hint = "standard, minmax or none"
        raise DataError("data.prepare.scale", f"{config.scale} is for tables, not images", hint)
    if kind == "sequence" and config.scale == "quantile":
        hint = "standard, minmax, robust or none"
        raise DataError("data.prepare.scale", "quantile is for tables, not sequences", hint)
