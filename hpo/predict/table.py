"""Predictions as a table: which columns there are, and what stands in them; no torch."""

from collections.abc import Hashable, Mapping

import numpy as np
import pandas as pd

from hpo.predict.pieces import Column
from hpo.predict.predictor import Answers, Floats
from lightning_modules.data.frames import Array, texts_of
from lightning_modules.task import NUMBERS

Columns = Mapping[str, Column]


def column_names(answers: Answers, *, probabilities: bool) -> list[str]:
    """Return the names of the columns: one prediction of a row, or one for each target.

    Args:
        answers: of the model.
        probabilities: one column more for each class or label.
    """
    several = answers.target_names
    names = ["prediction"] if several is None else [f"prediction_{name}" for name in several]
    if not probabilities:
        return names
    return [*names, *(f"p_{label}" for label in answers.classes or several or [])]


def columns_of(outputs: Floats, answers: Answers, *, probabilities: bool) -> dict[str, Column]:
    """Return what stands in the columns, ``(rows,)`` each.

    Where the network computes no number, of values far beyond those of training, nothing is said.

    Args:
        outputs: probabilities or numbers, as `Predictor.outputs` gives them.
        answers: of the model.
        probabilities: those too.
    """
    names = column_names(answers, probabilities=probabilities)
    shown: list[Column] = list(outputs.reshape(len(outputs), -1).T)
    chosen = shown
    if answers.kind == "multilabel":
        chosen = [_labels(shares) for shares in outputs.T]
    elif answers.kind not in NUMBERS:
        classes = pd.Index(answers.classes or [], dtype=object)
        codes = np.where(np.isnan(outputs).any(axis=1), -1, outputs.argmax(axis=1))
        chosen = [pd.Categorical.from_codes(codes, categories=classes)]
    values = [*chosen, *(shown if probabilities else [])]
    return dict(zip(names, values, strict=True))


def _labels(shares: Floats) -> Column:
    """Return 1 where a label is given, 0 where it is not, ``(rows,)``."""
    given = (shares > 0.5).astype(np.int64)
    unknown = np.isnan(shares)
    return pd.Series(given, dtype="Int64").mask(unknown) if unknown.any() else given


def steps_of(outputs: Floats) -> dict[str, Column]:
    """Return the predicted steps of a series ``(1, steps)`` as a table: their numbers, and each."""
    steps = outputs.reshape(-1)
    return {"step": np.arange(1, len(steps) + 1), "prediction": steps}


def texts_in(column: Column) -> list[str]:
    """Return the values as text, empty where one is missing; numbers as short as they are exact."""
    if isinstance(column, pd.Categorical):
        names = np.array([*map(str, column.categories), ""], dtype=object)
        texts: list[str] = names[column.codes].tolist()
        return texts
    if isinstance(column, np.ndarray) and column.dtype.kind in "fiu":
        return number_texts(column)
    if isinstance(column, pd.Series) and isinstance(column.dtype, pd.ArrowDtype):
        column = column.astype(object).map(_hashable, na_action="ignore")
    return ["" if text is None else text for text in texts_of(column)]


def _hashable(value: object) -> object:
    """Return a value of a column, of lists and the like as text."""
    if isinstance(value, np.ndarray):
        return str(value.tolist())
    return value if isinstance(value, Hashable) else str(value)


def number_texts(values: Array) -> list[str]:
    """Return numbers as text, each as short as it is exact.

    >>> number_texts(np.array([0.1, 1e-7, 250.0], dtype=np.float32))
    ['0.1', '1e-07', '250.0']
    """
    texts: list[str] = values.astype(str).tolist()
    return texts
