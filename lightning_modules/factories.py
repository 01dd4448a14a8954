"""Callbacks that installed packages bring to every Trainer, looked up once per process.

Lightning asks for them at each Trainer, and reads what is known of every installed package: a
quarter of what a short run costs. What they make is made for each Trainer, as ever.
"""

import importlib.metadata
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from lightning_fabric.utilities import registry

NAME = "entry_points"
_look_up = importlib.metadata.entry_points
_known = cache(_look_up)


@contextmanager
def factories_looked_up_once() -> Iterator[None]:
    """Let a Trainer that is made inside find what an earlier one has found.

    Where Lightning looks things up in another way, it goes on doing so.
    """
    if getattr(registry, NAME, None) is not _look_up:
        yield
        return
    setattr(registry, NAME, _known)
    try:
        yield
    finally:
        setattr(registry, NAME, _look_up)
