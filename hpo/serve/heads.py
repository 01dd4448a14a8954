"""Heads of requests, taken in up to a size: who sends more of one is not listened to."""

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

LONGEST_HEAD = 65_536
"""Bytes, and those of one read from the connection beside."""


class ShortHeads(HttpToolsProtocol):
    """uvicorn's reader of HTTP, which itself keeps all of a head that never ends.

    Heads are read before anybody can know who asks, so that a token keeps nobody from sending one.
    """

    _in_head = True
    _head_bytes = 0

    def data_received(self, data: bytes) -> None:
        """Read what came, unless it is the rest of a head that is too long."""
        self._head_bytes += len(data)
        super().data_received(data)
        if not self._in_head or self._head_bytes <= LONGEST_HEAD:
            return
        if not self.transport.is_closing():
            self.send_400_response("The head of the request is too long.")

    def on_message_begin(self) -> None:
        """Know that a head begins."""
        self._in_head, self._head_bytes = True, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Know that it is whole."""
        self._in_head = False
        super().on_headers_complete()
