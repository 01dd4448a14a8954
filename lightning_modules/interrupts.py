"""Signals while a run trains: they are the program's own business, not Lightning's."""

import signal
import threading
from typing import Any

import pytorch_lightning as pl


class OwnSignals(pl.Callback):
    """Put back the handler of SIGTERM that this process had when the trainer was made.

    Lightning replaces it for the time of a training, and then ends the process between two
    batches: no checkpoint would be taken there, and nobody would be told.
    """

    def __init__(self) -> None:
        self._handler = signal.getsignal(signal.SIGTERM)

    def on_train_start(self, *_: Any) -> None:
        """Put the handler back; Lightning registers its own before this."""
        if self._handler is not None and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, self._handler)
