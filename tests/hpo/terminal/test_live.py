import io
import re

from rich.cells import cell_len
from rich.console import Console

from hpo.terminal.live import LiveObserver
from hpo.tracking.observers import StudyEnd, StudyStart


def heights(screen: str) -> list[int]:
    """Return how many lines were taken back before each redraw."""
    return [
        len(run) // len("\x1b[1A\x1b[2K") + 1
        for run in re.findall(r"(?:\x1b\[1A\x1b\[2K)+", screen)
    ]


def test_the_view_never_has_more_than_18_lines(finished) -> None:
    assert len(heights(finished.screen)) > 30
    assert 8 < max(heights(finished.screen)) <= 18


def test_no_line_is_wider_than_the_terminal(finished, visible) -> None:
    assert max(cell_len(line) for line in visible(finished.screen)) <= 80


def test_the_view_shows_title_progress_best_and_failure(finished, visible) -> None:
    text = "\n".join(visible(finished.screen))
    assert "tiny  accuracy ↑   4 dimensions   random + median   seed 3" in text
    assert "[########################]  trial 7/7" in text
    assert "✓ 3  ✂ 3  ✗ 1" in text
    assert "default was 0.4667)" in text
    assert "✗ trial 4: non-finite loss" in text


def test_a_running_trial_shows_its_curve(finished, visible) -> None:
    text = "\n".join(visible(finished.screen))
    assert re.search(r"trial 0  mlp 1×32 adamw lr 0.001  epoch 3/3  0\.\d{4}  ▁.█", text)


def test_the_view_leaves_the_terminal_as_it_was(finished) -> None:
    assert finished.screen.count("\x1b[?25l") == finished.screen.count("\x1b[?25h") == 1
    last = heights(finished.screen)[-1]
    assert finished.screen.endswith("\x1b[1A\x1b[2K" * (last - 1))


def test_a_long_history_fits_a_small_terminal(finished, visible) -> None:
    screen = io.StringIO()
    observer = LiveObserver(Console(file=screen, force_terminal=True, width=40, height=24))
    past = [
        record.model_copy(update={"number": n}) for n, record in enumerate(finished.records * 20)
    ]
    start = StudyStart(
        spec=finished.spec,
        folder=finished.folder,
        metric="accuracy",
        direction="maximize",
        past=past,
        total=None,
    )
    observer.study_started(start)
    observer.study_ended(
        StudyEnd(why="budget", records=past, best=None, new=0, seconds=0.0, direction="maximize")
    )
    assert max(heights(screen.getvalue())) <= 18
    assert max(cell_len(line) for line in visible(screen.getvalue())) <= 40
    assert "trial 140   " in screen.getvalue()
