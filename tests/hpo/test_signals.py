import os
import signal
import threading

import pytest

from hpo.signals import interruptible
from hpo.supervisor import StopNow


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_interrupts_once_and_is_remembered(number: int) -> None:
    calls: list[int] = []
    with interruptible(lambda: calls.append(1)) as received:
        os.kill(os.getpid(), number)
        assert (received, calls) == ([number], [1])


def test_a_second_signal_stops_now() -> None:
    with interruptible(lambda: None):
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(StopNow):
            os.kill(os.getpid(), signal.SIGTERM)


def test_the_handlers_of_before_are_put_back() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with pytest.raises(KeyError), interruptible(lambda: None):
        raise KeyError
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_stop_now_is_no_exception_that_a_trial_could_catch() -> None:
    assert not issubclass(StopNow, Exception)


def test_outside_of_the_main_thread_nothing_is_changed() -> None:
    before, seen = signal.getsignal(signal.SIGINT), []

    def work() -> None:
        with interruptible(lambda: None) as received:
            seen.append((received, signal.getsignal(signal.SIGINT)))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [([], before)]
