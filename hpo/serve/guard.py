"""Who may ask for what: host, origin, token; and the headers that every answer has."""

import hashlib
import re
from collections.abc import Mapping
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qsl, quote, urlencode

from hpo.access import is_address, name_of, same
from hpo.serve.options import Options
from hpo.serve.refusal import Header, Refused

OPEN = frozenset({"/health", "/ready"})
"""Asked without the token, by whatever starts and stops servers; they tell nothing else."""
PAGE = (
    b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    b"connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)
NOTHING = b"default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
"""For data and errors: nothing of it is a page."""
ALWAYS: tuple[Header, ...] = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
)
_MOST_KNOWN = 1000
_CROOKED = re.compile(r"[\x00-\x1f\x7f\\]")


class Guard:
    """Decides on a request by its head alone.

    A page of another site that resolves its name to this machine is refused by its Host, one that
    sends something here by its Origin, and whoever does not know the token by that.
    """

    def __init__(self, options: Options) -> None:
        self._names = options.names
        self._any_address = not options.is_local
        self._token = options.token
        self._pass = None if options.token is None else _digest(options.token)
        self._hosts: dict[bytes, bool] = {}

    def check(self, path: str, headers: Mapping[bytes, bytes]) -> None:
        """Let a request through.

        Raises:
            Refused: if it may not be asked.
        """
        host = headers.get(b"host", b"")
        if not self._is_ours(host):
            hint = "ask by the address of this machine, or start with --allow-host NAME"
            what = "this server is not called so"
            raise Refused(400, "host", where="host", what=what, hint=hint)
        origin = headers.get(b"origin")
        if origin is not None and origin not in (b"http://" + host, b"https://" + host):
            what = "a page of another site may not ask"
            raise Refused(403, "origin", where="origin", what=what)
        if ".." in path.split("/") or _CROOKED.search(path):
            raise Refused(400, "path", where="path", what="no such address", hint="start at /")
        if self._token is not None and path not in OPEN and not self._knows(headers):
            hint = "send Authorization: Bearer TOKEN, or open the page with ?token=TOKEN once"
            what = "the token is missing or wrong"
            error = Refused(401, "token", where="authorization", what=what, hint=hint)
            raise error.with_headers((b"www-authenticate", b'Bearer realm="hpo"'))

    def entry(self, path: str, query: bytes, port: int | None) -> tuple[Header, ...] | None:
        """Return where a browser goes that brings the token in its address; None if it does not.

        From then on a cookie lets it in, and the token is in no address any more.
        """
        if self._token is None or self._pass is None or b"token=" not in query:
            return None
        pairs = parse_qsl(query.decode("latin-1"), keep_blank_values=True)
        if not same(dict(pairs).get("token", ""), self._token):
            return None
        rest = urlencode([pair for pair in pairs if pair[0] != "token"])
        place = quote("/" + path.lstrip("/")) + (f"?{rest}" if rest else "")
        cookie = f"{_cookie(port)}={self._pass}; Path=/; HttpOnly; SameSite=Strict"
        return (b"location", place.encode()), (b"set-cookie", cookie.encode())

    def _is_ours(self, host: bytes) -> bool:
        known = self._hosts.get(host)
        if known is None:
            name = name_of(host.decode("latin-1"))
            known = name in self._names or (self._any_address and is_address(name))
            if len(self._hosts) < _MOST_KNOWN:
                self._hosts[host] = known
        return known

    def _knows(self, headers: Mapping[bytes, bytes]) -> bool:
        scheme, _, given = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
        if scheme.lower() == "bearer" and same(given.strip(), self._token or ""):
            return True
        cookies = _cookies(headers.get(b"cookie", b"").decode("latin-1"))
        return any(
            same(value, self._pass or "")
            for name, value in cookies.items()
            if name.startswith(_COOKIE)
        )


_COOKIE = "hpo_serve"


def _cookie(port: int | None) -> str:
    """Return the cookie's name: browsers send cookies to all ports of a host."""
    return f"{_COOKIE}_{port}"


def _cookies(text: str) -> dict[str, str]:
    try:
        found = SimpleCookie(text)
    except CookieError:
        return {}
    return {name: morsel.value for name, morsel in found.items()}


def _digest(token: str) -> str:
    """Return what the cookie holds: it lets in, and does not tell the token."""
    return hashlib.sha256(f"hpo serve {token}".encode()).hexdigest()
