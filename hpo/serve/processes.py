"""One process that serves, or several on one port, of which one that died is replaced."""

import json
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from select import select
from types import FrameType
from typing import NoReturn

from hpo.errors import EnvironmentFault, HpoError
from hpo.serve.log import Log
from hpo.serve.options import EVERYWHERE, Options
from hpo.serve.tally import Tally

_BACKLOG = 1024
_QUICK_S = 5.0
_MOST_QUICK = 5
"""Deaths of workers soon after their start, one after the other: then there is no point."""
_PAUSE_S = 1.0
_LOOK_S = 0.2
_READY = "ready"
_LONGEST = 1000
"""Characters of what a worker says of a mistake: a pipe takes so many at once."""
_ARE_SHARED = hasattr(socket, "SO_REUSEPORT") and sys.platform == "linux"
"""Whether the system shares connections out among sockets of one port."""
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def serve(options: Options, say_ready: Callable[[str], None]) -> int:
    """Serve a model until a signal ends it; return the exit code.

    Args:
        options: of the server.
        say_ready: called with the address when requests are answered.

    Raises:
        UsageError: if the model file will not do.
        EnvironmentFault: if the port is taken, the address is none of this machine, a package is
            missing, or workers die again and again.
    """
    sockets = listening(options.host, options.port, options.workers)
    address = address_of(options.host, sockets[0].getsockname()[1])
    tally = Tally(options.workers)
    try:
        if options.workers > 1:
            return _Workers(options, sockets, tally).run(lambda: say_ready(address))
        from hpo.serve.worker import Seat, run_worker

        seat = Seat(listening=sockets[0], tally=tally, slot=0, parent=None)
        return run_worker(options, seat, lambda: say_ready(address))
    finally:
        for one in sockets:
            one.close()


def listening(host: str, port: int, n_workers: int) -> list[socket.socket]:
    """Return a socket for each worker, all of one port; the system shares connections out.

    Raises:
        EnvironmentFault: if the port is taken, or the address is none of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    shared = n_workers > 1 and _ARE_SHARED
    sockets: list[socket.socket] = []
    try:
        with _bound(family, host, port, shared=False) as first:  # nobody else may listen there
            port = first.getsockname()[1]
        for _ in range(n_workers):
            is_new = shared or not sockets
            again = _bound(family, host, port, shared=shared) if is_new else sockets[0].dup()
            sockets.append(again)
            again.listen(_BACKLOG)  # before the model is loaded: two could wait on a port till then
    except socket.gaierror:
        raise EnvironmentFault("--host", f"{host!r} is no address of this machine") from None
    except OSError as error:
        if error.errno is not None and "assign" in (error.strerror or ""):
            what = f"{host!r} is no address of this machine"
            raise EnvironmentFault("--host", what, "0.0.0.0 stands for all of them") from None
        what = f"port {port}: {error.strerror}"
        raise EnvironmentFault("serve", what, "choose another with --port") from None
    return sockets


def address_of(host: str, port: int) -> str:
    """Return where a browser finds the server.

    >>> address_of("0.0.0.0", 80), address_of("::1", 8000)
    ('http://127.0.0.1:80', 'http://[::1]:8000')
    """
    shown = "127.0.0.1" if host in EVERYWHERE else host
    return f"http://[{shown}]:{port}" if ":" in shown else f"http://{shown}:{port}"


def _bound(family: socket.AddressFamily, host: str, port: int, *, shared: bool) -> socket.socket:
    # asyncio sends at once (TCP_NODELAY) only where the protocol is said to be TCP.
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        bound.bind((host, port))
    except OSError:
        bound.close()
        raise
    return bound


def _another(sockets: list[socket.socket]) -> socket.socket:
    """Return one more socket of the port of those that are open."""
    known = next(one for one in sockets if one.fileno() >= 0)
    if not _ARE_SHARED:
        return known.dup()
    again = _bound(known.family, *known.getsockname()[:2], shared=True)
    again.listen(_BACKLOG)
    return again


class _Workers:
    """The processes that serve, seen from the one that began them.

    It holds their sockets: connections to one that died wait for the one that replaces it.
    """

    def __init__(self, options: Options, sockets: list[socket.socket], tally: Tally) -> None:
        self._options, self._sockets, self._tally = options, sockets, tally
        self._log = Log()
        self._pids: dict[int, int] = {}
        """The slot of each process."""
        self._began: dict[int, float] = {}
        self._ending: int | None = None
        self._said: int = -1
        self._is_started = False

    def run(self, say_ready: Callable[[], None]) -> int:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._end)
        signal.signal(signal.SIGHUP, lambda number, _: self._send(number))
        sys.stdout.flush()
        ours, theirs = os.pipe()
        self._said = theirs
        for slot in range(self._options.workers):
            self._begin(slot)
        error = self._wait_until_ready(ours)
        if error is not None:
            self._send(signal.SIGTERM)
            self._wait_for_all()
            if self._ending is None:
                raise error
        else:
            say_ready()
            self._replace_dead()
        return 128 + signal.SIGTERM if self._ending == signal.SIGTERM else 0

    def _begin(self, slot: int) -> None:
        """Fork a worker, unless a signal has come; none comes between the two."""
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        try:
            if self._ending is not None:
                return
            if self._sockets[slot].fileno() < 0:
                self._sockets[slot] = _another(self._sockets)
            pid = os.fork()
            if pid:
                self._pids[pid] = slot
                self._began[pid] = time.monotonic()
                return
            self._be_worker(slot, before)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def _be_worker(self, slot: int, mask: "set[signal.Signals | int]") -> NoReturn:
        code = 1
        try:
            for number in _SIGNALS:
                signal.signal(number, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            code = self._work(slot)
        except HpoError as error:
            if self._is_started:
                self._log.event("worker cannot begin", error=str(error))
            else:
                self._tell(_told(error))
            code = error.exit_code
        except Exception as error:  # noqa: BLE001  (the last border of this process)
            self._log.event("bug", error=type(error).__name__, what=str(error))
        finally:
            sys.stderr.flush()
            os._exit(code)

    def _work(self, slot: int) -> int:
        for other, one in enumerate(self._sockets):
            if other != slot:
                one.close()
        from hpo.serve.worker import Seat, run_worker

        seat = Seat(
            listening=self._sockets[slot], tally=self._tally, slot=slot, parent=os.getppid()
        )
        return run_worker(self._options, seat, lambda: self._tell(_READY))

    def _tell(self, line: str) -> None:
        """Say to the process that began this one how it goes."""
        os.write(self._said, f"{line}\n".encode())

    def _wait_until_ready(self, ours: int) -> HpoError | None:
        """Return the mistake that kept a worker from starting."""
        broken = EnvironmentFault("serve", "a worker ended before it was ready")
        said = b""
        while said.count(f"{_READY}\n".encode()) < self._options.workers:
            if select([ours], [], [], _LOOK_S)[0]:
                said += os.read(ours, 4096)
                continue
            wrong = [line for line in said.decode().splitlines() if line != _READY]
            if wrong or self._ending is not None:
                return _error_of(wrong[0]) if wrong else broken
            pid, _ = os.waitpid(-1, os.WNOHANG)
            if pid:
                del self._pids[pid]
                return broken
        self._is_started = True
        return None

    def _replace_dead(self) -> None:
        """Begin a new worker for each that dies, until a signal ends all."""
        n_quick = 0
        while self._pids:
            dead = self._dead()
            if self._ending is not None:
                continue
            now, steady = time.monotonic(), self._has_steady()
            quick = [slot for pid, slot in dead if now - self._began.pop(pid) < _QUICK_S]
            n_quick = n_quick + 1 if quick else 0
            if n_quick > _MOST_QUICK and not steady:
                self._send(signal.SIGTERM)
                self._wait_for_all()
                raise EnvironmentFault("serve", "workers die as soon as they begin", "see the log")
            if n_quick > 1 and steady:  # the others take its callers: there is nobody to wait for
                for slot in quick:
                    self._sockets[slot].close()
            if quick:
                time.sleep(min(n_quick, _MOST_QUICK) * _PAUSE_S)
            for _, slot in dead:
                self._begin(slot)

    def _dead(self) -> list[tuple[int, int]]:
        """Return workers that died, as process and slot, and wait for one if none has."""
        found: list[tuple[int, int]] = []
        pid, status = os.wait()
        while pid:
            slot = self._pids.pop(pid, None)
            if slot is not None and self._ending is None:
                found.append((pid, slot))
                self._tally.parts[slot].begin()
                code = os.waitstatus_to_exitcode(status)
                self._log.event("worker died", pid=pid, code=code)
            pid, status = os.waitpid(-1, os.WNOHANG) if self._pids else (0, 0)
        return found

    def _has_steady(self) -> bool:
        """Say whether a worker runs that did not begin just now."""
        return any(time.monotonic() - self._began[pid] >= _QUICK_S for pid in self._pids)

    def _wait_for_all(self) -> None:
        while self._pids:
            self._pids.pop(os.wait()[0], None)

    def _end(self, number: int, _: FrameType | None) -> None:
        if self._ending is None:
            self._ending = number
        self._send(number)

    def _send(self, number: int) -> None:
        for pid in list(self._pids):
            with suppress(ProcessLookupError):
                os.kill(pid, number)


def _told(error: HpoError) -> str:
    """Return an error as a line that another process reads."""
    words = [text[:_LONGEST] for text in (error.where, error.what, error.hint)]
    return json.dumps([error.exit_code, *words])


def _error_of(line: str) -> HpoError:
    """Return the error that a worker told."""
    code, where, what, hint = json.loads(line)
    error = HpoError(where, what, hint)
    error.exit_code = code
    return error
