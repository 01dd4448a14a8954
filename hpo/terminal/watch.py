"""A study followed from another terminal until it ends; no torch, no Optuna."""

import time
from collections.abc import Callable

from rich.live import Live
from rich.text import Text

from hpo.layout import StudyFolder
from hpo.steering.status import Status, headline, status_lines, status_of
from hpo.terminal.answer import answer, error_console, say, wants_screen

EVERY_S = 1.0


def watch(folder: StudyFolder) -> None:
    """Show how far a study is, every second, until nobody runs it; then answer as `hpo status`.

    In a terminal one screen is redrawn; elsewhere a line is written whenever a trial has ended.
    """
    if wants_screen(plain=False):
        with Live(console=error_console(), auto_refresh=False, transient=True) as live:
            last = _follow(folder, lambda now: live.update(_screen(now), refresh=True))
    else:
        last = _follow(folder, _Lines())
    answer("\n".join(status_lines(last)))


def _follow(folder: StudyFolder, show: Callable[[Status], None]) -> Status:
    while True:
        now = status_of(folder)
        if now.owner is None:
            return now
        show(now)
        time.sleep(EVERY_S)


def _screen(now: Status) -> Text:
    text = Text("\n".join(status_lines(now)), no_wrap=True, overflow="ellipsis")
    text.append("\nCtrl-C ends this view; the study goes on", style="dim")
    return text


class _Lines:
    """Write the headline whenever another trial has ended."""

    def __init__(self) -> None:
        self._ended = -1

    def __call__(self, now: Status) -> None:
        if now.ended != self._ended:
            self._ended = now.ended
            say(headline(now))
