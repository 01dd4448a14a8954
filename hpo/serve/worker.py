"""A worker: one process, one event loop, one copy of the model."""

import asyncio
import gc
import os
import resource
import signal
import socket
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Protocol, TextIO, cast

import uvicorn

from hpo.serve.front import Front
from hpo.serve.guard import Guard
from hpo.serve.heads import ShortHeads
from hpo.serve.log import Log
from hpo.serve.model import load_model
from hpo.serve.options import Options
from hpo.serve.reloading import Reloading, signature, tell_model
from hpo.serve.service import Service
from hpo.serve.site import make_site
from hpo.serve.tally import Tally

_KEEP_ALIVE_S = 75
"""Longer than proxies keep a connection: whoever closes it should be them."""
_ENDING_S = 5
"""Beside the time of a request."""
_BACKLOG = 1024
_LOOK_S = 0.5
_GC = (50_000, 20, 50)
"""What there is of objects after a request is little: looking for circles often costs more."""


class _Cycle(Protocol):
    response_complete: bool


class _Connection(Protocol):
    """What we know of a connection, whichever parser of uvicorn reads it."""

    cycle: _Cycle | None
    timeout_keep_alive_task: object | None
    transport: asyncio.Transport


class _Server(uvicorn.Server):
    """uvicorn, which leaves signals to us."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@dataclass(frozen=True, kw_only=True)
class Seat:
    """Where a worker sits."""

    listening: socket.socket
    """Where requests come from."""
    tally: Tally
    """What all workers count."""
    slot: int
    """The part of the tally that is its own."""
    parent: int | None
    """The process without which it ends; None for one that stands alone."""


def run_worker(options: Options, seat: Seat, say_ready: Callable[[], None]) -> int:
    """Serve until a signal ends it; return the exit code.

    Args:
        options: of the server.
        seat: of this worker.
        say_ready: called when requests are answered.

    Raises:
        UsageError: if the model file will not do.
        EnvironmentFault: if onnxruntime is missing.
    """
    _allow_many_connections()
    log = Log(requests=options.access_log)
    _log_warnings(log)
    seen = signature(options.model)
    model = load_model(options.model, threads=options.threads)
    service = Service(options, seat.tally, seat.tally.parts[seat.slot], log)
    service.serve(model)
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_GC)
    tell_model(log, "serving", model)
    config = _config(options, service)
    with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
        try:
            reloading = Reloading(service, options.model, threads=options.threads, seen=seen)
            return runner.run(_serve(_Server(config), seat, service, reloading, say_ready))
        finally:
            log.flush()


async def _serve(
    server: _Server,
    seat: Seat,
    service: Service,
    reloading: Reloading,
    say_ready: Callable[[], None],
) -> int:
    received: list[int] = []

    def end(number: int) -> None:
        service.is_ending = True
        server.force_exit = bool(received)  # the second time: now
        server.should_exit = True
        received.append(number)

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end, number)
    loop.add_signal_handler(signal.SIGHUP, reloading.ask)
    tasks = [
        asyncio.create_task(reloading.watch()),
        asyncio.create_task(service.watch_rows()),
        asyncio.create_task(_tell_started(server, say_ready)),
        asyncio.create_task(_stay_with(seat.parent, end)),
        asyncio.create_task(_close_silent(server, service.limits.timeout_s)),
    ]
    try:
        await server.serve([seat.listening])
    finally:
        for task in tasks:
            task.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.gather(*tasks, return_exceptions=True)
        service.close()
        service.log.event("ended", signal=signal.Signals(received[0]).name if received else None)
    return 128 + signal.SIGTERM if signal.SIGTERM in received[:1] else 0


def _allow_many_connections() -> None:
    """Let this process have as many connections as the system lets it have."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _log_warnings(log: Log) -> None:
    """Let warnings of libraries be lines of the log, without their words: those may quote a row."""

    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        log.event("warning", kind=category.__name__, at=f"{filename}:{lineno}")

    warnings.showwarning = show


async def _tell_started(server: uvicorn.Server, say_ready: Callable[[], None]) -> None:
    while not server.started:
        await asyncio.sleep(0.005)
    say_ready()


async def _close_silent(server: uvicorn.Server, most_s: float) -> None:
    """Close connections that send half a head, or nothing at all, and keep their place with it.

    uvicorn closes those that were asked something and are silent since; of these it knows nothing.
    """
    silent: dict[object, float] = {}
    while True:
        await asyncio.sleep(_LOOK_S)
        now, before, silent = time.monotonic(), silent, {}
        for connection in cast("list[_Connection]", list(server.server_state.connections)):
            cycle = connection.cycle
            is_asking = cycle is not None and not cycle.response_complete
            if is_asking or connection.timeout_keep_alive_task is not None:
                continue
            silent[connection] = before.get(connection, now)
            if now - silent[connection] > most_s:
                connection.transport.close()


async def _stay_with(parent: int | None, end: Callable[[int], None]) -> None:
    """End when the process that began this one is gone."""
    while parent is not None:
        await asyncio.sleep(_LOOK_S)
        if os.getppid() != parent:
            end(signal.SIGTERM)
            return


def _config(options: Options, service: Service) -> uvicorn.Config:
    front = Front(
        Guard(options),
        service.predict,
        make_site(service),
        part=service.part,
        log=service.log,
    )
    return uvicorn.Config(
        front,
        http=ShortHeads,
        loop="uvloop",
        lifespan="off",
        ws="none",
        log_config=None,
        log_level="critical",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        backlog=_BACKLOG,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=int(options.limits.timeout_s) + _ENDING_S,
    )
