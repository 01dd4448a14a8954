"""Who may ask a server of ours: by which names it is called, and who knows its token."""

import hmac
import ipaddress
from urllib.parse import urlsplit

from hpo.errors import UsageError

LOOPBACK = ("127.0.0.1", "localhost", "::1")
"""Names of this machine that nobody else can use."""
SHORTEST_TOKEN = 16


def check_token(token: str, where: str = "token") -> None:
    """Refuse a token that can be guessed.

    Raises:
        UsageError: if it is too short, or no cookie or header can carry it.
    """
    hint = f"{SHORTEST_TOKEN} letters or more, such as: openssl rand -hex 16"
    if len(token) < SHORTEST_TOKEN:
        raise UsageError(where, f"has {len(token)} characters", hint)
    if not (token.isascii() and token.isprintable()) or " " in token:
        raise UsageError(where, "holds what a header cannot carry", hint)


def name_of(host: str) -> str:
    """Return the name of a Host header, without port and brackets; empty if it is none.

    >>> name_of("localhost:80"), name_of("[::1]:80"), name_of("a@b:1"), name_of("x:y")
    ('localhost', '::1', '', '')
    """
    try:
        place = urlsplit(f"//{host}")
        place.port  # noqa: B018  (it is read to be checked)
    except ValueError:
        return ""
    if "@" in host or place.netloc != host:
        return ""
    return (place.hostname or "").rstrip(".")


def is_address(name: str) -> bool:
    """Say whether a name is a numeric address: no foreign page can take one for itself."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def same(given: str, known: str) -> bool:
    """Compare in a time that does not tell how much is right."""
    return hmac.compare_digest(given.encode(), known.encode())
