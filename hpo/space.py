"""SearchSpace: a config with undecided leaves; checked, sampled, described."""

import copy
import hashlib
import itertools
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from hpo.errors import Problem, UsageError
from hpo.files import Document, RawPath
from hpo.grammar.choosers import AtBounds, ByDefault, Chance, Chooser, Given, Unit
from hpo.grammar.grid import grid_of
from hpo.grammar.imported import IMPORTED, imported_space
from hpo.grammar.nodes import (
    Choices,
    Fixed,
    ListOf,
    Node,
    OneOf,
    Parser,
    Place,
    Range,
    Scalar,
    Section,
)
from hpo.problems import config_problems
from lightning_modules.config import RunConfig, brings_own_optimizer
from lightning_modules.settings import every_field

SECTIONS = ("task", "data", "model", "optimizer", "schedule", "trainer", "objective")
MOST_GRID_POINTS = 100_000
MIXTURES = 64
"""How many mixtures of bounds and choices are tried, for settings that exclude each other."""


@dataclass(frozen=True, kw_only=True)
class Default:
    """A family's default config: its values for the undecided leaves, and what was clipped."""

    params: dict[str, Scalar]
    notes: list[str]


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """An undecided leaf: its dotted path, and the branch that it belongs to."""

    node: Range | Choices | OneOf
    branch: tuple[tuple[str, str], ...]
    """``(("model", "cnn"),)``: exists only where parameter ``model`` is ``cnn``."""

    @property
    def name(self) -> str:
        """The dotted path, which is Optuna's parameter name too."""
        return self.node.place.name


class SearchSpace:
    """The space of one study.

    Args:
        document: the study file; only its config sections are read.

    ``problems`` holds every mistake found: grammar first, then each leaf against its field, then
    whole configs. The other methods need a space without problems.
    """

    def __init__(self, document: Document) -> None:
        self._document = document
        self.values = {key: document.values[key] for key in SECTIONS if key in document.values}
        self.imported = imported_space(document.values)
        """Of a study that was imported: its parameters, from which no config follows; or None."""
        self.chosen: Mapping[str, Mapping[str, Any]] = {}
        """Settings of `trainer` that were chosen for a family by measuring, where none is named."""
        self.problems: list[Problem] = []
        if self.imported is not None:
            self.values = {IMPORTED: document.values[IMPORTED]}
            self._root = self.imported.root()
            return
        wrong: list[tuple[Place, Problem]] = []
        self._root = Parser(wrong.append).root(self.values, RunConfig)
        self.problems = [self._located(place.raw, problem) for place, problem in wrong]
        self.problems += self._check([place.raw for place, _ in wrong])

    def sha256(self) -> str:
        """Return the hash of the space as written."""
        text = json.dumps(self.values, sort_keys=True, separators=(",", ":"), default=str)
        return hashlib.sha256(text.encode()).hexdigest()

    def sample(self, chooser: Chooser, *, seed: int = 0) -> RunConfig:
        """Decide every leaf; parameter names are the dotted paths.

        Raises:
            UsageError: if the study was imported.
            ValidationError: if what was decided excludes each other.
        """
        return RunConfig.model_validate(self.decide(chooser, seed=seed))

    def decide(self, chooser: Chooser, *, seed: int = 0) -> dict[str, Any]:
        """Return plain values, every leaf decided; they may exclude each other.

        Raises:
            UsageError: if the study was imported.
        """
        self.refuse_imported()
        return {**self._completed(_decide(self._root, chooser)), "seed": seed}

    def names(self, section: str) -> frozenset[str]:
        """Return the settings of a section that the study file names, decided or not."""
        node = self._root.children.get(section)
        return frozenset(node.children if isinstance(node, Section) else ())

    def with_chosen(self, chosen: Mapping[str, Mapping[str, Any]]) -> "SearchSpace":
        """Return this space with settings of `trainer` for each family that were measured.

        What the study file names stays as it says.
        """
        space = copy.copy(self)
        space.chosen = chosen
        return space

    def resolve(self, params: Mapping[str, Scalar], *, seed: int = 0) -> RunConfig:
        """Return the config in which the undecided leaves have the values of ``params``."""
        return self.sample(Given(params), seed=seed)

    def decide_some(self, chooser: Chooser, names: Iterable[str]) -> None:
        """Decide the leaves of these names alone, as trials of an imported study have them."""
        wanted = set(names)
        for leaf in self.parameters():
            if leaf.name in wanted:
                _decide(leaf.node, chooser)

    def parameters(self) -> list[Parameter]:
        """Return every undecided leaf, lists at their greatest length."""
        return list(_parameters(self._root, ()))

    def defaults(self) -> list[Default]:
        """Return the default config of every family, in the order of the file.

        Raises:
            UsageError: if the study was imported.
        """
        self.refuse_imported()
        model = self._root.children.get("model")
        families = list(model.branches) if isinstance(model, OneOf) else [None]
        return [self._default(family) for family in families]

    def random(self, seed: int) -> RunConfig:
        """Return a config decided by chance alone."""
        return self.sample(Chance(seed))

    def grid(self) -> list[dict[str, Scalar]]:
        """Return every combination of the undecided leaves.

        Raises:
            ValueError: if a range is continuous, or there are too many points.
        """
        points = list(itertools.islice(grid_of(self._root), MOST_GRID_POINTS + 1))
        if len(points) > MOST_GRID_POINTS:
            raise ValueError(f"the grid has more than {MOST_GRID_POINTS:,} points")
        return points

    def corners(self) -> Iterator[RunConfig]:
        """Yield configs that between them show every bound and every choice.

        Raises:
            UsageError: if the study was imported.
        """
        self.refuse_imported()
        for turn in range(_turns(self._root)):
            yield RunConfig.model_validate(self._completed(_candidate(self._root, turn, (), {})))

    def at(self, units: Mapping[str, float]) -> dict[str, Scalar]:
        """Return the parameters at a point of the unit cube, one number per parameter name."""
        chooser = Unit(units)
        _decide(self._root, chooser)
        return chooser.params

    def where(self, name: str) -> str:
        """Return ``file:line: name`` for a dotted path of the study file."""
        raws = {leaf.name: leaf.node.place.raw for leaf in self.parameters()}
        return f"{self._document.where(raws.get(name, tuple(name.split('.'))))}: {name}"

    def refuse_imported(self) -> None:
        """Refuse what only a space of configs can do.

        Raises:
            UsageError: if the study was imported.
        """
        if self.imported is not None:
            what = "was imported from an Optuna study; how to train its trials is not known here"
            hint = "write a study file of your own; hpo trials shows what there is"
            raise UsageError(self._document.name, what, hint)

    def _completed(self, values: dict[str, Any]) -> dict[str, Any]:
        """Return decided values with what was chosen for their family."""
        model = values.get("model")
        chosen = self.chosen.get(model.get("family", ""), {}) if isinstance(model, Mapping) else {}
        if not chosen:
            return values
        return {**values, "trainer": {**chosen, **values.get("trainer", {})}}

    def _default(self, family: str | None) -> Default:
        # First which branches, then their own defaults: sgd's lr is not adamw's.
        first = self._by_default({} if family is None else {"model": family})
        unions = {leaf.name for leaf in self.parameters() if isinstance(leaf.node, OneOf)}
        chosen = self._by_default(
            {name: str(value) for name, value in first.params.items() if name in unions}
        )
        notes = [note for note in first.notes if note.partition(":")[0] in unions]
        return Default(params=chosen.params, notes=notes + chosen.notes)

    def _by_default(self, picks: Mapping[str, str]) -> ByDefault:
        chooser = ByDefault(picks)
        probe = _decide(_without_undecided(self._root, picks), chooser)
        try:
            reference = every_field(RunConfig.model_validate(probe))
        except ValidationError:
            reference = {}
        chooser.reference = reference
        _decide(self._root, chooser)
        return chooser

    def _check(self, wrong: list[RawPath]) -> list[Problem]:
        """Put bounds and choices into the config by turns; pass over what is ``wrong`` already."""
        found: dict[str, Problem] = {}
        places: dict[tuple[str, ...], Place] = {}
        for turn in range(_turns(self._root)):
            mine: dict[tuple[str, ...], Place] = {}
            self._complain(_candidate(self._root, turn, (), mine), mine, wrong, found)
            places |= mine
        if not wrong and not found:  # each leaf fits; do they fit each other?
            for seed in range(MIXTURES):
                self._complain(_decide(self._root, AtBounds(seed)), places, wrong, found)
        return list(found.values())

    def _complain(
        self,
        values: Any,
        places: Mapping[tuple[str, ...], Place],
        wrong: list[RawPath],
        found: dict[str, Problem],
    ) -> None:
        """Add every new mistake of one config to ``found``."""
        for loc, what, hint in config_problems(RunConfig, values):
            place = _nearest(places, loc)
            if any(place.raw[: len(raw)] == raw for raw in wrong):
                continue
            if loc[0] == "objective" and brings_own_optimizer(values.get("model")) is None:
                continue  # its defaults follow from the model, whose mistake is named
            problem = self._located(place.raw, Problem(place.name, what, hint))
            found.setdefault(str(place) + what, problem)

    def _located(self, raw: RawPath, problem: Problem) -> Problem:
        where = self._document.name
        if problem.where:
            where = f"{self._document.where(raw)}: {problem.where}"
        return Problem(where, problem.what, problem.hint)


def _decide(node: Node, chooser: Chooser) -> Any:
    """Replace every undecided leaf under ``node``."""
    if isinstance(node, Range):
        return _decide_range(node, chooser)
    if isinstance(node, Choices):
        return chooser.suggest_categorical(node.place.name, list(node.choices))
    if isinstance(node, OneOf):
        name = chooser.suggest_categorical(node.place.name, list(node.branches))
        return _decide(node.branches[str(name)], chooser)
    if isinstance(node, ListOf):
        return [_decide(node.entry(i), chooser) for i in range(_decide(node.length, chooser))]
    if isinstance(node, Section):
        return {key: _decide(child, chooser) for key, child in node.children.items()}
    return node.value


def _decide_range(node: Range, chooser: Chooser) -> float:
    name, step = node.place.name, node.step
    if node.whole:
        whole_step = 1 if step is None else int(step)
        return chooser.suggest_int(
            name, int(node.low), int(node.high), step=whole_step, log=node.log
        )
    return chooser.suggest_float(name, node.low, node.high, step=step, log=node.log)


def _without_undecided(section: Section, picks: Mapping[str, str]) -> Section:
    """Return ``section`` with its undecided leaves left out, but the branches of ``picks`` in."""
    children: dict[str, Node] = {}
    for key, child in section.children.items():
        if isinstance(child, OneOf) and child.place.name in picks:
            children[key] = _without_undecided(child.branches[picks[child.place.name]], picks)
        elif isinstance(child, Section):
            children[key] = _without_undecided(child, picks)
        elif isinstance(child, Fixed):
            children[key] = child
    return Section(place=section.place, children=children)


def _parameters(node: Node, branch: tuple[tuple[str, str], ...]) -> Iterator[Parameter]:
    if isinstance(node, Range | Choices):
        yield Parameter(node=node, branch=branch)
    elif isinstance(node, OneOf):
        yield Parameter(node=node, branch=branch)
        for name, section in node.branches.items():
            yield from _parameters(section, (*branch, (node.place.name, name)))
    elif isinstance(node, ListOf):
        yield from _parameters(node.length, branch)
        for index in range(node.longest()):
            yield from _parameters(node.entry(index), branch)
    elif isinstance(node, Section):
        for child in node.children.values():
            yield from _parameters(child, branch)


def _options(node: Node) -> int:
    """Return how many candidates ``node`` itself has."""
    if isinstance(node, Range):
        return 2
    if isinstance(node, Choices):
        return len(node.choices)
    return len(node.branches) if isinstance(node, OneOf) else 1


def _turns(node: Node) -> int:
    """Return how many candidates it takes to show every bound and choice once."""
    if isinstance(node, OneOf):
        return len(node.branches) * max(_turns(section) for section in node.branches.values())
    if isinstance(node, ListOf):
        return _options(node.length) + _turns(node.entry(0))
    if isinstance(node, Section):
        return max((_turns(child) for child in node.children.values()), default=1)
    return _options(node)


def _candidate(
    node: Node, turn: int, loc: tuple[str, ...], places: dict[tuple[str, ...], Place]
) -> Any:
    """Return a config with the candidates of ``turn``, noting where each part stands."""
    places[loc] = node.place
    if isinstance(node, Range):
        bound = (node.low, node.high)[turn % 2]
        return int(bound) if node.whole else bound
    if isinstance(node, Choices):
        return node.choices[turn % len(node.choices)]
    if isinstance(node, OneOf):
        section = list(node.branches.values())[turn % len(node.branches)]
        return _candidate(section, turn // len(node.branches), loc, places)
    if isinstance(node, ListOf):
        lengths, places[(*loc, "length")] = _options(node.length), node.length.place
        length = node.longest()
        if turn < lengths:  # first each length, then each entry at the greatest length
            length = _candidate(node.length, turn, (*loc, "length"), places)
        inner = max(turn - lengths, 0)
        return [_candidate(node.entry(i), inner, (*loc, str(i)), places) for i in range(length)]
    if isinstance(node, Section):
        return {
            key: _candidate(child, turn, (*loc, key), places)
            for key, child in node.children.items()
        }
    return node.value


def _nearest(places: Mapping[tuple[str, ...], Place], loc: tuple[str, ...]) -> Place:
    """Return the place of ``loc``, or one below the nearest parent that is in the file."""
    for length in range(len(loc), -1, -1):
        if loc[:length] in places:
            place = places[loc[:length]]
            for key in loc[length:]:
                place = place.child(key)
            return place
    return Place(name=".".join(loc), raw=loc)
