"""Axes: the undecided leaves of a recorded study file, read without the code of its families."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hpo.grammar.imported import IMPORTED
from hpo.grammar.nodes import RANGE_KEYS, Scalar
from hpo.records import TrialRecord
from hpo.space import SECTIONS

Branch = tuple[tuple[str, str], ...]


@dataclass(frozen=True, kw_only=True)
class Axis:
    """One searched parameter: a range, or options; and the branch that it exists in."""

    name: str
    branch: Branch
    """``(("model", "cnn"),)``: exists only where ``model`` is ``cnn``."""
    low: float | None = None
    high: float | None = None
    log: bool = False
    step: float | None = None
    whole: bool = False
    options: tuple[Scalar, ...] = ()
    """Of choices, or the names of branches."""
    is_branch: bool = False

    @property
    def is_number(self) -> bool:
        """Whether it is a range."""
        return self.low is not None

    def unit(self, value: Scalar) -> float:
        """Return where a value lies in the range, in its own scale: 0 is low, 1 is high."""
        if self.low is None or self.high is None or not isinstance(value, int | float):
            raise TypeError(f"{self.name} is no range, or {value!r} no number")
        low, high = self._scaled(self.low), self._scaled(self.high)
        if low == high:
            return 0.5
        return min(max((self._scaled(max(float(value), self.low)) - low) / (high - low), 0.0), 1.0)

    def value(self, unit: float) -> float:
        """Return the value at a place of the range, which may lie outside of 0 to 1."""
        if self.low is None or self.high is None:
            raise TypeError(f"{self.name} is no range")
        low, high = self._scaled(self.low), self._scaled(self.high)
        place = low + unit * (high - low)
        return math.exp(place) if self.log else place

    def level(self, value: Scalar) -> int:
        """Return which of the options a value is; one that is none of them comes after the last."""
        same = [i for i, one in enumerate(self.options) if one == value and _alike(one, value)]
        return same[0] if same else len(self.options)

    def place(self, value: Scalar) -> float:
        """Return where a value lies in the range, or the index of the option that it is."""
        return self.unit(value) if self.is_number else float(self.level(value))

    def _scaled(self, value: float) -> float:
        return math.log(value) if self.log else value


def axes_of(values: Mapping[str, Any], records: Sequence[TrialRecord] = ()) -> list[Axis]:
    """Return the axes of a study file's values, in the order of the file.

    Whether a number is whole is the field's matter, which only its family knows: here the recorded
    values tell.
    """
    whole: dict[str, bool] = {}
    for record in records:
        for name, value in record.params.items():
            whole[name] = whole.get(name, True) and isinstance(value, int)
    found: list[Axis] = []
    for key in SECTIONS:
        if key in values:
            found += _axes(values[key], key, (), whole)
    other = values.get(IMPORTED)
    if isinstance(other, Mapping):
        for name, node in (other.get("parameters") or {}).items():
            found += _axes({k: v for k, v in node.items() if k != "whole"}, name, (), whole)
    return found


def _axes(node: Any, name: str, branch: Branch, whole: Mapping[str, bool]) -> Iterator[Axis]:
    if not isinstance(node, Mapping):
        return
    keys = set(node)
    if keys and keys <= RANGE_KEYS and {"low", "high"} <= keys:
        low, high = node["low"], node["high"]
        bounds = isinstance(low, int) and isinstance(high, int)
        yield Axis(
            name=name,
            branch=branch,
            low=float(low),
            high=float(high),
            log=bool(node.get("log", False)),
            step=None if node.get("step") is None else float(node["step"]),
            whole=whole.get(name, bounds),
        )
    elif keys == {"choices"}:
        yield Axis(name=name, branch=branch, options=tuple(node["choices"]))
    elif keys == {"one_of"}:
        options = tuple(map(str, node["one_of"]))
        yield Axis(name=name, branch=branch, options=options, is_branch=True)
        for option, inner in node["one_of"].items():
            for key, child in (inner or {}).items():
                place = (*branch, (name, str(option)))
                yield from _axes(child, f"{name}.{option}.{key}", place, whole)
    elif keys == {"length", "each"}:
        yield from _axes(node["length"], f"{name}.length", branch, whole)
        for index in range(_longest(node["length"])):
            yield from _axes(node["each"], f"{name}.{index}", branch, whole)
    else:
        for key, child in node.items():
            yield from _axes(child, f"{name}.{key}", branch, whole)


def _longest(length: Any) -> int:
    if isinstance(length, Mapping):
        found = length.get("choices") or [length.get("high", 0)]
        return max(int(one) for one in found)
    return int(length)


def _alike(one: Scalar, other: Scalar) -> bool:
    return isinstance(one, bool) == isinstance(other, bool)
