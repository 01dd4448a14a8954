"""Turn the raw target into class numbers, scaled numbers or labels, and back."""

import re
from collections.abc import Sequence
from typing import Annotated, Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd
from pydantic import Field

from lightning_modules.data.config import PrepareConfig
from lightning_modules.data.frames import Array, numbers_of, texts_of
from lightning_modules.errors import DataError
from lightning_modules.settings import Settings
from lightning_modules.task import NUMBERS

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

    def apply(
        self, y: "pd.Series[Any] | Array", *, name: str | None = None
    ) -> npt.NDArray[np.float32]:
        """Return ``(y - mean) / sd``, ``(rows,)``, of the logarithm with ``log``.

        Raises:
            DataError: if a value is missing, infinite, no number, or beyond float32 once scaled;
                or not above 0 although its logarithm is needed. With ``name`` it is named.
        """
        values = numbers_of(pd.Series(y, name=name or "target"), where="data")
        wrong = ~np.isfinite(values)
        if wrong.any():
            row = int(wrong.argmax()) + 1
            raise DataError("data", f"{_of_row(row, name)} is missing or infinite")
        if self.log:
            values = _logarithms(values, name)
        scaled = (values - self.mean) / self.sd
        far = np.abs(scaled) > np.finfo(np.float32).max
        if far.any():
            row = int(far.argmax())
            what = f"{_of_row(row + 1, name)}, {values[row]}, is too large"
            raise DataError("data", what, "rescale it")
        return scaled.astype(np.float32)

    def invert(self, scaled: Array) -> npt.NDArray[np.float64]:
        """Return predictions of any shape in the target's own units."""
        values = np.asarray(scaled, dtype=np.float64) * self.sd + self.mean
        return np.exp(values) if self.log else values


class NumbersTarget(Settings):
    """Several numbers to predict of each row, each with statistics of its own."""

    kind: Literal["numbers"] = "numbers"
    names: list[str]
    each: list[NumberTarget]

    def apply(self, y: "pd.Series[Any] | Array") -> npt.NDArray[np.float32]:
        """Return scaled targets, ``(rows, targets)``, of such an array.

        Raises:
            DataError: as `NumberTarget.apply`, with the target's name.
        """
        values = np.asarray(y)
        columns = [
            one.apply(values[:, i], name=name)
            for i, (name, one) in enumerate(zip(self.names, self.each, strict=True))
        ]
        return np.stack(columns, axis=1)

    def invert(self, scaled: Array) -> npt.NDArray[np.float64]:
        """Return predictions ``(rows, targets)`` in the targets' own units."""
        return np.stack([one.invert(scaled[:, i]) for i, one in enumerate(self.each)], axis=1)


class LabelsTarget(Settings):
    """Labels of which a row has any number; nothing of them is fitted."""

    kind: Literal["labels"] = "labels"
    names: list[str]

    def apply(self, y: "pd.Series[Any] | Array") -> npt.NDArray[np.float32]:
        """Return 0 or 1 for each label, ``(rows, labels)``, of such an array."""
        return np.asarray(y, dtype=np.float32)


AnyTarget: TypeAlias = ClassTarget | NumberTarget | NumbersTarget | LabelsTarget
Target: TypeAlias = Annotated[AnyTarget, Field(discriminator="kind")]


def fit_target(
    y_train: "pd.Series[Any] | Array",
    *,
    task_kind: str,
    config: PrepareConfig,
    names: Sequence[str] | None = None,
) -> AnyTarget:
    """Fit on the targets of training rows alone: ``(rows,)``, or ``(rows, targets)``.

    Args:
        y_train: the targets; of labels, 0 and 1.
        task_kind: of the task.
        config: how numbers are scaled.
        names: of the targets, where there are several.

    Raises:
        DataError: if ``target`` is set for classes, which are not scaled; if a target is missing;
            if the numbers are too large to be float32; or if one is not above 0 and ``target`` is
            ``log``.
    """
    if task_kind == "multilabel":
        return LabelsTarget(names=list(names or ()))
    if task_kind in NUMBERS and names is not None:
        columns = np.asarray(y_train)
        each = [_fit_number(columns[:, i], config, name) for i, name in enumerate(names)]
        return NumbersTarget(names=list(names), each=each)
    if task_kind not in NUMBERS:
        if config.target != PrepareConfig().target:
            raise DataError("data.prepare.target", "classes are not scaled", "remove it")
        labels = set(texts_of(y_train))
        if None in labels:
            raise DataError("data", "a training row has no label", "drop these rows")
        return ClassTarget(classes=natural_order(labels))
    return _fit_number(y_train, config)


def _fit_number(
    y_train: "pd.Series[Any] | Array", config: PrepareConfig, name: str | None = None
) -> NumberTarget:
    values = numbers_of(pd.Series(y_train, name=name or "target"), where="data")
    if not np.isfinite(values).all() or np.abs(values).max(initial=0) > 1e30:
        which = "target" if name is None else f"target {name!r}"
        raise DataError(
            "data", f"a training {which} is missing or beyond 1e30", "drop or rescale the target"
        )
    if config.target == "none":
        return NumberTarget(mean=0.0, sd=1.0)
    if config.target == "log":
        values = _logarithms(values, name)
    constant = values.min() == values.max()
    sd = 1.0 if constant else float(values.std()) or 1.0
    mean = float(values[0] if constant else values.mean())
    return NumberTarget(mean=mean, sd=sd, log=config.target == "log")


def _of_row(row: int, name: str | None) -> str:
    """Name a target; rows are counted from 1."""
    return f"the target {'' if name is None else f'{name!r} '}of row {row}"


def _logarithms(values: Array, name: str | None = None) -> Array:
    wrong = values <= 0
    if wrong.any():
        row = int(wrong.argmax())
        what = f"{_of_row(row + 1, name)} is {values[row]:g}, which has no logarithm"
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
