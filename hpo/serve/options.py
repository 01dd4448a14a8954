"""What a server is told: where it listens, whom it answers, and its limits."""

import socket
from dataclasses import dataclass, field
from pathlib import Path

from hpo.access import LOOPBACK, check_token, name_of
from hpo.errors import UsageError

EVERYWHERE = ("0.0.0.0", "::", "")


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a request may cost."""

    body_bytes: int = 10_000_000
    """Of a request's body, unpacked."""
    rows: int = 10_000
    """Of one request."""
    timeout_s: float = 30.0
    """From its first to its last byte, and the wait for the model."""
    window_ms: float = 0.0
    """How long a request waits for others; those that come while the model runs wait anyhow."""
    queue: int = 512
    """Requests that wait for the model at a time."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """How a model file is served.

    Raises:
        UsageError: if others could ask without a token, or the token can be guessed.
    """

    model: Path
    host: str = "127.0.0.1"
    port: int = 8000
    """0 takes a free one."""
    workers: int = 1
    threads: int = 1
    """Of one call of the model."""
    token: str | None = field(default=None, repr=False)
    allow_hosts: tuple[str, ...] = ()
    """Names that it is called by beside its own, such as that of a proxy."""
    limits: Limits = Limits()
    access_log: bool = True

    def __post_init__(self) -> None:
        """Refuse what would let strangers in."""
        if self.token is not None:
            check_token(self.token)
        if not self.is_local and self.token is None:
            hint = "set HPO_TOKEN, or --token-file, to 16 letters or more: openssl rand -hex 16"
            raise UsageError("--host", f"{self.host!r}: others could ask without a token", hint)
        for host in self.allow_hosts:
            if not host or name_of(host) != host.lower():
                hint = "a name as in predict.example.org, without http:// and port"
                raise UsageError("--allow-host", f"{host!r} is no host name", hint)

    @property
    def is_local(self) -> bool:
        """Whether only this machine can ask."""
        return self.host in LOOPBACK

    @property
    def names(self) -> frozenset[str]:
        """The names that it answers to."""
        names = {*LOOPBACK, *(host.lower() for host in self.allow_hosts)}
        if not self.is_local:
            own = socket.gethostname().lower()
            names |= {own, own.partition(".")[0], self.host.lower()}
        return frozenset(names)


def read_token(file: Path | None, given: str | None) -> str | None:
    """Return the token of a file, or that of the environment.

    Args:
        file: of ``--token-file``; white space around the token is left out.
        given: by ``HPO_TOKEN``.

    Raises:
        UsageError: if both are given, or the file cannot be read.
    """
    if file is None:
        return given or None
    if given:
        what = "HPO_TOKEN is set too: which is it?"
        raise UsageError("--token-file", what, "leave one of them out")
    try:
        token = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text"
        raise UsageError("--token-file", f"{file} cannot be read: {why}", "check it") from None
    check_token(token, f"--token-file {file}")
    return token
