"""What another thread makes ahead comes in its order, and so do its errors."""

import threading
from collections.abc import Iterator

import pytest

from hpo.predict.ahead import Ahead


def test_pieces_keep_their_order_and_few_are_made_ahead() -> None:
    made: list[int] = []

    def pieces() -> Iterator[int]:
        for i in range(1, 50):
            made.append(i)
            yield i

    found = []
    for piece in Ahead(pieces(), most=2):
        found.append(piece)
        assert len(made) <= piece + 2
    assert found == list(range(1, 50))


def test_an_error_is_raised_in_its_place() -> None:
    def pieces() -> Iterator[int]:
        yield 1
        raise ValueError("no second piece")

    found = iter(Ahead(pieces()))
    assert next(found) == 1
    with pytest.raises(ValueError, match="no second piece"):
        next(found)


def test_the_thread_ends_when_nobody_wants_more() -> None:
    ended = threading.Event()

    def pieces() -> Iterator[int]:
        try:
            yield from range(1, 1000)
        finally:
            ended.set()

    ahead = Ahead(pieces())
    assert next(iter(ahead)) == 1
    ahead.close()
    assert ended.wait(10)
