"""The stopwatch: each instant counts once, and nothing is counted while it is off."""

import threading
from collections.abc import Iterator

import pytest

from lightning_modules import phases
from lightning_modules.phases import Span, Stopwatch, phase, running, stopwatch, timed


def ticking() -> Iterator[float]:
    """Return 0, 1, 2, …"""
    yield from map(float, range(1000))


def clocked() -> Stopwatch:
    """Return a stopwatch on whose clock a second passes between two looks."""
    ticks = ticking()
    return Stopwatch(clock=lambda: next(ticks))


def test_a_phase_within_another_interrupts_it() -> None:
    watch = clocked()  # 0
    outer = watch.begin("records")  # 1
    inner = watch.begin("storage")  # 2
    watch.end(inner)  # 3
    watch.end(outer)  # 4
    watch.stop()  # 5
    assert watch.seconds == {"other": 2.0, "records": 2.0, "storage": 1.0}


def test_the_phases_add_up_to_the_whole() -> None:
    watch = Stopwatch(since=None, clock=iter([0.0, 0.1, 0.7, 3.0, 3.5]).__next__)
    first = watch.begin("training")
    watch.begin("waiting")  # left open
    watch.end(first)
    watch.stop()
    assert sum(watch.seconds.values()) == pytest.approx(3.5)


def test_what_passed_before_a_stopwatch_is_start_up() -> None:
    watch = Stopwatch(since=-4.0, clock=iter([0.0, 1.0]).__next__)
    watch.stop()
    assert watch.seconds == {"start-up": 4.0, "other": 1.0}


def test_closing_a_phase_closes_what_was_left_open_in_it() -> None:
    watch = clocked()
    outer = watch.begin("other")
    lost = watch.begin("training")
    watch.end(outer)
    again = watch.begin("records")
    watch.end(lost)  # closed long ago: not the phase that has its place now
    watch.end(again)
    watch.stop()
    assert watch.seconds["records"] == 1.0


def test_nothing_is_counted_and_nothing_made_while_no_stopwatch_runs() -> None:
    span = Span("training")
    span.begin()
    assert phase("data") is phase("storage")
    assert not running()
    span.end()


def test_an_error_closes_its_phase() -> None:
    with stopwatch() as watch:
        with pytest.raises(RuntimeError), phase("data"):
            raise RuntimeError
        with phase("storage"):
            pass
    assert list(watch.seconds) == ["other", "data", "storage"]
    assert not running()


def test_a_function_is_counted_for_its_phase() -> None:
    @timed("sampling")
    def double(number: int) -> int:
        return 2 * number

    assert double(2) == 4
    with stopwatch() as watch:
        assert double(3) == 6
    assert "sampling" in watch.seconds


def test_a_span_opens_once_and_closes_once() -> None:
    span = Span("training")
    with stopwatch() as watch:
        span.begin()
        span.begin()
        span.end()
        span.end()
        with phase("records"):
            assert phases._running is watch
    assert set(watch.seconds) == {"other", "training", "records"}


def test_another_thread_is_not_counted() -> None:
    def elsewhere() -> None:
        with phase("storage"):
            pass

    with stopwatch() as watch:
        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()
    assert set(watch.seconds) == {"other"}


def test_the_stopwatch_of_before_goes_on() -> None:
    with stopwatch() as outer:
        with stopwatch():
            pass
        with phase("data"):
            pass
    assert "data" in outer.seconds
