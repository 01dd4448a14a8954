"""Make the next piece in another thread, while this one is used."""

from collections.abc import Iterator
from queue import SimpleQueue
from threading import Semaphore, Thread
from typing import Generic, TypeVar

T = TypeVar("T")


class Ahead(Generic[T]):
    """Yields what an iterator yields, which runs in another thread, at most ``most`` ahead.

    The thread ends when the iterator does, or soon after `close`. What the iterator raises is
    raised here, in its place.
    """

    def __init__(self, pieces: Iterator[T], *, most: int = 2) -> None:
        self._made: SimpleQueue[tuple[T] | BaseException | None] = SimpleQueue()
        self._free, self._closed = Semaphore(most), False
        # A daemon: one that waits for standard input must not keep the process from ending.
        Thread(target=self._make, args=(pieces,), daemon=True, name="reading ahead").start()

    def __iter__(self) -> Iterator[T]:
        """Yield the pieces in their order."""
        while True:
            made = self._made.get()
            if made is None:
                return
            if isinstance(made, BaseException):
                raise made
            yield made[0]
            self._free.release()

    def close(self) -> None:
        """Let the thread end."""
        self._closed = True
        self._free.release()

    def _make(self, pieces: Iterator[T]) -> None:
        try:
            self._free.acquire()
            while not self._closed:
                piece = next(pieces, None)
                if piece is None:
                    break
                self._made.put((piece,))
                del piece
                self._free.acquire()
        except BaseException as error:  # noqa: BLE001  (it is raised where the piece was asked for)
            self._made.put(error)
            return
        self._made.put(None)
