"""Look up things by name, refuse a name twice, suggest the nearest when a name is unknown."""

from collections.abc import Callable, Iterator, Mapping
from difflib import SequenceMatcher, get_close_matches
from itertools import takewhile
from typing import TypeVar

from lightning_modules.errors import UsageError

T = TypeVar("T")


class UnknownNameError(KeyError):
    """A name that nothing is registered under; the message names the nearest, or all."""

    def __str__(self) -> str:
        return str(self.args[0])


class NameTakenError(UsageError):
    """A name that something else is registered under already."""


class Registry(Mapping[str, T]):
    """Named entries of one kind, in the order of their registration.

    >>> colours = Registry[str]("colour")
    >>> colours.register("red")("#f00")
    '#f00'
    >>> colours["rde"]
    Traceback (most recent call last):
        ...
    lightning_modules.registry.UnknownNameError: no colour 'rde'; did you mean 'red'?
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._entries: dict[str, T] = {}

    def register(self, name: str) -> Callable[[T], T]:
        """Return a decorator that files its argument under ``name`` and hands it back.

        Raises:
            NameTakenError: when the decorator is applied and ``name`` is in use: a silent
                replacement would change what earlier study files mean.
        """

        def add(entry: T) -> T:
            if name in self._entries:
                raise NameTakenError("", f"{self.kind} {name!r} is taken", "choose another name")
            self._entries[name] = entry
            return entry

        return add

    def renew(self, name: str, entry: T) -> None:
        """File ``entry`` in place of an earlier version of itself (a cell that ran again)."""
        self._entries[name] = entry

    def __getitem__(self, name: str) -> T:
        if name in self._entries:
            return self._entries[name]
        raise UnknownNameError(f"no {self.kind} {name!r}; {suggest(name, self._entries)}")

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)


def _likeness(name: str, known: str) -> float:
    return SequenceMatcher(None, known, name).ratio()


def _n_first_equal(name: str, known: str) -> int:
    pairs = zip(name, known, strict=False)
    return len(list(takewhile(lambda pair: pair[0] == pair[1], pairs)))


def suggest(name: str, known: Mapping[str, object] | list[str]) -> str:
    """Return the nearest known name as a question, or all of them.

    >>> suggest("adm", ["adam", "sgd"])
    "did you mean 'adam'?"
    >>> suggest("cnm", ["tcn", "cnn"])
    "did you mean 'cnn'?"
    >>> suggest("zzz", ["adam", "sgd"])
    'known: adam, sgd'
    """
    close = get_close_matches(name, sorted(known), n=3)
    # Of equally close ones that which is equal from the beginning for longest.
    close.sort(key=lambda one: (-_likeness(name, one), -_n_first_equal(name, one)))
    return f"did you mean {close[0]!r}?" if close else f"known: {', '.join(sorted(known))}"
