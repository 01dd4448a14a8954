"""What a run leaves behind: its curve, and the weights of its best validation.

A short run has many validations, and a file that was put on the disk at each of them would cost
more than to train. Nobody reads the weights before the run ends or is left: those of a small
network wait in memory until then. A curve is followed by people, and is written once a second.
"""

import hashlib
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch

from lightning_modules.checkpoint import bytes_of_weights, content_of, take_weights
from lightning_modules.curve import CURVE, write_curve
from lightning_modules.durable import file_sha256, replacing
from lightning_modules.errors import TrialFailed
from lightning_modules.result import Checkpoint, Validation
from lightning_modules.running import BEST_CHECKPOINT

CURVE_EVERY_S = 1.0
"""How old the curve of a run may be on the disk while it trains."""
MOST_WAITING = 64 * 2**20
"""Larger weights than this many bytes are written at once, and do not fill the memory."""


class Outcome:
    """Keeps the curve and the best weights of one run, and writes them to its folder.

    Args:
        folder: of the run.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._sha256 = ""
        self._waiting: dict[str, Any] | None = None
        """The checkpoint of the best weights that is not on the disk yet."""
        self._curve: Sequence[Validation] | None = None
        """The curve that is not on the disk yet."""
        self._written = time.monotonic()

    def validated(self, trainer: pl.Trainer, validations: Sequence[Validation]) -> None:
        """Take in the last validation; if it is the best, the weights as they are now.

        Raises:
            TrialFailed: reason ``disk`` if there is no room.
        """
        if validations[-1].best:
            self._waiting = take_weights(trainer)
            if bytes_of_weights(self._waiting) > MOST_WAITING:
                self._write_weights()
        self._curve = validations
        if time.monotonic() - self._written >= CURVE_EVERY_S:
            self._write_curve()

    def settle(self) -> None:
        """Write all that waits.

        Raises:
            TrialFailed: reason ``disk`` if there is no room.
        """
        self._write_weights()
        self._write_curve()

    def checkpoint(self) -> Checkpoint:
        """Describe the file of the best weights, as it was written.

        Raises:
            TrialFailed: reason ``disk`` if there is no room, or it is damaged since.
        """
        self._write_weights()
        path = self._folder / BEST_CHECKPOINT
        if not path.is_file() or file_sha256(path) != self._sha256:
            what = f"{path}: is not what was written there"
            raise TrialFailed("disk", what, "check the disk, then run the same command again")
        return Checkpoint(path=BEST_CHECKPOINT, sha256=self._sha256, bytes=path.stat().st_size)

    def content(self) -> torch.Tensor:
        """Return the bytes of the file of the best weights, ``(size,)``; not read yet.

        Raises:
            TrialFailed: reason ``disk`` if there is no room, or it is damaged since.
        """
        path = self._folder / self.checkpoint().path
        return torch.from_file(str(path), shared=False, size=path.stat().st_size, dtype=torch.uint8)

    def restore(self, content: torch.Tensor | None, validations: Sequence[Validation]) -> None:
        """Put weights and curve back as they were; None was before the first validation.

        Raises:
            TrialFailed: reason ``disk`` if there is no room.
        """
        forget_outcome(self._folder)
        self._waiting = self._curve = None
        if content is not None:
            self._put(content.numpy().data)
            write_curve(self._folder / CURVE, validations)

    def _write_weights(self) -> None:
        if self._waiting is not None:
            self._put(content_of(self._waiting))
            self._waiting = None

    def _put(self, content: memoryview) -> None:
        """Put the best weights on the disk, and remember what they should be."""
        with replacing(self._folder / BEST_CHECKPOINT) as temporary:
            temporary.write_bytes(content)
        self._sha256 = hashlib.sha256(content).hexdigest()

    def _write_curve(self) -> None:
        if self._curve is not None:
            write_curve(self._folder / CURVE, self._curve)
            self._curve, self._written = None, time.monotonic()


def forget_outcome(folder: Path) -> None:
    """Delete best weights and curve of a run that has not come, or returns, to where it had one."""
    for name in (BEST_CHECKPOINT, CURVE):
        (folder / name).unlink(missing_ok=True)
