"""The progress of predictions: a bar in a terminal, a line at the end, nothing when quiet."""

import io
import re
import sys

import pytest
from rich.console import Console

from hpo.terminal import predicting
from hpo.terminal.predicting import progress_of_rows


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Let standard error be a terminal; return what it shows."""
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(predicting, "REDRAW_S", 0.0)
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    console = Console(file=screen, force_terminal=True, width=80, height=24)
    monkeypatch.setattr(predicting, "error_console", lambda: console)
    return screen


def test_a_terminal_sees_a_bar_that_goes_at_the_end(
    monkeypatch: pytest.MonkeyPatch, visible
) -> None:
    screen = terminal(monkeypatch)
    with progress_of_rows(quiet=False, to_terminal=False) as progress:
        progress.told(0, None)
        progress.told(1500, 0.5)
        progress.told(1500, None)
    lines = visible(screen.getvalue())
    assert any(
        re.match(r"\[#{12}-{12}\]  50%  1,500 rows in 0.0s, [0-9,]+ rows/s", x) for x in lines
    )
    assert re.fullmatch(r"3,000 rows in 0.0s, [0-9,]+ rows/s", lines[-2])


def test_a_bar_is_not_in_the_way_of_predictions(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = terminal(monkeypatch)
    monkeypatch.setattr(sys, "stdout", Terminal())
    with progress_of_rows(quiet=False, to_terminal=True) as progress:
        progress.told(1, 1.0)
    assert re.fullmatch(r"1 row in 0.0s, [0-9,]+ rows/s\n", screen.getvalue())


def test_nothing_is_said_when_quiet_or_of_what_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = terminal(monkeypatch)
    with progress_of_rows(quiet=True, to_terminal=False) as progress:
        progress.told(1, 1.0)
    with (
        pytest.raises(ValueError, match="no"),
        progress_of_rows(quiet=False, to_terminal=True) as progress,
    ):
        raise ValueError("no")
    assert "rows" not in screen.getvalue()
