"""The seal of a model file: its own sha256 in it, so that one changed bit is seen."""

import hashlib
from pathlib import Path

from hpo.errors import UsageError

MARK = b"hpo-sha256:"
_DIGITS = 64
UNSEALED = (MARK + b"0" * _DIGITS).decode()
"""What a file holds, once, before it is sealed."""


def sealed(content: bytes) -> bytes:
    """Return the content of a file with its seal in the place of `UNSEALED`.

    Raises:
        ValueError: if `UNSEALED` does not stand in it exactly once.
    """
    blank = UNSEALED.encode()
    if content.count(blank) != 1:
        raise ValueError(f"{content.count(blank)} places for the seal, expected one")
    return content.replace(blank, MARK + hashlib.sha256(content).hexdigest().encode())


def check_seal(content: bytes, where: str) -> str:
    """Return the sha256 that a file is sealed with.

    Args:
        content: the file's bytes.
        where: begins the errors.

    Raises:
        UsageError: if the file has no seal, or is not the one that was sealed.
    """
    at = content.rfind(MARK)
    start = at + len(MARK)
    digits = content[start : start + _DIGITS]
    if at < 0 or len(digits) < _DIGITS:
        what = "is no model file of hpo's, or a part of one"
        raise UsageError(where, what, "write it with hpo export")
    whole = memoryview(content)  # a model may be large: no copy of it
    found = hashlib.sha256(whole[:start])
    found.update(b"0" * _DIGITS)
    found.update(whole[start + _DIGITS :])
    if found.hexdigest().encode() != digits:
        what = "is damaged: its content is not the one that was sealed"
        raise UsageError(where, what, "copy it again, or write it with hpo export")
    return digits.decode()


def read_model(path: Path) -> bytes:
    """Return the bytes of a model file; whoever opens them checks their seal.

    Raises:
        UsageError: if there is no such file, or it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        hint = "name a file that hpo export wrote"
        raise UsageError(str(path), f"cannot be read: {error.strerror}", hint) from None
