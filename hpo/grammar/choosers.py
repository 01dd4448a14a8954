"""Who decides the undecided leaves: given values, chance, or the defaults of the config models."""

import math
import random
from collections.abc import Mapping
from typing import Any, Protocol, TypeVar

from hpo.grammar.nodes import Scalar

S = TypeVar("S", bound=Scalar)


class Chooser(Protocol):
    """What decides a leaf: an Optuna trial, given values, or chance."""

    def suggest_int(
        self, name: str, low: int, high: int, *, step: int = 1, log: bool = False
    ) -> int:
        """Return an integer of the range."""
        ...

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        """Return a number of the range."""
        ...

    def suggest_categorical(self, name: str, choices: list[Scalar]) -> Scalar:
        """Return one of the choices."""
        ...


class Given:
    """Decide by given values; a missing one is an error of the caller."""

    def __init__(self, params: Mapping[str, Scalar]) -> None:
        self._params = params

    def suggest_int(
        self, name: str, low: int, high: int, *, step: int = 1, log: bool = False
    ) -> int:
        """Return the given value."""
        return int(self._params[name])  # type: ignore[arg-type]

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        """Return the given value."""
        return float(self._params[name])  # type: ignore[arg-type]

    def suggest_categorical(self, name: str, choices: list[Scalar]) -> Scalar:
        """Return the given value."""
        return self._params[name]


class Chance:
    """Decide by chance, log-uniformly where asked."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def suggest_int(
        self, name: str, low: int, high: int, *, step: int = 1, log: bool = False
    ) -> int:
        """Return an integer of the range."""
        if log:
            value = round(math.exp(self._random.uniform(math.log(low - 0.5), math.log(high + 0.5))))
            return min(max(value, low), high)
        return low + step * self._random.randint(0, (high - low) // step)

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        """Return a number of the range."""
        if log:
            value = math.exp(self._random.uniform(math.log(low), math.log(high)))
            return min(max(value, low), high)
        if step is None:
            return self._random.uniform(low, high)
        return on_grid(low, high, step, self._random.randint(0, round((high - low) / step)))

    def suggest_categorical(self, name: str, choices: list[Scalar]) -> Scalar:
        """Return one of the choices."""
        return self._random.choice(choices)


class AtBounds:
    """Decide every range by one of its bounds and every choice by chance."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def suggest_int(
        self, name: str, low: int, high: int, *, step: int = 1, log: bool = False
    ) -> int:
        """Return a bound."""
        return self._random.choice((low, high))

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        """Return a bound."""
        return self._random.choice((low, high))

    def suggest_categorical(self, name: str, choices: list[Scalar]) -> Scalar:
        """Return one of the choices."""
        return self._random.choice(choices)


class Unit:
    """Decide by numbers in [0, 1), one per parameter, as a low-discrepancy sequence gives them.

    ``params`` holds what was decided.
    """

    def __init__(self, units: Mapping[str, float]) -> None:
        self._units = units
        self.params: dict[str, Scalar] = {}

    def suggest_int(
        self, name: str, low: int, high: int, *, step: int = 1, log: bool = False
    ) -> int:
        """Return the integer at that share of the range."""
        if log:
            begin, end = math.log(low - 0.5), math.log(high + 0.5)
            value = round(math.exp(begin + self._units[name] * (end - begin)))
            return self._keep(name, min(max(value, low), high))
        n_values = (high - low) // step + 1
        return self._keep(name, low + step * int(self._units[name] * n_values))

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        """Return the number at that share of the range."""
        unit = self._units[name]
        if log:
            begin, end = math.log(low), math.log(high)
            return self._keep(name, min(max(math.exp(begin + unit * (end - begin)), low), high))
        if step is None:
            return self._keep(name, low + unit * (high - low))
        k = int(unit * (round((high - low) / step) + 1))
        return self._keep(name, on_grid(low, high, step, k))

    def suggest_categorical(self, name: str, choices: list[Scalar]) -> Scalar:
        """Return the choice at that share of the list."""
        return self._keep(name, choices[int(self._units[name] * len(choices))])

    def _keep(self, name: str, value: S) -> S:
        self.params[name] = value
        return value


class ByDefault:
    """Decide by the defaults of the config models, clipped into the searched ranges.

    Args:
        picks: the branches that are decided already, by the name of their parameter.
    """

    def __init__(self, picks: Mapping[str, str]) -> None:
        self._picks = picks
        self.reference: Mapping[str, Any] = {}
        self.params: dict[str, Scalar] = {}
        self.notes: list[str] = []

    def suggest_int(
        self, name: str, low: int, high: int, *, step: int = 1, log: bool = False
    ) -> int:
        """Return the default, clipped and put on the grid of steps."""
        value = self._clipped(name, low, high, log)
        return self._keep(name, int(self._stepped(name, value, low, high, step)))

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        """Return the default, clipped and put on the grid of steps."""
        value = float(self._clipped(name, low, high, log))
        if step is not None:
            value = self._stepped(name, value, low, high, step)
        return self._keep(name, value)

    def suggest_categorical(self, name: str, choices: list[Scalar]) -> Scalar:
        """Return the default where it is a choice, else the first."""
        if name in self._picks:
            return self._keep(name, self._picks[name])
        found, value = self._look_up(name)
        if isinstance(value, Mapping):
            value = value.get("name", value.get("kind", value.get("source")))
        for choice in choices:
            if found and value == choice and type(value) is type(choice):
                return self._keep(name, choice)
        instead = _nearest(value, choices)
        if found:
            self.notes.append(f"{name}: default {value!r} is no choice; {instead!r} instead")
        return self._keep(name, instead)

    def _clipped(self, name: str, low: float, high: float, log: bool) -> float:
        found, value = self._look_up(name)
        if not found or not isinstance(value, int | float):
            return math.sqrt(low * high) if log else (low + high) / 2
        clipped = min(max(value, low), high)
        if clipped != value:
            self.notes.append(f"{name}: default {value:g} lies outside; {clipped:g} instead")
        return clipped

    def _stepped(self, name: str, value: float, low: float, high: float, step: float) -> float:
        stepped = on_grid(low, high, step, round((value - low) / step))
        if self._look_up(name)[1] == value and not math.isclose(stepped, value):
            self.notes.append(f"{name}: default {value:g} is no step; {stepped:g} instead")
        return stepped

    def _look_up(self, name: str) -> tuple[bool, Any]:
        value: Any = self.reference
        for key in name.split("."):
            if isinstance(value, Mapping) and key in value:
                value = value[key]
            elif not (isinstance(value, Mapping) and key in _tags(value)):
                return False, None
        return value is not None, value

    def _keep(self, name: str, value: S) -> S:
        self.params[name] = value
        return value


def on_grid(low: float, high: float, step: float, k: int) -> float:
    """Return step ``k`` from ``low``, rounding errors kept at or below ``high``."""
    return min(low + step * k, high)


def _tags(section: Mapping[str, Any]) -> list[Any]:
    """Return the names by which a branch of ``section`` may stand in a dotted path."""
    return [section.get(tag) for tag in ("family", "name", "kind", "source")]


def _nearest(value: Any, choices: list[Scalar]) -> Scalar:
    """Return the choice nearest to a number; the first where that has no meaning."""
    numbers = [choice for choice in choices if _is_number(choice)]
    if not _is_number(value) or len(numbers) < len(choices):
        return choices[0]
    return min(numbers, key=lambda choice: abs(float(choice or 0) - float(value)))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
