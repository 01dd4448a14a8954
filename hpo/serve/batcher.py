"""Requests that come while the model runs go into its next call together."""

import asyncio
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from hpo.predict.predictor import Floats
from hpo.serve.model import Model, rows_of
from hpo.serve.options import Limits
from hpo.serve.refusal import Refused
from hpo.serve.tally import Part
from hpo.serve.watching import Feeds

_AT_ONCE_S = 0.001
"""A call that takes less is done on the spot: a thread would cost more than it saves."""
_ROWS = 64
"""Rows that are put together at most; more are no faster, and leave the processor's cache."""


@dataclass(frozen=True, kw_only=True)
class _Asked:
    model: Model
    feeds: Feeds
    n_rows: int
    answer: "asyncio.Future[Floats]"

    @property
    def form(self) -> object:
        """What requests of one call have in common."""
        shapes = tuple((name, values.shape[1:]) for name, values in self.feeds.items())
        return id(self.model), shapes


class Batcher:
    """Runs a model for one worker, one call at a time.

    A request alone does not wait. Those that come while a call runs are put together into the
    next one, and so are those that the system hands over at once.

    Args:
        limits: how many may wait, and for how long for others.
        part: what is counted.
    """

    def __init__(self, limits: Limits, part: Part) -> None:
        self._most, self._window_s = limits.queue, limits.window_ms / 1000
        self._part = part
        self._waiting: deque[_Asked] = deque()
        self._is_due = False
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="model")

    async def run(self, model: Model, feeds: Feeds) -> Floats:
        """Return what a model says of rows.

        Raises:
            Refused: if too many requests wait already.
        """
        if len(self._waiting) >= self._most:
            hint = "try again in a second, or serve with more --workers"
            what = f"{self._most} requests wait for the model already"
            retry = (b"retry-after", b"1")
            raise Refused(503, "busy", where="server", what=what, hint=hint).with_headers(retry)
        loop = asyncio.get_running_loop()
        asked = _Asked(model=model, feeds=feeds, n_rows=rows_of(feeds), answer=loop.create_future())
        self._waiting.append(asked)
        self._part["waiting"][0] = len(self._waiting)
        if not self._is_due:
            self._is_due = True
            if self._window_s:
                loop.call_later(self._window_s, self._next)
            else:
                loop.call_soon(self._next)
        return await asked.answer

    def close(self) -> None:
        """End the thread."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _next(self) -> None:
        """Begin a call for those that wait, if there are any."""
        together = self._take()
        if not together:
            self._is_due = False
            return
        n_rows = sum(asked.n_rows for asked in together)
        if together[0].model.expected_seconds(n_rows) < _AT_ONCE_S:
            self._do(together)
            return
        loop = asyncio.get_running_loop()
        done = loop.run_in_executor(self._thread, _outputs, together)
        done.add_done_callback(lambda found: self._answer(together, found))

    def _do(self, together: list[_Asked]) -> None:
        found: asyncio.Future[tuple[Floats, float]] = asyncio.get_running_loop().create_future()
        try:
            found.set_result(_outputs(together))
        except Exception as error:  # noqa: BLE001  (whatever it is, the callers are told)
            found.set_exception(error)
        self._answer(together, found)

    def _answer(
        self, together: list[_Asked], found: "asyncio.Future[tuple[Floats, float]]"
    ) -> None:
        error = found.exception()
        if error and len(together) > 1:  # one of them spoils it: each for itself
            for asked in together:
                self._do([asked])
            return
        outputs, seconds = (np.empty(0, np.float32), 0.0) if error else found.result()
        at = 0
        for asked in together:
            rows = outputs[at : at + asked.n_rows]
            at += asked.n_rows
            if asked.answer.done():  # whoever asked has gone, or waited too long
                continue
            if error:
                asked.answer.set_exception(error)
            else:
                asked.answer.set_result(rows)
        if not error:
            self._part.ran(at, seconds)
        asyncio.get_running_loop().call_soon(self._next)

    def _take(self) -> list[_Asked]:
        """Return the next requests that one call can answer."""
        taken: list[_Asked] = []
        n_rows = 0
        while self._waiting:
            asked = self._waiting[0]
            if asked.answer.done():
                self._waiting.popleft()
                continue
            most = min(_ROWS, asked.model.rows_at_once)
            if taken and (n_rows + asked.n_rows > most or asked.form != taken[0].form):
                break
            taken.append(self._waiting.popleft())
            n_rows += asked.n_rows
        self._part["waiting"][0] = len(self._waiting)
        return taken


def _outputs(together: list[_Asked]) -> tuple[Floats, float]:
    """Return what the model says of the rows of all, and the seconds that it took."""
    feeds = together[0].feeds
    if len(together) > 1:
        names = list(feeds)
        feeds = {name: np.concatenate([one.feeds[name] for one in together]) for name in names}
    began = time.perf_counter()
    outputs = together[0].model.run(feeds)
    return outputs, time.perf_counter() - began
