"""The grammar of a space: a config in which some leaves are undecided, parsed against its fields.

A mapping is an undecided leaf when its keys are among ``low high log step`` or are exactly
``choices``, ``one_of``, or ``length each``; these words are reserved.
"""

import math
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from hpo.errors import Problem
from hpo.files import RawPath
from hpo.grammar.fields import Slot, field_slot, section_model
from hpo.grammar.scalars import Scalar as Scalar
from lightning_modules.registry import suggest
from lightning_modules.settings import Tagged

LONGEST_LIST = 256
LARGEST_WHOLE = 2**53
RANGE_KEYS = {"low", "high", "log", "step"}
RESERVED = RANGE_KEYS | {"choices", "one_of", "length", "each"}


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a node stands: its dotted name, and its keys in the file (``one_of`` included)."""

    name: str
    raw: RawPath

    def child(self, key: str, *raw: str) -> "Place":
        """Return the place of ``key`` below this one."""
        return Place(name=f"{self.name}.{key}".lstrip("."), raw=(*self.raw, *(raw or (key,))))


@dataclass(frozen=True, kw_only=True)
class Fixed:
    """A decided value."""

    place: Place
    value: Any


@dataclass(frozen=True, kw_only=True)
class Range:
    """A number from ``low`` to ``high``, both included; ``whole`` if the field is an integer."""

    place: Place
    low: float
    high: float
    log: bool
    step: float | None
    whole: bool


@dataclass(frozen=True, kw_only=True)
class Choices:
    """One of several plain values."""

    place: Place
    choices: tuple[Scalar, ...]


@dataclass(frozen=True, kw_only=True)
class OneOf:
    """One of several branches of an open union, each with its own undecided leaves."""

    place: Place
    tag: str
    branches: Mapping[str, "Section"]


@dataclass(frozen=True, kw_only=True)
class ListOf:
    """A list whose length and entries are undecided."""

    place: Place
    length: Fixed | Range | Choices
    each: Mapping[str, Any]
    """The raw entry; it is parsed once per index, so that each has its own name."""
    slot: Slot
    _entries: dict[int, "Node"] = field(default_factory=dict, init=False, repr=False, compare=False)

    def entry(self, index: int) -> "Node":
        """Return the node of entry ``index``."""
        if index not in self._entries:
            place = self.place.child(str(index), "each")
            self._entries[index] = Parser(lambda _: None).node(self.each, self.slot, place)
        return self._entries[index]

    def longest(self) -> int:
        """Return the largest length."""
        if isinstance(self.length, Fixed):
            return int(self.length.value)
        if isinstance(self.length, Range):
            return int(self.length.high)
        return max(int(choice or 0) for choice in self.length.choices)


@dataclass(frozen=True, kw_only=True)
class Section:
    """A mapping of nodes."""

    place: Place
    children: Mapping[str, "Node"]


Node = Fixed | Range | Choices | OneOf | ListOf | Section


class Parser:
    """Turn raw values into nodes; mistakes go to ``complain`` and leave a Fixed node behind."""

    def __init__(self, complain: Callable[[tuple[Place, Problem]], None]) -> None:
        self._complain = complain

    def root(self, values: Mapping[str, Any], model: type[BaseModel]) -> Section:
        """Parse the sections of a whole config."""
        place = Place(name="", raw=())
        return self._section(values, model, place)

    def node(self, value: Any, slot: Slot, place: Place) -> Node:
        """Parse ``value``, which fills ``slot``."""
        if isinstance(value, Mapping):
            keys = set(value)
            for key in value:
                if not isinstance(key, str):
                    return self._wrong(place, value, f"the key {key!r} is no text", "quote it")
            model = section_model(slot, value)
            if model is not None and keys <= set(model.model_fields):
                return self._section(value, model, place)
            if keys and keys <= RANGE_KEYS:
                return self._range(value, slot, place)
            if keys == {"choices"}:
                return self._choices(value["choices"], place)
            if "one_of" in keys:
                return self._one_of(value, slot, place)
            if keys == {"length", "each"}:
                return self._list(value, slot, place)
            if keys & RESERVED:
                return self._wrong(place, value, *_mixed(sorted(keys & RESERVED), keys))
            if slot.tagged is not None and model is None:
                return self._kindless(value, slot.tagged, place)
            return self._section(value, model, place)
        if isinstance(value, float) and not math.isfinite(value):
            return self._wrong(
                place, value, f"{value} is no number to train with", "use a finite one"
            )
        return Fixed(place=place, value=value)

    def _section(
        self, values: Mapping[str, Any], model: type[BaseModel] | None, place: Place
    ) -> Section:
        children: dict[str, Node] = {}
        for key, value in values.items():
            inner = place.child(key)
            if model is None or key in model.model_fields:
                children[key] = self.node(value, field_slot(model, key), inner)
            else:  # an unknown key, which the check against the fields will name
                children[key] = Fixed(place=inner, value=value)
        return Section(place=place, children=children)

    def _kindless(self, value: Mapping[str, Any], tagged: Tagged, place: Place) -> Fixed:
        """Leave a section of unknown kind alone; the check against the fields names the kinds."""
        if isinstance(value.get(tagged.tag), Mapping):
            hint = "use one_of, with one branch for each"
            return self._wrong(place, value, f"{tagged.tag} cannot be searched like a value", hint)
        return Fixed(place=place, value=value)

    def _range(self, value: Mapping[str, Any], slot: Slot, place: Place) -> Node:
        if slot.whole is None:
            hint = "use choices"
            if slot.allowed:
                hint = f"use choices among {', '.join(map(repr, slot.allowed))}"
            return self._wrong(place, value, "a range needs a number field", hint)
        low, high, step = value.get("low"), value.get("high"), value.get("step")
        log = value.get("log", False)
        problem = _range_problem(low, high, step, log) or _whole_problem(slot, low, high, step)
        if problem is not None or low is None or high is None:
            return self._wrong(place, value, *(problem or ("", "")))
        return Range(
            place=place,
            low=_number(low, slot),
            high=_number(high, slot),
            log=log,
            step=None if step is None else _number(step, slot),
            whole=slot.whole,
        )

    def _choices(self, choices: Any, place: Place) -> Node:
        if not isinstance(choices, list) or not choices:
            return self._wrong(
                place, choices, "choices must be a list of values", "name at least one"
            )
        for choice in choices:
            if not isinstance(choice, Scalar):
                hint = "use one_of for sections, {length, each} for lists"
                return self._wrong(place, choices, f"{choice!r} is no plain value", hint)
            if isinstance(choice, float) and not math.isfinite(choice):
                return self._wrong(
                    place, choices, f"{choice} is no number to train with", "remove it"
                )
        if len({(type(choice), choice) for choice in choices}) < len(choices):
            return self._wrong(place, choices, "a choice stands twice", "remove one")
        return Choices(place=place, choices=tuple(choices))

    def _one_of(self, value: Mapping[str, Any], slot: Slot, place: Place) -> Node:
        branches = value["one_of"]
        if len(value) > 1:
            others = ", ".join(key for key in value if key != "one_of")
            hint = "move them into the branches"
            return self._wrong(place, value, f"{others} beside one_of would have no effect", hint)
        if slot.tagged is None:
            return self._wrong(place, value, "one_of needs a section with kinds", "use choices")
        if not isinstance(branches, Mapping) or not branches:
            return self._wrong(place, value, "one_of must map names to settings", "a: {…}, b: {…}")
        tag, parsed = slot.tagged.tag, {}
        for name, settings in branches.items():
            if not isinstance(name, str):
                return self._wrong(place, value, f"the key {name!r} is no text", "quote it")
            inner = place.child(name, "one_of", name)
            if name not in slot.tagged.registry:
                kind = slot.tagged.registry.kind
                self._wrong(
                    inner, settings, f"no {kind} {name!r}", suggest(name, slot.tagged.registry)
                )
                continue
            if not isinstance(settings, Mapping | None):
                self._wrong(inner, settings, "needs a mapping of settings", f"{name}: {{}}")
                continue
            if tag in (settings or {}):
                self._wrong(
                    inner.child(tag), settings, f"{tag} is the branch's name already", "remove it"
                )
                continue
            full = {tag: name, **(settings or {})}
            parsed[name] = self._section(full, slot.tagged.registry[name].config, inner)
        if not parsed:  # every branch is wrong: a stand-in lets the other sections be checked
            return Fixed(place=place, value={tag: next(iter(slot.tagged.registry))})
        return OneOf(place=place, tag=tag, branches=parsed)

    def _list(self, value: Mapping[str, Any], slot: Slot, place: Place) -> Node:
        if slot.item is None:
            return self._wrong(place, value, "length and each need a list field", "give one value")
        length = self.node(value["length"], Slot(whole=True), place.child("length"))
        if not isinstance(length, Fixed | Range | Choices):
            return self._wrong(place, value, "length must be a number", "length: {low: 1, high: 4}")
        lengths = list(length.choices) if isinstance(length, Choices) else []
        lengths += [length.value] if isinstance(length, Fixed) else []
        lengths += [int(length.low), int(length.high)] if isinstance(length, Range) else []
        whole = [n for n in lengths if isinstance(n, int) and not isinstance(n, bool) and n >= 0]
        if len(whole) < len(lengths):
            return self._wrong(place, value, "length must be a whole number ≥ 0", "length: 2")
        if max(whole) > LONGEST_LIST:
            what = f"length reaches {max(whole):,}"
            return self._wrong(place, value, what, f"at most {LONGEST_LIST:,}")
        self.node(value["each"], slot.item, place.child("each"))
        return ListOf(place=place, length=length, each=value["each"], slot=slot.item)

    def _wrong(self, place: Place, value: Any, what: str, hint: str) -> Fixed:
        self._complain((place, Problem(place.name, what, hint)))
        return Fixed(place=place, value=value)


def _mixed(reserved: list[str], keys: set[str]) -> tuple[str, str]:
    if reserved in (["each"], ["length"]):
        return f"{reserved[0]} stands alone", "a list needs both length and each"
    others = ", ".join(sorted(keys - set(reserved))) or "one another"
    return f"{', '.join(reserved)} cannot stand beside {others}", "they describe an undecided leaf"


def _range_problem(low: Any, high: Any, step: Any, log: Any) -> tuple[str, str] | None:
    for name, bound in (("low", low), ("high", high)):
        if bound is None:
            return f"{name} is missing", "a range is {low: …, high: …}"
        if not isinstance(bound, int | float) or isinstance(bound, bool):
            return f"{name} {bound!r} is no number", "a range is {low: …, high: …}"
        if not abs(bound) <= sys.float_info.max:
            return f"{name} is {_short(bound)}", "bounds are finite"
    if not isinstance(log, bool):
        return f"log {log!r} is neither true nor false", "write log: true"
    if low > high:
        return f"low {low:g} > high {high:g}", "swap them"
    if low == high:
        return f"low and high are both {low:g}: nothing to search", f"write {low:g}"
    if log and low <= 0:
        return f"log needs low > 0, got {low:g}", "raise low, or remove log"
    if step is None:
        return None
    return _step_problem(low, high, step, log)


def _step_problem(low: float, high: float, step: Any, log: bool) -> tuple[str, str] | None:
    if not isinstance(step, int | float) or isinstance(step, bool) or not step > 0:
        return f"step {step!r} is no positive number", "step: 1"
    if log:
        return "step and log exclude each other", "remove one"
    steps = (high - low) / step
    if abs(steps - round(steps)) > 1e-9:
        reached = low + math.floor(steps) * step
        return f"steps of {step:g} from {low:g} do not reach {high:g}", f"high: {reached:g}"
    return None


def _short(number: float) -> str:
    text = str(number)
    return text if len(text) <= 20 else text[:19] + "…"


def _whole_problem(slot: Slot, *bounds: float | None) -> tuple[str, str] | None:
    for bound in bounds:
        if slot.whole and bound is not None and bound != int(bound):
            return f"{bound:g} is no whole number, and the field is", "use whole numbers"
        if slot.whole and bound is not None and abs(bound) > LARGEST_WHOLE:
            return f"{bound:g} is too large to search exactly", f"at most {LARGEST_WHOLE}"
    return None


def _number(value: float, slot: Slot) -> float:
    return int(value) if slot.whole else float(value)
