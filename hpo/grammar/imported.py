"""The space of a study that was imported: parameters under the names that they had, and no config.

What becomes of the values is known to the program that trained them, and to nobody here: there are
no fields to check ranges against, and nothing can be sampled.
"""

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from hpo.grammar.nodes import Choices, Node, Place, Range, Scalar, Section
from lightning_modules.settings import Settings

IMPORTED = "imported"
"""The section of a study file that says so."""


class ImportedRange(Settings):
    """A number from ``low`` to ``high``, as Optuna drew it."""

    low: float
    high: float
    log: bool = False
    step: float | None = None
    whole: bool = False

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.low > self.high:
            raise ValueError(f"low {self.low:g} > high {self.high:g}")
        return self


class ImportedChoices(Settings):
    """One of several plain values."""

    choices: list[Scalar] = Field(min_length=1)


class ImportedSpace(Settings):
    """The section ``imported``: which study it was, what it optimized, and over what."""

    study: str
    metric: str
    direction: Literal["maximize", "minimize"]
    parameters: dict[str, ImportedRange | ImportedChoices]

    def root(self) -> Section:
        """Return the parameters as nodes, named as they were."""
        nodes = {name: _node(name, one) for name, one in self.parameters.items()}
        return Section(place=Place(name="", raw=()), children=nodes)


def imported_space(values: Mapping[str, Any]) -> ImportedSpace | None:
    """Return the space of an imported study's file, None if the file is of no such study."""
    if not isinstance(values.get(IMPORTED), Mapping):
        return None
    return ImportedSpace.model_validate(values[IMPORTED])


def _node(name: str, one: ImportedRange | ImportedChoices) -> Node:
    place = Place(name=name, raw=(IMPORTED, "parameters", name))
    if isinstance(one, ImportedChoices):
        return Choices(place=place, choices=tuple(one.choices))
    return Range(
        place=place, low=one.low, high=one.high, log=one.log, step=one.step, whole=one.whole
    )
