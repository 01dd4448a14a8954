"""The body of a request, taken in up to a limit and not a byte further."""

import asyncio
import zlib
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from typing import Any

from hpo.serve.refusal import Refused

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_GZIP = 31
"""What zlib calls gzip with its head."""
_MOST_DIGITS = 19
"""Of a length: with so many it is too large already."""
_LINGER_S, _LINGER_BYTES = 1.0, 256_000_000


class GoneError(Exception):
    """Whoever asked has closed the connection."""


async def read_body(receive: Receive, headers: dict[bytes, bytes], *, most: int) -> bytes:
    """Return the body, unpacked.

    Args:
        receive: of ASGI.
        headers: of the request, names in lower case.
        most: bytes, packed and unpacked.

    Raises:
        Refused: if there is more, or it is packed in a way that is not known.
        GoneError: if the connection ends before the body does.
    """
    encoding = headers.get(b"content-encoding", b"").strip().lower()
    if encoding not in (b"", b"identity", b"gzip"):
        what = f"is {encoding.decode('latin-1')!r}"
        raise Refused(415, "body", where="content-encoding", what=what, hint="gzip, or none")
    if (told_length(headers) or 0) > most:
        raise _too_large(most)
    unpack = _Gzip() if encoding == b"gzip" else None
    parts: list[bytes] = []
    size, n_packed, more = 0, 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise GoneError
        part: bytes = message.get("body", b"")
        more = message.get("more_body", False)
        n_packed += len(part)
        if unpack is not None:
            part = unpack.more(part, most - size)
        size += len(part)
        if max(size, n_packed) > most:
            raise _too_large(most)
        parts.append(part)
    if unpack is not None and not unpack.is_whole:
        raise Refused(400, "body", where="body", what="is no whole gzip stream")
    return parts[0] if len(parts) == 1 else b"".join(parts)


async def linger(receive: Receive) -> None:
    """Let a caller who is still sending come to the answer: a closed connection would hide it.

    What comes is thrown away, for a second at most.
    """
    size = 0
    with suppress(TimeoutError):
        async with asyncio.timeout(_LINGER_S):
            while size < _LINGER_BYTES:
                message = await receive()
                size += len(message.get("body", b""))
                if message["type"] == "http.disconnect" or not message.get("more_body", False):
                    return


def told_length(headers: dict[bytes, bytes]) -> int | None:
    """Return how long a body is said to be, None where nothing is said.

    >>> told_length({b"content-length": b"007"}), told_length({})
    (7, None)
    """
    digits = headers.get(b"content-length", b"")
    if not digits.isdigit():
        return None
    return int(digits.lstrip(b"0")[:_MOST_DIGITS] or b"0")


class _Gzip:
    """Unpacks a gzip stream: a member, or several one behind the other."""

    def __init__(self) -> None:
        self._member = zlib.decompressobj(_GZIP)

    @property
    def is_whole(self) -> bool:
        """Whether the last member has come to its end."""
        return self._member.eof

    def more(self, part: bytes, room: int) -> bytes:
        """Return what a part holds, and not much more than there is room for.

        Raises:
            Refused: if it is no gzip.
        """
        found: list[bytes] = []
        try:
            while part and room >= 0:
                if self._member.eof:
                    self._member = zlib.decompressobj(_GZIP)
                found.append(self._member.decompress(part, room + 1))
                room -= len(found[-1])
                part = self._member.unused_data
        except zlib.error as error:
            raise Refused(400, "body", where="body", what=f"is no gzip: {error}") from None
        return b"".join(found)


def _too_large(most: int) -> Refused:
    hint = f"at most {most:,} bytes; send fewer rows in one request, or raise --max-body"
    close = (b"connection", b"close")
    what = "is too large"
    return Refused(413, "body", where="body", what=what, hint=hint).with_headers(close)
