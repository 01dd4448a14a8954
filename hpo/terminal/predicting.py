"""The progress of predictions on standard error: a bar in a terminal, one line at the end."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.live import Live
from rich.text import Text

from hpo.terminal.answer import error_console, say, wants_screen
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
