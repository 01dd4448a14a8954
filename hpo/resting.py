"""Children that trained well and wait for another order."""

from collections.abc import Sequence

from hpo.forked import Forked


class Resting:
    """Processes that take an order as a fresh one would; each sees the GPUs it began with."""

    def __init__(self) -> None:
        self._ones: list[tuple[Forked, list[str] | None]] = []

    def put(self, one: Forked, gpus: Sequence[str] | None) -> None:
        """Let a process wait that sees ``gpus``; None is all."""
        self._ones.append((one, None if gpus is None else list(gpus)))

    def take(self, gpus: Sequence[str] | None) -> Forked | None:
        """Return a process that sees just these GPUs, and lives; None if there is none."""
        wanted = None if gpus is None else list(gpus)
        for place, (one, seen) in reversed(list(enumerate(self._ones))):
            if seen == wanted:
                del self._ones[place]
                if one.lives():
                    return one
                one.end()
        return None

    def make_room(self, n_others: int) -> None:
        """Let only so many others live beside those at work."""
        while len(self._ones) > max(n_others, 0):
            self._ones.pop(0)[0].end()

    def close(self) -> None:
        """End all of them."""
        self.make_room(0)
