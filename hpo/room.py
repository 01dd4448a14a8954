"""Room on the disk: what finds none waits for it a while, then ends the study in order."""

import logging
import time
from collections.abc import Callable

from hpo.errors import EnvironmentFault
from lightning_modules.durable import FULL

PATIENCE_S = 30.0
"""How long a write waits for room on a full disk."""
PAUSE_S = 0.5
_log = logging.getLogger(__name__)


class NoRoom(EnvironmentFault):
    """The disk stayed full; what could not be written was not begun, or is still as it was."""


def patiently(write: Callable[[], None], name: str) -> None:
    """Call ``write``, again and again while the disk is full.

    Args:
        write: can be called again after it has failed.
        name: of what is written, for the messages.

    Raises:
        NoRoom: if the disk, or what the user may have of it, stays full.
    """
    deadline = time.monotonic() + PATIENCE_S
    warned = False
    while True:
        try:
            return write()
        except OSError as error:
            if error.errno not in FULL:
                raise
            if time.monotonic() >= deadline:
                what = f"could not be written ({error.strerror}); nothing is lost"
                hint = "free space, then run the same command again"
                raise NoRoom(name, what, hint) from error
            if not warned:
                warned = True
                text = "%s: %s; waiting up to %g s for room"
                _log.warning(text, name, error.strerror, PATIENCE_S)
            time.sleep(PAUSE_S)
