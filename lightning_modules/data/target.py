"""Turn the raw target into class numbers or scaled numbers, and back."""

import re
from typing import Annotated, Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd
from pydantic import Field

from lightning_modules.data.config import PrepareConfig
from lightning_modules.data.frames import Array, numbers_of, texts_of
from lightning_modules.errors import DataError
from lightning_modules.settings import Settings

_INTEGER = re.compile(r"-?[0-9]+")


def _is_off(value: object) -> bool:
    """Say whether a switch is off, which the record then leaves out."""
    return value is False


class ClassTarget(Settings):
    """The class labels that training saw, as text, in the order of their numbers."""

    kind: Literal["classes"] = "classes"
    classes: list[str]

    def apply(self, y: "pd.Series[Any] | Array") -> npt.NDArray[np.int64]:
        """Return the class number of each label, ``(rows,)``.

        Raises:
            DataError: if a label is missing or training never saw it: the label and its row.
        """
        texts = texts_of(y)
        codes = pd.Index(self.classes, dtype=object).get_indexer(pd.Index(texts, dtype=object))
        if (codes < 0).any():
            row = int((codes < 0).argmax())
            what = "has no label" if texts[row] is None else f"is of class {texts[row]!r}"
            raise DataError(
                "data",
                f"row {row + 1} {what}, which the training rows do not have",
                f"known classes: {', '.join(map(repr, self.classes[:20]))}",
            )
        return np.asarray(codes, dtype=np.int64)


class NumberTarget(Settings):
    """A number to predict: standardised for training, given back in its own units.

    With ``log`` it is the number's logarithm that is standardised.
    """

    kind: Literal["number"] = "number"
    mean: float
    sd: float
    log: bool = Field(False, exclude_if=_is_off)

    def apply(self, y: "pd.Series[Any] | Array") -> npt.NDArray[np.float32]:
        """Return ``(y - mean) / sd``, ``(rows,)``, of the logarithm with ``log``.

        Raises:
            DataError: if a value is missing, infinite, no number, or beyond float32 once scaled;
                or not above 0 although its logarithm is needed.
        """
        values = numbers_of(pd.Series(y, name="target"), where="data")
        wrong = ~np.isfinite(values)
        if wrong.any():
            row = int(wrong.argmax()) + 1
            raise DataError("data", f"the target of row {row} is missing or infinite")
        if self.log:
            values = _logarithms(values)
        scaled = (values - self.mean) / self.sd
        far = np.abs(scaled) > np.finfo(np.float32).max
        if far.any():
            row = int(far.argmax())
            raise DataError(
                "data", f"the target of row {row + 1}, {values[row]}, is too large", "rescale it"
            )
        return scaled.astype(np.float32)

    def invert(self, scaled: Array) -> npt.NDArray[np.float64]:
        """Return predictions of any shape in the target's own units."""
        values = np.asarray(scaled, dtype=np.float64) * self.sd + self.mean
        return np.exp(values) if self.log else values


Target: TypeAlias = Annotated[ClassTarget | NumberTarget, Field(discriminator="kind")]


def fit_target(
    y_train: "pd.Series[Any] | Array", *, task_kind: str, config: PrepareConfig
) -> ClassTarget | NumberTarget:
    """Fit on the targets of training rows alone, ``(rows,)``.

    Raises:
        DataError: if ``target`` is set for classes, which are not scaled; if a target is missing;
            if the numbers are too large to be float32; or if one is not above 0 and ``target`` is
            ``log``.
    """
    if task_kind != "regression":
        if config.target != PrepareConfig().target:
            raise DataError("data.prepare.target", "classes are not scaled", "remove it")
        labels = set(texts_of(y_train))
        if None in labels:
            raise DataError("data", "a training row has no label", "drop these rows")
        return ClassTarget(classes=natural_order(labels))
    values = numbers_of(pd.Series(y_train, name="target"), where="data")
    if not np.isfinite(values).all() or np.abs(values).max(initial=0) > 1e30:
        raise DataError(
            "data", "a training target is missing or beyond 1e30", "drop or rescale the target"
        )
    if config.target == "none":
        return NumberTarget(mean=0.0, sd=1.0)
    if config.target == "log":
        values = _logarithms(values)
    constant = values.min() == values.max()
    sd = 1.0 if constant else float(values.std()) or 1.0
    mean = float(values[0] if constant else values.mean())
    return NumberTarget(mean=mean, sd=sd, log=config.target == "log")


def _logarithms(values: Array) -> Array:
    wrong = values <= 0
    if wrong.any():
        row = int(wrong.argmax())
        what = f"the target of row {row + 1} is {values[row]:g}, which has no logarithm"
        raise DataError("data.prepare.target", what, "set it to standard")
    return np.asarray(np.log(values))


def natural_order(labels: set[str]) -> list[str]:
    """Return labels sorted: as numbers if all are integers, otherwise as text.

    >>> natural_order({"10", "9", "-1"}), natural_order({"10", "9", "a"})
    (['-1', '9', '10'], ['10', '9', 'a'])
    """
    if all(_INTEGER.fullmatch(label) for label in labels):
        return sorted(labels, key=lambda label: (int(label), label))
    return sorted(labels)
