"""Derive the seed of every random stream from a few numbers and names."""

import hashlib


def derive(*parts: int | str) -> int:
    """Return a seed in 0..2**32-1 that depends on every part and on nothing else.

    >>> derive(0, "init") == derive(0, "init"), derive(0, "init") == derive(1, "init")
    (True, False)
    """
    text = "\x1f".join(map(str, parts))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "little")


def of_step(seed: int, name: str, step: int, part: int, *more: int) -> int:
    """Return the seed of what is drawn for the ``part``-th batch of a step of the optimizer.

    >>> of_step(0, "noise", 7, 0) == derive(0, "noise", 7)
    True
    """
    return derive(seed, name, step, *more, *(("part", part) if part else ()))
