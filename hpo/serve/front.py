"""The front door: each request is checked, answered, counted and logged here, and nowhere else."""

import asyncio
import re
import secrets
import time
import traceback
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from itertools import count
from typing import Any

from hpo.serve.body import GoneError, Message, Receive, Send, linger
from hpo.serve.guard import ALWAYS, NOTHING, Guard
from hpo.serve.log import Log
from hpo.serve.refusal import Header, Refused
from hpo.serve.tally import ROUTES, Asked, Part

Scope = dict[str, Any]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

FILES = ("/page.js", "/page.css", "/icon.svg")
REASON = "hpo.reason"
"""Where the site leaves in the scope why it refused."""
_ID = re.compile(rb"[A-Za-z0-9._:-]{1,64}")
_GONE = 499


@dataclass(kw_only=True)
class Request:
    """A request on its way through."""

    scope: Scope
    receive: Receive
    headers: dict[bytes, bytes]
    """Names in lower case; of one that stands twice the last."""
    id: bytes
    began: float
    status: int = 0
    rows: int = 0
    reason: str | None = None


@dataclass(frozen=True, kw_only=True)
class Answer:
    """An answer that is ready."""

    status: int = 200
    content_type: bytes
    body: bytes
    headers: tuple[Header, ...] = ()


Predict = Callable[[Request], Awaitable[Answer]]


class Front:
    """The ASGI application.

    Args:
        guard: who may ask.
        predict: answers ``POST /predict``, without a detour through a framework.
        site: answers everything else.
        part: what is counted.
        log: what is written.
    """

    def __init__(self, guard: Guard, predict: Predict, site: App, *, part: Part, log: Log) -> None:
        self._guard, self._predict, self._site = guard, predict, site
        self._part, self._log = part, log
        self._ids = count()
        self._run = secrets.token_hex(4)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            return
        headers = dict(scope["headers"])
        given = headers.get(b"x-request-id", b"")
        known = given if _ID.fullmatch(given) else f"{self._run}-{next(self._ids)}".encode()
        request = Request(
            scope=scope, receive=receive, headers=headers, id=known, began=time.perf_counter()
        )
        try:
            await self._answer(request, send)
        except Refused as refused:
            await self._refuse(request, refused, send)
        except GoneError:
            request.status = _GONE
        except asyncio.CancelledError:
            request.status = request.status or 503
            raise
        except Exception as error:  # noqa: BLE001  (the last border: a bug of ours)
            self._log.event("bug", request_id=known.decode(), **_place(error))
            await self._refuse(request, a_bug(), send)
        finally:
            self._done(request)

    async def _answer(self, request: Request, send: Send) -> None:
        scope = request.scope
        path: str = scope["path"]
        try:
            self._guard.check(path, request.headers)
        except Refused as refused:
            entry = self._entry(scope) if refused.reason == "token" else None
            if entry is None:
                raise
            await self._send(request, entry, send)
            return
        if path == "/predict":
            if scope["method"] != "POST":
                raise wrong_method("POST")
            await self._send(request, await self._predict(request), send)
            return
        await self._site(scope, request.receive, self._dressed(request, send))
        request.reason = scope.get(REASON)

    def _entry(self, scope: Scope) -> Answer | None:
        if scope["method"] != "GET":
            return None
        port = (scope.get("server") or (None, None))[1]
        headers = self._guard.entry(scope["path"], scope["query_string"], port)
        if headers is None:
            return None
        return Answer(status=303, content_type=b"text/plain", body=b"", headers=headers)

    async def _refuse(self, request: Request, refused: Refused, send: Send) -> None:
        request.reason = refused.reason
        if request.status:  # an answer has begun: it can only be cut off
            return
        answer = Answer(
            status=refused.status,
            content_type=b"application/json",
            body=refused.body(),
            headers=refused.headers,
        )
        closes = (b"connection", b"close") in refused.headers
        await self._send(request, answer, send, lingering=closes)

    async def _send(
        self, request: Request, answer: Answer, send: Send, *, lingering: bool = False
    ) -> None:
        request.status = answer.status
        length = str(len(answer.body)).encode()
        headers = [
            (b"content-type", answer.content_type),
            (b"content-length", length),
            (b"x-request-id", request.id),
            (b"content-security-policy", NOTHING),
            *ALWAYS,
            *answer.headers,
        ]
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        body = b"" if request.scope["method"] == "HEAD" else answer.body
        await send({"type": "http.response.body", "body": body, "more_body": lingering})
        if lingering:
            await linger(request.receive)
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    def _dressed(self, request: Request, send: Send) -> Send:
        """Return what sends an answer of the site with the headers that every answer has."""

        async def dressed(message: Message) -> None:
            if message["type"] == "http.response.start":
                request.status = message["status"]
                theirs = [(name.lower(), value) for name, value in message["headers"]]
                names = {name for name, _ in theirs}
                ours = ((b"content-security-policy", NOTHING), *ALWAYS)
                extra = [pair for pair in ours if pair[0] not in names]
                message["headers"] = [*theirs, *extra, (b"x-request-id", request.id)]
            await send(message)

        return dressed

    def _done(self, request: Request) -> None:
        seconds = time.perf_counter() - request.began
        path = request.scope["path"]
        route = path if path in ROUTES else "page files" if path in FILES else "other"
        status = request.status or _GONE
        asked = Asked(route=route, status=status, seconds=seconds, reason=request.reason)
        self._part.asked(asked)
        if self._log.requests or status >= 500:
            self._log.request(
                {
                    "route": route,
                    "method": request.scope["method"][:16],
                    "status": status,
                    "rows": request.rows,
                    "ms": round(seconds * 1000, 3),
                    "reason": request.reason,
                    "request_id": request.id.decode(),
                }
            )


def _place(error: Exception) -> dict[str, str]:
    """Return what broke and where, without the values that broke it: those are rows."""
    frames = traceback.extract_tb(error.__traceback__)
    calls = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames[-8:]]
    return {"error": type(error).__name__, "at": " > ".join(calls)}


def a_bug() -> Refused:
    """Return the answer where we are wrong."""
    hint = "the log tells more, by the id of this request"
    return Refused(500, "bug", where="server", what="a bug of ours", hint=hint)


def wrong_method(*allowed: str) -> Refused:
    """Return the answer to a method that an address does not know."""
    hint = f"ask with {' or '.join(allowed)}"
    error = Refused(405, "method", where="method", what="is not taken here", hint=hint)
    return error.with_headers((b"allow", ", ".join(allowed).encode()))
