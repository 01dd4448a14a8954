"""Predictions in a terminal: their progress on standard error, and how they end before the end."""

import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TextIO

import typer
from rich.live import Live
from rich.text import Text

from hpo.errors import UsageError
from hpo.terminal.answer import error_console, leave_standard_output, say, wants_screen
from hpo.words import duration

REDRAW_S = 0.25
_BAR = 24


class Progress:
    """Counts rows, and shows how many there are and how fast they come."""

    def __init__(self, live: Live | None) -> None:
        self._live, self._drawn = live, 0.0
        self._begun = time.monotonic()
        self.n_rows = 0

    def told(self, n_rows: int, share: float | None) -> None:
        """Count more rows, and draw if it is time; see `hpo.predict.stream.Told`."""
        if not n_rows:
            self._begun = time.monotonic()
        self.n_rows += n_rows
        if self._live is not None and time.monotonic() - self._drawn >= REDRAW_S:
            self._drawn = time.monotonic()
            self._live.update(Text(self.line(share), no_wrap=True), refresh=True)

    def line(self, share: float | None = None) -> str:
        """Return what there is to say."""
        seconds = max(time.monotonic() - self._begun, 1e-3)
        rows = "1 row" if self.n_rows == 1 else f"{self.n_rows:,} rows"
        text = f"{rows} in {duration(seconds)}, {self.n_rows / seconds:,.0f} rows/s"
        if share is None:
            return text
        filled = round(_BAR * share)
        return f"[{'#' * filled}{'-' * (_BAR - filled)}] {share:4.0%}  {text}"


@contextmanager
def progress_of_rows(*, quiet: bool, to_terminal: bool) -> Iterator[Progress]:
    """Give what counts rows, and say at the end how many there were.

    Args:
        quiet: say nothing at all.
        to_terminal: whether the predictions themselves appear on standard output, where a bar
            would be in their way if it is a terminal.
    """
    in_the_way = to_terminal and sys.stdout.isatty()
    shown = not quiet and not in_the_way and wants_screen(plain=False)
    live = Live(console=error_console(), auto_refresh=False, transient=True) if shown else None
    progress = Progress(live)
    if live is None:
        yield progress
    else:
        with live:
            yield progress
    if not quiet:
        say(progress.line())


@contextmanager
def standard_output() -> Iterator[TextIO]:
    """Give standard output; when nobody reads on, as behind ``| head``, all is well.

    Raises:
        Exit: with 0 if its reader is gone.
        UsageError: if it is closed, or cannot be written.
    """
    if sys.stdout is None:
        raise UsageError("stdout", "is closed", "name a file with -o")
    try:
        yield sys.stdout
        sys.stdout.flush()
    except BrokenPipeError:
        leave_standard_output()
        raise typer.Exit(0) from None
    except OSError as error:
        leave_standard_output()
        raise UsageError("stdout", f"cannot be written: {error.strerror}", "free space") from None


@contextmanager
def ended_tidily() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end the process as Ctrl-C does: no half file stays."""

    def end(number: int, _: FrameType | None) -> None:
        sys.exit(128 + number)

    changed = []
    if threading.current_thread() is threading.main_thread():
        both = (signal.SIGTERM, signal.SIGHUP)
        changed = [one for one in both if signal.getsignal(one) is signal.SIG_DFL]
    for one in changed:
        signal.signal(one, end)
    try:
        yield
    finally:
        for one in changed:
            signal.signal(one, signal.SIG_DFL)
