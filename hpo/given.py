"""Given values: what somebody wants of a trial's parameters, checked against the space."""

import re
from collections.abc import Iterator, Mapping

from hpo.errors import Problem, SpecError, UsageError
from hpo.grammar.choosers import on_grid
from hpo.grammar.nodes import OneOf, Range, Scalar
from hpo.space import Parameter, SearchSpace
from lightning_modules.registry import suggest

_ENTRY = re.compile(r"(.+?)\.(\d+)(?:\..+)?")


def check_given(space: SearchSpace, given: Mapping[str, object]) -> dict[str, Scalar]:
    """Return values as the space holds them, and the branches that follow from their names.

    Raises:
        SpecError: if a name or value is not of the space, or two exclude each other; it names
            every mistake.
    """
    known = {parameter.name: parameter for parameter in space.parameters()}
    params: dict[str, Scalar] = {}
    problems: list[Problem] = []
    for name, value in given.items():
        if name not in known:
            what = "is no parameter of the study"
            problems.append(Problem(name, what, suggest(name, list(known))))
            continue
        try:
            params[name] = _fitting(known[name], value)
        except UsageError as error:
            problems.append(Problem(name, error.what, error.hint))
    problems += _fill_branches(known, params)
    problems += _lost_entries(known, params)
    if problems:
        raise SpecError(problems)
    return {name: params[name] for name in known if name in params}


def _fill_branches(known: Mapping[str, Parameter], params: dict[str, Scalar]) -> Iterator[Problem]:
    for name in list(params):
        for union, branch in known[name].branch:
            if params.setdefault(union, branch) != branch:
                what = f"exists only where {union} is {branch}, not {params[union]}"
                yield Problem(name, what, "give one of the two")


def _lost_entries(
    known: Mapping[str, Parameter], params: Mapping[str, Scalar]
) -> Iterator[Problem]:
    """Yield the entries of lists that a list of the given length, or of none, may not have."""
    for name in params:
        entry = _ENTRY.fullmatch(name)
        if entry is None or f"{entry[1]}.length" not in known:
            continue
        length = f"{entry[1]}.length"
        given = params.get(length)
        if given is None:
            yield Problem(name, "exists only in a list that is long enough", f"give {length} too")
        elif isinstance(given, int) and int(entry[2]) >= given:
            what = f"exists only where {length} is more than {entry[2]}, not {given}"
            yield Problem(name, what, "count from 0")


def _fitting(parameter: Parameter, value: object) -> Scalar:
    """Return a value as its parameter holds it.

    Raises:
        UsageError: if it is none of its values.
    """
    node = parameter.node
    if isinstance(node, Range):
        return _in_range(node, value)
    options: list[Scalar] = list(node.branches) if isinstance(node, OneOf) else list(node.choices)
    same = [one for one in options if one == value and type(one) is type(value)]
    near = [one for one in options if one == value and _is_number(one) and _is_number(value)]
    for option in (*same, *near):
        return option
    names = [str(one) for one in options]
    hint = suggest(str(value), names) if isinstance(node, OneOf) else f"one of: {', '.join(names)}"
    raise UsageError("", f"{_short(value)} is no choice", hint)


def _in_range(node: Range, value: object) -> Scalar:
    bounds = f"from {node.low:g} to {node.high:g}"
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise UsageError("", f"{_short(value)} is no number", f"give one {bounds}")
    if not node.low <= value <= node.high:
        raise UsageError("", f"{_short(value)} lies outside", f"give a number {bounds}")
    if node.whole and value != int(value):
        raise UsageError("", f"{value:g} is no whole number", f"give one {bounds}")
    if node.step is not None:
        stepped = on_grid(node.low, node.high, node.step, round((value - node.low) / node.step))
        if abs(stepped - value) > 1e-8:
            raise UsageError("", f"{value:g} is no step", f"the nearest is {stepped:g}")
        value = stepped
    return int(value) if node.whole else float(value)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:59] + "…"
