"""The points of a grid: every combination of the undecided leaves."""

from collections.abc import Iterable, Iterator

from hpo.grammar.choosers import on_grid
from hpo.grammar.nodes import Choices, ListOf, Node, OneOf, Range, Scalar, Section


def grid_of(node: Node) -> Iterator[dict[str, Scalar]]:
    """Yield every combination of the undecided leaves under ``node``.

    Raises:
        ValueError: if a range is continuous.
    """
    if isinstance(node, Range):
        yield from ({node.place.name: value} for value in _points(node))
    elif isinstance(node, Choices):
        yield from ({node.place.name: value} for value in node.choices)
    elif isinstance(node, OneOf):
        for name, section in node.branches.items():
            yield from ({node.place.name: name, **rest} for rest in grid_of(section))
    elif isinstance(node, ListOf):
        for length in grid_of(node.length):
            n = next(iter(length.values()), None)
            entries = [node.entry(i) for i in range(int(n if n is not None else node.longest()))]
            yield from ({**length, **rest} for rest in _product(entries))
    elif isinstance(node, Section):
        yield from _product(list(node.children.values()))
    else:
        yield {}


def _product(nodes: list[Node]) -> Iterator[dict[str, Scalar]]:
    if not nodes:
        yield {}
        return
    for first in grid_of(nodes[0]):
        for rest in _product(nodes[1:]):
            yield {**first, **rest}


def _points(node: Range) -> Iterable[Scalar]:
    if node.whole and not node.log:
        step = 1 if node.step is None else int(node.step)
        return range(int(node.low), int(node.high) + 1, step)
    if node.step is None:
        raise ValueError(f"{node.place.name}: a grid needs choices or a step")
    low, high, between = node.low, node.high, node.step
    return (on_grid(low, high, between, k) for k in range(round((high - low) / between) + 1))
