"""Who may ask the dashboard for what: host, origin, token, method, and the headers of answers."""

import hashlib
import logging
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from typing import Any, Protocol, runtime_checkable
from urllib.parse import parse_qsl, quote, urlencode

from hpo.access import LOOPBACK, check_token, is_address, name_of, same
from hpo.dashboard.policies import ALWAYS, policy_of

Environ = dict[str, Any]
Wsgi = Callable[[Environ, Any], Iterable[bytes]]

MOST_BYTES = 256 * 1024
"""Of what a browser sends: a note, or what TensorBoard asks for."""
NOTES = re.compile(r"/api/studies/\d+(/\d+)?/note")
"""Optuna's dashboard saves a note of a study, or of a trial, here (PUT)."""
QUESTIONS = re.compile(
    r"/tb/(study/[^/]+/)?(experiment/[^/]+/)?data/plugin/"
    r"(hparams/(experiment|session_groups|metric_evals)|timeseries/timeSeries"
    r"|scalars/scalars_multirun)"
)
"""TensorBoard asks by POST here, and changes nothing."""
_NO_ACCESS = ("access-control-", "content-security-policy", "x-frame-options")
_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Access:
    """Who is let in."""

    names: frozenset[str] = frozenset(LOOPBACK)
    """The host names that the dashboard answers to."""
    any_address: bool = False
    """Whether it answers to every numeric address, too: no foreign page can take one for itself."""
    token: str | None = None
    notes: bool = False
    """Whether notes may be saved."""

    @property
    def words(self) -> str:
        """What the dashboard answers to, in words."""
        return "addresses and its own names only" if self.any_address else "127.0.0.1 only"

    def __post_init__(self) -> None:
        """Refuse a token that can be guessed.

        Raises:
            UsageError: if it is too short, or no cookie or header can carry it.
        """
        if self.token is not None:
            check_token(self.token)


@dataclass(frozen=True)
class Refusal:
    """An answer that is no."""

    status: str
    text: str
    headers: tuple[tuple[str, str], ...] = ()


@runtime_checkable
class _Closable(Protocol):
    def close(self) -> None: ...


class Guard:
    """Answers what ``app`` does, to those who may ask; every answer says what a page of it may do.

    A page of another site that resolves its name to this machine is refused by its Host, one that
    sends something here by its Origin, what would change anything by its method.
    """

    def __init__(self, app: Wsgi, access: Access) -> None:
        self._app = app
        self._access = access
        self._pass = None if access.token is None else _digest(access.token)

    def __call__(self, environ: Environ, start_response: Any) -> Iterable[bytes]:
        """Answer a request."""
        path = environ.get("PATH_INFO", "")

        def safe(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            return start_response(status, safe_headers(path, headers), *rest)

        refusal = self._refusal(environ, path)
        if refusal is None:
            try:
                return _without_body(environ, self._app(environ, safe))
            except Exception:  # noqa: BLE001  (the last border: a bug of ours)
                _log.exception("dashboard: %s", path)
                refusal = Refusal("500 Internal Server Error", "a bug of ours; see the terminal")
        plain = [("Content-Type", "text/plain; charset=utf-8"), ("Cache-Control", "no-store")]
        safe(refusal.status, [*plain, *refusal.headers])
        return [f"{refusal.text}\n".encode()]

    def _refusal(self, environ: Environ, path: str) -> Refusal | None:
        return (
            self._foreign(environ)
            or _crooked(path)
            or self._stranger(environ, path)
            or self._writing(environ, path)
        )

    def _foreign(self, environ: Environ) -> Refusal | None:
        """Refuse another name than ours, and the pages of other sites."""
        access, host = self._access, str(environ.get("HTTP_HOST", ""))
        name = name_of(host)
        if name not in access.names and not (access.any_address and is_address(name)):
            return Refusal("403 Forbidden", f"this dashboard answers to {access.words}")
        origin = environ.get("HTTP_ORIGIN")
        if origin is not None and origin not in (f"http://{host}", f"https://{host}"):
            return Refusal("403 Forbidden", "this dashboard answers its own pages only")
        return None

    def _stranger(self, environ: Environ, path: str) -> Refusal | None:
        """Refuse who does not know the token; take it from an address into a cookie."""
        if self._access.token is None or self._pass is None:
            return None
        cookie = _cookie_name(environ)
        if same(_cookies(environ).get(cookie, ""), self._pass):
            return None
        scheme, _, given = str(environ.get("HTTP_AUTHORIZATION", "")).partition(" ")
        if scheme.lower() == "bearer" and same(given.strip(), self._access.token):
            return None
        query = parse_qsl(environ.get("QUERY_STRING", ""), keep_blank_values=True)
        asked = dict(query).get("token", "")
        if environ["REQUEST_METHOD"] == "GET" and same(asked, self._access.token):
            rest = urlencode([pair for pair in query if pair[0] != "token"])
            place = quote("/" + path.lstrip("/")) + (f"?{rest}" if rest else "")
            kept = f"{cookie}={self._pass}; Path=/; HttpOnly; SameSite=Strict"
            return Refusal("303 See Other", "", (("Location", place), ("Set-Cookie", kept)))
        text = "this dashboard wants its token: open its address with ?token=TOKEN once"
        return Refusal("401 Unauthorized", text, (("WWW-Authenticate", 'Bearer realm="hpo"'),))

    def _writing(self, environ: Environ, path: str) -> Refusal | None:
        """Refuse every method that could change something, but for what is allowed."""
        method = environ["REQUEST_METHOD"]
        if method in ("GET", "HEAD"):
            return None
        is_note = method == "PUT" and NOTES.fullmatch(path) is not None
        is_question = method == "POST" and QUESTIONS.fullmatch(path) is not None
        if not is_question and not (is_note and self._access.notes):
            hint = "; notes: hpo dashboard --notes" if is_note else ""
            text = f"this dashboard is for looking only{hint}"
            return Refusal("405 Method Not Allowed", text, (("Allow", "GET, HEAD"),))
        length = str(environ.get("CONTENT_LENGTH") or "")
        if not length.isdecimal():
            return Refusal("411 Length Required", "how long is it?")
        if int(length) > MOST_BYTES:
            return Refusal("413 Content Too Large", f"at most {MOST_BYTES} bytes are taken")
        kind = str(environ.get("CONTENT_TYPE", "")).partition(";")[0].strip().lower()
        if is_note and kind != "application/json":
            return Refusal("415 Unsupported Media Type", "a note comes as application/json")
        return None


def safe_headers(path: str, headers: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return the headers of an answer with those that keep it from doing harm."""
    sent = [pair for pair in headers]
    theirs = {name.lower(): value for name, value in sent}
    kept = [pair for pair in sent if not pair[0].lower().startswith(_NO_ACCESS)]
    always = [pair for pair in ALWAYS if pair[0].lower() not in {n.lower() for n, _ in kept}]
    policy = policy_of(path, theirs.get("content-security-policy"))
    extra = [("Content-Security-Policy", policy)]
    if path.startswith("/artifacts/") and "content-disposition" not in theirs:
        extra.append(("Content-Disposition", "attachment"))
    return [*kept, *always, *extra]


def _without_body(environ: Environ, answer: Iterable[bytes]) -> Iterable[bytes]:
    """Return nothing where only the headers were asked for."""
    if environ["REQUEST_METHOD"] != "HEAD":
        return answer
    for _ in answer:
        break
    if isinstance(answer, _Closable):
        answer.close()
    return []


def _crooked(path: str) -> Refusal | None:
    """Refuse a path that climbs, or holds what no address of ours does."""
    if ".." in path.split("/") or any(letter < " " or letter in "\\\x7f" for letter in path):
        return Refusal("400 Bad Request", "no such address; start at /")
    return None


def _cookie_name(environ: Environ) -> str:
    """Return the cookie's name: browsers send cookies to all ports of a host."""
    return f"hpo_dashboard_{environ.get('SERVER_PORT', '')}"


def _cookies(environ: Environ) -> dict[str, str]:
    try:
        found = SimpleCookie(environ.get("HTTP_COOKIE", ""))
    except CookieError:
        return {}
    return {name: morsel.value for name, morsel in found.items()}


def _digest(token: str) -> str:
    """Return what the cookie holds: it lets in, and does not tell the token."""
    return hashlib.sha256(f"hpo dashboard {token}".encode()).hexdigest()
