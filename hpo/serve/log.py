"""One JSON object a line on standard error: what was asked and how it went, and no row of it."""

import asyncio
import sys
from datetime import UTC, datetime

from hpo.serve.json_line import json_line

_EVERY_S = 0.1
Value = str | int | float | None


class Log:
    """Writes lines; those of requests are gathered for a moment, others appear at once.

    Args:
        requests: whether requests are logged that went well.
    """

    def __init__(self, *, requests: bool = True) -> None:
        self.requests = requests
        self._lines: list[bytes] = []

    def event(self, event: str, **values: Value) -> None:
        """Log something that happened to the server."""
        self._lines.append(_line({"event": event, **values}))
        self.flush()

    def request(self, values: dict[str, Value]) -> None:
        """Log a request."""
        self._lines.append(_line({"event": "request", **values}))
        if len(self._lines) == 1:
            asyncio.get_running_loop().call_later(_EVERY_S, self.flush)

    def flush(self) -> None:
        """Write what was gathered."""
        lines, self._lines = self._lines, []
        if lines:
            sys.stderr.buffer.write(b"".join(lines))
            sys.stderr.buffer.flush()


def _line(values: dict[str, Value]) -> bytes:
    time = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return json_line({"time": time, **values})
