"""Send what the libraries say into the study's log file instead of the terminal."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LIBRARIES = (
    "lightning_modules",
    "pytorch_lightning",
    "lightning",
    "lightning_fabric",
    "optuna",
    "torch",
    "py.warnings",
)


@contextmanager
def log_to(path: Path | None) -> Iterator[None]:
    """Let the libraries' warnings and Python's go to ``path`` only; None: nowhere."""
    handler = logging.NullHandler() if path is None else logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    loggers = [logging.getLogger(name) for name in LIBRARIES]
    before = [(one.handlers[:], one.propagate, one.level) for one in loggers]
    for one in loggers:
        one.handlers, one.propagate = [handler], False
        one.setLevel(logging.WARNING)
    logging.captureWarnings(True)
    try:
        yield
    finally:
        logging.captureWarnings(False)
        for one, (handlers, propagate, level) in zip(loggers, before, strict=True):
            one.handlers, one.propagate = handlers, propagate
            one.setLevel(level)
        handler.close()
