"""What the tests start is a process: it has arguments, a folder, files, an exit code, signals."""

import os
import signal
from pathlib import Path

import pytest

from tests.programs import Programs

SAYS = """
import os, sys
print(sys.argv[1:], os.getcwd(), os.environ.get("SOME"), os.getpgrp() == os.getpid())
print("to say", file=sys.stderr)
import atexit
atexit.register(print, "done")
sys.exit(7)
"""


def test_a_program_has_arguments_a_folder_an_environment_and_an_exit_code(
    programs: Programs, tmp_path: Path
) -> None:
    given = {"SOME": "thing", "PATH": os.environ["PATH"]}
    with programs.start("a", 2, folder=tmp_path, code=SAYS, group=True, environment=given) as one:
        assert one.wait() == 7
        assert one.out == f"['a', '2'] {tmp_path} thing True\ndone\n"
        assert one.err == "to say\n"


def test_a_program_is_killed(programs: Programs, tmp_path: Path) -> None:
    with programs.start(folder=tmp_path, code="while True: pass") as one:
        assert one.poll() is None
        with pytest.raises(TimeoutError, match="still runs"):
            one.wait(0.1)
        one.kill()
        assert one.wait() == -signal.SIGKILL
    with pytest.raises(ProcessLookupError):
        os.kill(one.pid, 0)


def test_a_study_of_a_program_is_trained_in_children(programs: Programs, tmp_path: Path) -> None:
    run = ("run", "smoke", "--results", tmp_path, "--workers", 1, "--quiet")
    with programs.start(*run, folder=tmp_path) as one:
        assert one.wait() == 0, one.err
        assert one.out == f"{tmp_path}/smoke/best_config.json\n"
        assert one.err == ""
