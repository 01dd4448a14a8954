"""A predictor: how rows are read for it, and what it says of them; no torch."""

from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

from lightning_modules.data.fitted import Fitted
from lightning_modules.data.frames import Array
from lightning_modules.settings import Settings

Floats: TypeAlias = npt.NDArray[np.float32]
Raw: TypeAlias = "pd.DataFrame | Array"
"""Rows before preparation, with the types of training.

A table is a frame of the fitted columns by name: float64 (NaN where missing), objects (text, None
where missing), moments (NaT where missing). Of a series each row is ``window`` consecutive steps of
such a frame, one row's after the other's, with the predicted column beside the others. Images are
``(rows, channels, height, width)``, sequences ``(rows, steps, channels)`` or ``(rows,)`` of arrays
``(steps, channels)``, texts ``(rows,)`` of objects.
"""


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """How new rows are read: as training read them."""

    data: Settings
    """The section ``data`` of the config."""
    fitted: Fitted


@dataclass(frozen=True, kw_only=True)
class Answers:
    """What is predicted of a row."""

    kind: str
    """Of the task."""
    classes: list[str] | None
    """In the order of the probabilities; None where there are none."""
    target_names: list[str] | None
    """Of labels, or of several numbers."""


class Predictor(Protocol):
    """A trained model, or several as one."""

    @property
    def inputs(self) -> Inputs:
        """How rows are read for it."""
        ...

    @property
    def answers(self) -> Answers:
        """What it says of a row."""
        ...

    def outputs(self, raw: Raw) -> Floats:
        """Return what it says of rows.

        Probabilities are ``(rows, classes)`` or ``(rows, labels)``; numbers ``(rows,)``, of several
        targets or steps ``(rows, targets)``, in their own units.

        Raises:
            DataError: if the rows do not fit.
        """
        ...
