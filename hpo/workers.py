"""Who trains the orders: this process itself, or children (`hpo.children`)."""

from typing import Protocol

from hpo.protocol import ProbeEnd, ProbeOrder, TrialEnd, TrialOrder
from lightning_modules.result import Listener


class Workers(Protocol):
    """Trains orders and says how they ended."""

    @property
    def capacity(self) -> int:
        """How many orders are trained at once."""
        ...

    @property
    def shares_data(self) -> bool:
        """Whether prepared data go through files that all workers share."""
        ...

    def probe(self, order: ProbeOrder) -> ProbeEnd:
        """Train a few batches of some configs, and wait for what they showed."""
        ...

    def start(self, order: TrialOrder, listener: Listener) -> None:
        """Start an order; its reports go to ``listener`` from within `start` or `wait`."""
        ...

    def wait(self, timeout_s: float) -> list[TrialEnd]:
        """Hand reports to their listeners until an order ends or the time is over."""
        ...

    def abandon(self) -> None:
        """Ask all that runs to stop at its next batch end."""
        ...

    def kill(self, number: int) -> None:
        """End one order now; it does not appear in `wait` any more."""
        ...

    def resident_bytes(self, number: int) -> int:
        """Return the memory that an order's process holds; 0 if it has none of its own."""
        ...

    def close(self) -> None:
        """End everything that still runs."""
        ...


class InProcess:
    """Train in this very process, for notebooks and debuggers; `start` returns at the end."""

    capacity = 1
    shares_data = False

    def __init__(self) -> None:
        self._ended: list[TrialEnd] = []

    def probe(self, order: ProbeOrder) -> ProbeEnd:
        """Train the batches here."""
        from hpo.child import probe
        from hpo.logs import log_to

        with log_to(None):
            return probe(order)

    def start(self, order: TrialOrder, listener: Listener) -> None:
        """Train the order, to its end."""
        from hpo.child import carry_out

        self._ended.append(carry_out(order, listener))

    def wait(self, timeout_s: float) -> list[TrialEnd]:
        """Return what ended."""
        ended, self._ended = self._ended, []
        return ended

    def abandon(self) -> None:
        """Nothing runs between calls: the listener's own answers stop an order."""

    def kill(self, number: int) -> None:
        """Nothing runs between calls."""

    def resident_bytes(self, number: int) -> int:
        """Return 0: the order has no process of its own."""
        return 0

    def close(self) -> None:
        """Nothing is left behind."""
