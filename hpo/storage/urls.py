"""The URLs of storages: passwords as people write them, and what may be shown of a URL."""

import re

_QUERY = re.compile(r"\?(?=\w+=)")
_USER = re.compile(r"(?P<user>[^:/?@]*:)(?P<password>.*)@", re.DOTALL)
_HOST_FIRST = re.compile(r"[^:/?@]*:\d+([/?]|$)")
_PLACE = re.compile(r"[^:/?@]*(:\d+)?(/[^?]*)?")


def readable(url: str) -> str:
    """Return a URL in which passwords may hold ``@``: the place comes after the last one.

    >>> readable("postgresql://me:se@cret@db.example/hpo?sslpassword=a@b")
    'postgresql://me:se%40cret@db.example/hpo?sslpassword=a%40b'
    """
    scheme, separator, rest = url.partition("://")
    user = _user(rest)
    place, *query = _QUERY.split(rest[len(user) :], maxsplit=1)
    encoded = [part.replace("@", "%40") for part in query]
    user = user[:-1].replace("@", "%40") + user[-1:]
    return scheme + separator + user + "?".join([place, *encoded])


def redacted(url: str) -> str:
    """Return what may be shown of a storage URL: no user, no password, no query.

    >>> redacted("postgresql+psycopg://me:secret@db.example/hpo?sslpassword=x")
    'postgresql+psycopg://db.example/hpo'
    """
    scheme, separator, rest = url.partition("://")
    if not re.fullmatch(r"[\w.+-]*", scheme):
        return "the storage"
    place = _QUERY.split(rest[len(_user(rest)) :], maxsplit=1)[0]
    if "@" in place.partition("/")[0]:  # a user without a password
        place = place.rpartition("@")[2]
    return scheme + separator + (place if _PLACE.fullmatch(place) else "…")


def _user(rest: str) -> str:
    """Return user, password and the ``@`` after them; nothing if a URL has no password there."""
    found = _USER.match(_QUERY.split(rest, maxsplit=1)[0])
    return found.group() if found and not _HOST_FIRST.match(rest) else ""
