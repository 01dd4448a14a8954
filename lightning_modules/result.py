"""What a run leaves behind, apart from its files: RunResult, and the protocol of its reports."""

from enum import StrEnum
from typing import Any, Literal, Protocol

from pydantic import Field

from lightning_modules.settings import Settings

SECONDS, SPEED = "train/seconds", "train/samples_per_second"
TIMED = ("seconds", SECONDS, SPEED)
"""Columns of a curve, and metrics, that measure the machine and not the training."""


class Command(StrEnum):
    """The answer to a report."""

    CONTINUE = "continue"
    STOP = "stop"
    """Stop here: the pruner said so, or the user. The run ends with what it has."""
    ABANDON = "abandon"
    """Stop here: the study ends or gives the run back. No result is made."""


class Validation(Settings):
    """One validation of a run: the report that listener and curve receive."""

    validation: int
    """Counted from 1."""
    epoch: float
    """Epochs of training so far, fractions included."""
    step: int
    seconds: float
    objective: float
    best: bool
    """Whether this is the best objective so far."""
    metrics: dict[str, float]
    pace: dict[str, float] = Field(default_factory=dict)
    """``train/seconds`` of training since the last validation, and ``train/samples_per_second``."""


class Listener(Protocol):
    """Who is told of a run's progress and says whether it goes on."""

    def validated(self, validation: Validation) -> Command:
        """Take the report of a validation."""
        ...

    def batch_ended(self) -> Command:
        """Answer whether to go on; asked after every batch."""
        ...


class Checkpoint(Settings):
    """The file of the best weights, relative to the run's folder."""

    path: str
    sha256: str
    bytes: int


class DataRecord(Settings):
    """Which data a run saw."""

    source: str
    sha256: str | None
    split_sha256: str | None
    preparation_sha256: str | None
    n_rows: dict[str, int]
    classes: list[str] | None
    majority_class: float | None
    """The accuracy on the training rows of always saying the most frequent class."""


class RunResult(Settings):
    """The outcome of one training; ``value`` is the objective at its best validation."""

    value: float
    best_validation: int
    best_epoch: float
    metrics: dict[str, float]
    stopped_by: Literal["max_epochs", "early_stopping", "pruner", "user"]
    epochs_run: float
    validations: int
    steps: int
    seconds: float
    train_seconds: float | None = None
    """Of them those of training; the others went into validations and files."""
    samples_per_second: float | None = None
    """Rows trained in a second of training; None where nobody knows what a row is."""
    n_parameters: int
    size_bytes: int
    flops: int | None = None
    """Floating-point operations of one row's way forward, a multiplication and an addition two."""
    latency_ms: float | None
    """Median time of one row on the CPU, with the threads of the config."""
    latency: dict[str, float] = Field(default_factory=dict)
    """The same of batches, by their rows: ``"1"`` and ``"64"``."""
    null_because: dict[str, str] = Field(default_factory=dict)
    """Why a number is None; records of before there were reasons have none."""
    device: str
    checkpoint: Checkpoint
    data: DataRecord
    folds: list[float] | None = Field(None, exclude_if=lambda folds: folds is None)
    """The objective of each fold, whose mean is ``value``; then the network is the first's."""

    @property
    def n_validated(self) -> int | None:
        """How many rows ``value`` was measured on: one split's, or those of all folds."""
        rows = self.data.n_rows
        if self.folds is None or "validation" not in rows:
            return rows.get("validation")
        # The data are those of the first fold: what it did not train on, the others did.
        return rows["train"] + rows["validation"]

    def plain(self) -> dict[str, Any]:
        """Return this result as plain values, ready for JSON."""
        return self.model_dump(mode="json")
