"""Turn raw sequences into float32 of one length, by statistics of each channel."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from lightning_modules.data.config import PrepareConfig
from lightning_modules.data.fitting import fit_numbers
from lightning_modules.data.frames import Array
from lightning_modules.data.rounding import to_float32
from lightning_modules.errors import DataError
from lightning_modules.settings import Settings

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Steps:
    """The steps of all sequences one after the other.

    ``values`` are ``(steps, channels)``, NaN where one is missing; ``lengths`` are ``(rows,)``.
    """

    values: Floats
    lengths: npt.NDArray[np.int64]

    def differences(self) -> "Steps":
        """Return what each step adds to the one before; sequences become one step shorter."""
        within = np.ones(max(len(self.values) - 1, 0), dtype=bool)
        within[np.cumsum(self.lengths)[:-1] - 1] = False
        with np.errstate(over="ignore"):
            differences = np.clip(np.diff(self.values, axis=0), *_ENDS)
        return Steps(values=differences[within], lengths=self.lengths - 1)

    def padded(self, length: int) -> tuple[Floats, npt.NDArray[np.bool_]]:
        """Return ``(rows, length, channels)``, 0 behind the end, and which steps are real."""
        kept = np.minimum(self.lengths, length)
        real = np.arange(length) < kept[:, None]
        starts = np.cumsum(self.lengths) - self.lengths
        out = np.zeros((len(kept), length, self.values.shape[1]))
        out[real] = self.values[(starts[:, None] + np.arange(length))[real]]
        return out, real


_ENDS = (float(np.finfo(np.float64).min), float(np.finfo(np.float64).max))


class Channel(Settings):
    """A channel: missing numbers become ``fill``, then ``(value - center) / scale``.

    Differences are taken between the two.
    """

    fill: float
    center: float
    scale: float


class SequencePreparation(Settings):
    """The fitted channels of sequences, and the length that all are brought to.

    Where ``padded``, one more channel, the last, is 1 at real steps and 0 behind the end.
    """

    kind: Literal["sequence"] = "sequence"
    channels: list[Channel]
    length: int
    difference: int
    padded: bool

    def apply(self, x: Array) -> npt.NDArray[np.float32]:
        """Return sequences as ``(rows, length, channels)``.

        Args:
            x: ``(rows, steps, channels)``, or ``(rows,)`` of arrays ``(steps, channels)``.

        Raises:
            DataError: if a row has other channels, no steps, too few steps, or an infinite number.
        """
        steps = steps_of(x, "data", n_channels=len(self.channels))
        shortest = self.difference + (1 if self.padded else self.length)
        check_lengths(steps.lengths, shortest, "data")
        fills = np.array([channel.fill for channel in self.channels])
        steps = _differences(_filled(steps, fills), self.difference)
        with np.errstate(over="ignore"):
            scaled = (steps.values - [one.center for one in self.channels]) / [
                one.scale for one in self.channels
            ]
        scaled = np.clip(scaled, *_ENDS)
        out, real = Steps(values=scaled, lengths=steps.lengths).padded(self.length)
        if not self.padded:
            return to_float32(out)
        return to_float32(np.concatenate([out, real[..., None]], axis=2))


def fit_sequences(x: Array, config: PrepareConfig) -> SequencePreparation:
    """Fit on training rows alone; the padding counts nowhere.

    Args:
        x: ``(rows, steps, channels)``, or ``(rows,)`` of arrays ``(steps, channels)``; these are
            padded whatever lengths are among them.
        config: how.

    Raises:
        DataError: if a row has too few steps for the differences.
    """
    raw = steps_of(x, "data")
    check_lengths(raw.lengths, config.difference + 1, "data.prepare.difference")
    plain = config.model_copy(update={"scale": "none"})
    fills = np.array([fit_numbers(values, "", plain).fill for values in raw.values.T])
    steps = _differences(_filled(raw, fills), config.difference)
    fitted = [fit_numbers(values, "", config) for values in steps.values.T]
    longest = int(steps.lengths.max())
    length = config.length or longest
    return SequencePreparation(
        channels=[
            Channel(fill=float(fill), center=one.center, scale=one.scale)
            for fill, one in zip(fills, fitted, strict=True)
        ],
        length=length,
        difference=config.difference,
        padded=x.dtype == object or length > longest,
    )


def steps_of(x: Array, where: str, *, n_channels: int | None = None, done: int = 0) -> Steps:
    """Return the steps of sequences as float64.

    Args:
        x: ``(rows, steps, channels)``, or ``(rows,)`` of arrays ``(steps, channels)``.
        where: begins the errors.
        n_channels: how many each must have; by default as many as the first one.
        done: how many rows came before, for the errors.

    Raises:
        DataError: if a row is no numbers, has other channels, no steps, or an infinite number.
    """
    rows: Sequence[Array] = list(x)
    n_channels = rows[0].shape[-1] if n_channels is None else n_channels
    for i, row in enumerate(rows):
        if row.ndim != 2 or row.dtype.kind not in "biuf":
            what = f"row {done + i + 1} is {row.dtype} of shape {row.shape}"
            raise DataError(where, what, "a sequence is numbers of shape (steps, channels)")
        if row.shape[1] != n_channels or not n_channels:
            what = f"row {done + i + 1} has {row.shape[1]} channels"
            raise DataError(where, what, f"expected {n_channels or 'at least 1'}")
    lengths = np.array([len(row) for row in rows], dtype=np.int64)
    check_lengths(lengths, 1, where, done=done)
    values = np.concatenate(rows).astype(np.float64)
    infinite = np.isinf(values).any(axis=1)
    if infinite.any():
        at = int(np.searchsorted(np.cumsum(lengths), int(infinite.argmax()), side="right"))
        what = f"row {done + at + 1} has an infinite number"
        raise DataError(where, what, "correct or remove it")
    return Steps(values=values, lengths=lengths)


def check_lengths(lengths: npt.NDArray[np.int64], least: int, where: str, *, done: int = 0) -> None:
    """Check that all sequences have ``least`` steps; ``done`` rows came before them.

    Raises:
        DataError: if one has not: its row.
    """
    if not (lengths < least).any():
        return
    row = int((lengths < least).argmax())
    if not lengths[row]:
        raise DataError(where, f"row {done + row + 1} has no steps", "remove the row")
    steps = "1 step" if lengths[row] == 1 else f"{lengths[row]} steps"
    raise DataError(where, f"row {done + row + 1} has {steps}", f"at least {least} are needed")


def _filled(steps: Steps, fills: Floats) -> Steps:
    filled = np.where(np.isnan(steps.values), fills, steps.values)
    return Steps(values=filled, lengths=steps.lengths)


def _differences(steps: Steps, order: int) -> Steps:
    for _ in range(order):
        steps = steps.differences()
    return steps
