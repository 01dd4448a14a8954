"""Columns of text as features: one for each category, from the codes of their vocabularies."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from lightning_modules.data.columns import CategoryColumn
from lightning_modules.packaged.columns import MISSING, UNKNOWN

NOWHERE = -1
"""The place of a text that is no feature."""


class Categories(nn.Module):
    """Codes ``(..., columns)`` int64 to one feature for each category, as `CategoryColumn.apply`.

    Args:
        columns: of text, without their indicators.
        vocabularies: of each, in which a code is a place; it may know more than the column.
    """

    def __init__(
        self, columns: Sequence[CategoryColumn], vocabularies: Sequence[Sequence[str]]
    ) -> None:
        super().__init__()
        places: list[int] = []
        starts, owners, n_features = [], [], 0
        for i, (column, vocabulary) in enumerate(zip(columns, vocabularies, strict=True)):
            starts.append(len(places) - UNKNOWN)
            places += _places(column, vocabulary, n_features)
            n_own = len(column.categories) + column.other
            owners += [i] * n_own
            n_features += n_own
        self.n_features = n_features
        self.register_buffer("places", torch.tensor(places, dtype=torch.int64))
        self.register_buffer("starts", torch.tensor(starts, dtype=torch.int64))
        self.register_buffer("owners", torch.tensor(owners, dtype=torch.int64))
        self.register_buffer("features", torch.arange(n_features))
        self.single = len(columns) == 1

    def forward(self, codes: Tensor) -> Tensor:
        """Return ``(..., features)`` in float32."""
        found = self.get_buffer("places")[codes + self.get_buffer("starts")]
        if not self.single:
            found = found.index_select(-1, self.get_buffer("owners"))
        return (found == self.get_buffer("features")).to(torch.float32)


def _places(column: CategoryColumn, vocabulary: Sequence[str], first: int) -> list[int]:
    """Return the feature of what is unknown, of what is missing, and of each known text."""
    known = {category: first + i for i, category in enumerate(column.categories)}
    other = first + len(column.categories) if column.other else NOWHERE
    by_code = {UNKNOWN: other, MISSING: known.get(column.fill, other)}
    return [
        *(by_code[code] for code in sorted(by_code)),
        *(known.get(t, other) for t in vocabulary),
    ]
