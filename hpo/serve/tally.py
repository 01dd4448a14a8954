"""What all workers count, in memory that they share: each writes its own part, all read all."""

import mmap
import time
from dataclasses import dataclass
from math import prod

import numpy as np
import numpy.typing as npt

from hpo.serve.refusal import REASONS
from hpo.ship.drift import MOST_BINS, MOST_QUANTITIES

Numbers = npt.NDArray[np.float64]

ROUTES = (
    "/",
    "/predict",
    "/health",
    "/ready",
    "/metadata",
    "/metrics",
    "/openapi.json",
    "page files",
    "other",
)
STATUSES = (200, 303, 400, 401, 403, 404, 405, 406, 408, 413, 415, 422, 499, 500, 503, 504)
"""499: the caller went away."""
SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
ROWS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 4096.0)
BINS = MOST_BINS + 2
"""Of the quantities that are watched: those of numbers or texts, other texts, missing ones."""
_SHA_PARTS = 8

_CELLS = {
    "requests": (len(ROUTES), len(STATUSES)),
    "seconds": (len(ROUTES), len(SECONDS) + 2),
    "errors": (len(REASONS),),
    "rows": (1,),
    "batch_rows": (len(ROWS) + 2,),
    "model_seconds": (len(SECONDS) + 2,),
    "reloads": (2,),
    "ready": (1,),
    "waiting": (1,),
    "loaded_unix": (1,),
    "sha": (_SHA_PARTS,),
    "watched_rows": (1,),
    "watched_inputs": (MOST_QUANTITIES, BINS),
    "watched_predictions": (MOST_QUANTITIES, BINS),
}
"""Counts by name, and their shape. Of histograms: each bucket, what is beyond, and the sum."""
_WIDTH = sum(prod(shape) for shape in _CELLS.values())
_ROUTE = {route: i for i, route in enumerate(ROUTES)}
_STATUS = {status: i for i, status in enumerate(STATUSES)}
_REASON = {reason: i for i, reason in enumerate(REASONS)}


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A request that was answered."""

    route: str
    status: int
    seconds: float
    reason: str | None = None
    """Why it was refused."""


class Part:
    """The counts of one worker; a number is written whole, so that readers need no lock."""

    def __init__(self, cells: Numbers) -> None:
        self._all: dict[str, Numbers] = {}
        start = 0
        for name, shape in _CELLS.items():
            self._all[name] = cells[start : start + prod(shape)].reshape(shape)
            start += prod(shape)
        self._requests, self._seconds = self._all["requests"], self._all["seconds"]

    def __getitem__(self, name: str) -> Numbers:
        """Return the cells of one name, to be written to."""
        return self._all[name]

    def asked(self, asked: Asked) -> None:
        """Count a request."""
        route = _ROUTE.get(asked.route, len(ROUTES) - 1)
        status = _STATUS.get(asked.status)
        if status is None:
            status = _STATUS[500 if asked.status >= 500 else 400]
        self._requests[route, status] += 1
        if asked.reason is not None:
            self._all["errors"][_REASON[asked.reason]] += 1
        _put(self._seconds[route], SECONDS, asked.seconds)

    def ran(self, n_rows: int, seconds: float) -> None:
        """Count a call of the model."""
        self._all["rows"][0] += n_rows
        _put(self._all["batch_rows"], ROWS, n_rows)
        _put(self._all["model_seconds"], SECONDS, seconds)

    def reloaded(self, *, taken: bool) -> None:
        """Count a changed file that was taken, or refused."""
        self._all["reloads"][0 if taken else 1] += 1

    def serves(self, sha256: str) -> None:
        """Say which model answers from now on; nothing of it has been watched yet."""
        for name in ("watched_rows", "watched_inputs", "watched_predictions"):
            self._all[name][:] = 0
        parts = [int(sha256[i * 8 : i * 8 + 8], 16) for i in range(_SHA_PARTS)]
        self._all["sha"][:] = parts
        self._all["loaded_unix"][0] = time.time()
        self._all["ready"][0] = 1

    def begin(self) -> None:
        """Forget what a worker before, which died, was about; its counts stay."""
        for name in ("ready", "waiting", "watched_rows", "watched_inputs", "watched_predictions"):
            self._all[name][:] = 0

    @property
    def sha256(self) -> str:
        """Of the model that answers."""
        return "".join(f"{int(part):08x}" for part in self._all["sha"])


class Tally:
    """The counts of all workers. Made before they are forked."""

    def __init__(self, n_workers: int = 1) -> None:
        self._memory = mmap.mmap(-1, n_workers * _WIDTH * 8)
        cells = np.frombuffer(self._memory, dtype=np.float64).reshape(n_workers, _WIDTH)
        self.parts = [Part(row) for row in cells]

    def total(self, name: str, sha256: str | None = None) -> Numbers:
        """Return the sum of a count over all workers, or over those of one model."""
        parts = [part for part in self.parts if sha256 is None or part.sha256 == sha256]
        return np.sum([part[name] for part in parts], axis=0) if parts else np.zeros(_CELLS[name])


def _put(cells: Numbers, bounds: tuple[float, ...], value: float) -> None:
    """Count a value in a histogram."""
    for i, bound in enumerate(bounds):
        if value <= bound:
            cells[i] += 1
            break
    else:
        cells[-2] += 1
    cells[-1] += value
