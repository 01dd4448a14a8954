"""One process that serves, or several on one port, of which one that died is replaced."""

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
    shared = n_workers > 1 and hasattr(socket, "SO_REUSEPORT") and sys.platform == "linux"
    sockets: list[socket.socket] = []
    try:
        with _bound(family, host, port, shared=False) as first:  # nobody else may listen there
            port = first.getsockname()[1]
        for _ in range(n_workers):
            is_new = shared or not sockets
            again = _bound(family, host, port, shared=shared) if is_new else sockets[0].dup()
            sockets.append(again)
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
            self._tell(f"{error.exit_code} {error}")
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
        return run_worker(self._options, seat, lambda: self._tell("ready"))

    def _tell(self, word: str) -> None:
        """Say to the process that began this one how it goes."""
        os.write(self._said, (word.replace("\n", " ")[:2000] + "\n").encode())

    def _wait_until_ready(self, ours: int) -> HpoError | None:
        """Return the mistake that kept a worker from starting."""
        said = b""
        while said.count(b"ready\n") < self._options.workers:
            if select([ours], [], [], _LOOK_S)[0]:
                said += os.read(ours, 4096)
                continue
            wrong = said.replace(b"ready\n", b"").decode("utf-8", "replace").strip()
            pid, _ = os.waitpid(-1, os.WNOHANG)
            self._pids.pop(pid, None)
            if wrong or pid or self._ending is not None:
                return _error_of(wrong)
        return None

    def _replace_dead(self) -> None:
        """Begin a new worker for each that dies, until a signal ends all."""
        n_quick = 0
        while self._pids:
            pid, status = os.wait()
            slot = self._pids.pop(pid, None)
            if slot is None or self._ending is not None:
                continue
            code = os.waitstatus_to_exitcode(status)
            self._tally.parts[slot].begin()
            self._log.event("worker died", pid=pid, code=code)
            is_quick = time.monotonic() - self._began.pop(pid) < _QUICK_S
            n_quick = n_quick + 1 if is_quick else 0
            if n_quick > _MOST_QUICK:
                self._send(signal.SIGTERM)
                self._wait_for_all()
                raise EnvironmentFault("serve", "workers die as soon as they begin", "see the log")
            if is_quick:
                time.sleep(_PAUSE_S)
            if self._ending is None:
                self._begin(slot)

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


def _error_of(line: str) -> HpoError:
    """Return what a worker said, as the error that it was."""
    code, _, text = line.partition(" ")
    error = EnvironmentFault("serve", text or "a worker ended before it was ready")
    error.exit_code = int(code) if code.isdigit() else error.exit_code
    return error
