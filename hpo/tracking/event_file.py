"""A file of TensorBoard's events, written at once: no thread whose failure nobody would see."""

import itertools
import secrets
import time
from pathlib import Path
from typing import Any

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter

from hpo.files import make_folder
from hpo.room import patiently

EVERY_S = 1.0
"""How long a curve may wait to be written; the end of a trial is written at once."""
_count = itertools.count()


class EventFile:
    """One file of events in a folder of its own run.

    Raises:
        NoRoom: from every method that writes, if the disk stays full.
    """

    def __init__(self, folder: Path) -> None:
        make_folder(folder)
        token = secrets.token_hex(4)  # not the machine's name: results are shown to others
        name = f"events.out.tfevents.{int(time.time()):010d}.{next(_count):06d}.{token}"
        self._path = folder / name
        self._pending = bytearray()
        self._records = RecordWriter(self)
        self._records.write(
            Event(wall_time=time.time(), file_version="brain.Event:2").SerializeToString()
        )
        self.flush()

    def add(self, summary: Any, *, step: int) -> None:
        """Take a summary; `flush` writes it."""
        event = Event(summary=summary, step=step, wall_time=time.time())
        self._records.write(event.SerializeToString())

    def add_scalar(self, tag: str, value: float, *, step: int) -> None:
        """Take one number."""
        self.add(Summary(value=[Summary.Value(tag=tag, simple_value=value)]), step=step)

    def add_image(self, tag: str, png: bytes, *, step: int) -> None:
        """Take a picture."""
        image = Summary.Image(encoded_image_string=png, colorspace=3)
        self.add(Summary(value=[Summary.Value(tag=tag, image=image)]), step=step)

    def write(self, data: bytes) -> None:
        """Take the bytes of a record."""
        self._pending += data

    def tick(self) -> None:
        """Write what was taken if it has waited long enough."""
        if self._pending and time.monotonic() - self._written >= EVERY_S:
            self.flush()

    def flush(self) -> None:
        """Write what was taken."""
        patiently(self._append, str(self._path))
        self._written = time.monotonic()

    def _append(self) -> None:
        """Append what is pending; what a full disk took of it is not written twice."""
        with self._path.open("ab", buffering=0) as stream:
            while self._pending:
                del self._pending[: stream.write(self._pending)]
