"""A process that has loaded Lightning and Optuna, and forks one for each program it is given.

Run by tests/programs.py. What it forks is a process like any other, with signals, files, a group
and a server of children of its own; it alone need not load everything again.
"""

import importlib
import json
import os
import signal
import socket
import sys
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing import forkserver, process, util
from typing import Any

from hpo.children import PRELOADED

SUPERVISING = ["hpo.study", "hpo.terminal.run", "torch.utils.tensorboard"]


def serve(server: socket.socket) -> dict[str, Any]:
    """Fork for every order that comes; return, in each fork alone, what it is to do.

    Raises:
        SystemExit: Whoever gave the orders is gone.
    """
    signal.signal(signal.SIGCHLD, reap)
    while True:
        byte, fds, _, _ = socket.recv_fds(server, 1, 5)
        if not byte:
            raise SystemExit
        if os.fork() == 0:
            server.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            return begin(*fds)
        for fd in fds:
            os.close(fd)


def reap(*_: object) -> None:
    """Take note of the forks that have ended."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            continue


def begin(order: int, reply: int, *streams: int) -> dict[str, Any]:
    """Fork the program itself, and return in it; tell its id, wait for it, tell how it ended."""
    pid = os.fork()
    if pid:
        os.write(reply, f"{pid}\n".encode())
        os.write(reply, f"{os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])}\n".encode())
        os._exit(0)
    for standard, fd in enumerate(streams):
        os.dup2(fd, standard)
    with open(order, encoding="utf-8") as file:
        told: dict[str, Any] = json.load(file)
    os.closerange(3, 256)
    if told["group"]:
        os.setsid()
    os.chdir(told["folder"])
    process.ORIGINAL_DIR = told["folder"]  # type: ignore[attr-defined]  (children start in it)
    os.environ.clear()
    os.environ.update(told["environment"])
    sys.argv[:], sys.path[0] = ["-c", *told["arguments"]], ""
    start_server_of_children()
    return told


def start_server_of_children() -> None:
    """Start the process that Children fork from: a fork of this one, which imports nothing."""
    spawn = util.spawnv_passfds

    def fork(path: bytes, arguments: Sequence[str], fds: Sequence[int]) -> int:
        if "forkserver" not in arguments[-1]:
            return spawn(path, arguments, fds)
        pid = os.fork()
        if pid == 0:
            try:
                for fd in set(range(3, 256)) - set(fds):
                    with suppress(OSError):
                        os.close(fd)
                exec(arguments[-1], {})
            finally:
                os._exit(0)
        return pid

    util.spawnv_passfds = fork  # type: ignore[assignment]
    forkserver.set_forkserver_preload(PRELOADED)
    forkserver.ensure_running()
    util.spawnv_passfds = spawn


if __name__ == "__main__":
    for name in (*PRELOADED, *SUPERVISING):
        importlib.import_module(name)
    exec(serve(socket.socket(fileno=int(sys.argv[1])))["code"], {"__name__": "__main__"})
