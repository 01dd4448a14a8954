"""Wishes: what a user gives of a trial's values, checked against the space."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hpo.errors import UsageError
from hpo.files import parse_value
from hpo.given import check_given
from hpo.grammar.nodes import Scalar
from hpo.search import GridConfig, QmcConfig, SearchConfig
from hpo.space import SearchSpace

ENQUEUED = "enqueued"
"""The note of a trial whose values a user gave."""
REQUEST = "request"
"""The trial's attribute that names the request which gave its values."""


@dataclass(frozen=True, kw_only=True)
class Wish:
    """Values that the next trial is to have; the sampler draws the others."""

    request: str
    params: Mapping[str, Scalar]


def refusal(search: SearchConfig) -> tuple[str, str] | None:
    """Return why a study takes no wishes: what, and what would be right; None if it does."""
    if isinstance(search.sampler, GridConfig):
        return "a grid has its own points, each of them once", "use another sampler, and --name NEW"
    if isinstance(search.sampler, QmcConfig):
        what = "each trial is the next point of a sequence, in which it would leave a hole"
        return what, "use another sampler, and --name NEW"
    if search.reproducible:
        what = "search.reproducible: the seed would not give the same study again"
        return what, "search without it, and --name NEW"
    return None


def parse_wish(space: SearchSpace, overrides: Sequence[str]) -> dict[str, Scalar]:
    """Return the values of ``path=value`` texts as parameters, branches that follow filled in.

    Raises:
        UsageError: if one is no ``path=value``.
        SpecError: if a value does not fit the space; it names every mistake.
    """
    given: dict[str, object] = {}
    for override in overrides:
        name, equals, text = override.partition("=")
        if not equals or not name.strip():
            raise UsageError(f"--set {override}", "is no PATH=VALUE", "--set optimizer.lr=1e-3")
        try:
            given[name.strip()] = parse_value(text)
        except UsageError as error:
            raise UsageError(f"--set {override}", error.what, error.hint) from None
    return check_given(space, given)
