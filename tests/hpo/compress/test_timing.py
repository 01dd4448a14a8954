"""Forms are timed turn by turn, each so often."""

from collections.abc import Callable

from hpo.compress.timing import CALLS, FEWEST, WARM_UP, latencies


class Clock:
    """Seconds that pass only when something is called."""

    def __init__(self) -> None:
        self.now = 0.0
        self.order: list[str] = []

    def __call__(self) -> float:
        return self.now

    def takes(self, name: str, seconds: float) -> Callable[[], None]:
        def call() -> None:
            self.order.append(name)
            self.now += seconds

        return call


def test_half_of_the_calls_and_99_in_100_take_no_longer() -> None:
    clock = Clock()
    quick, slow = clock.takes("a", 0.001), clock.takes("b", 0.004)
    found = latencies([quick, slow], clock=clock)
    assert [round(one.p50_ms, 6) for one in found] == [1.0, 4.0]
    assert [round(one.p99_ms, 6) for one in found] == [1.0, 4.0]
    assert {one.calls for one in found} == {CALLS}


def test_forms_take_turns() -> None:
    clock = Clock()
    latencies([clock.takes("a", 0.001), clock.takes("b", 0.001)], clock=clock)
    assert clock.order == ["a", "b"] * (WARM_UP + CALLS)


def test_slow_forms_are_called_less_often() -> None:
    clock = Clock()
    assert latencies([clock.takes("a", 0.1)], clock=clock)[0].calls in (99, 100)
    assert latencies([clock.takes("a", 60.0)], clock=clock)[0].calls == FEWEST


def test_nothing_is_timed_of_nothing() -> None:
    assert latencies([]) == []
