"""A table's raw columns as its features: what `TablePreparation.apply` does, on tensors."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from lightning_modules.data.columns import CategoryColumn, Column, DateColumn, NumericColumn
from lightning_modules.data.table_preparation import Components, TablePreparation
from lightning_modules.packaged.categories import Categories
from lightning_modules.packaged.columns import MISSING, RawColumns
from lightning_modules.packaged.dates import PARTS, Dates
from lightning_modules.packaged.numbers import Numbers, Take, doubles, to_float32


class Table(nn.Module):
    """``numbers``, ``codes`` and ``moments`` to ``(..., features)`` in float32.

    The features of one kind come at once, and are then put in the order of the columns.

    Args:
        preparation: what was fitted.
        raw: the columns of the inputs, in their order.
    """

    def __init__(self, preparation: TablePreparation, raw: RawColumns) -> None:
        super().__init__()
        columns = preparation.columns
        numeric = [one for one in columns if isinstance(one, NumericColumn)]
        texts = [one for one in columns if isinstance(one, CategoryColumn)]
        dated = [one for one in columns if isinstance(one, DateColumn)]
        parts = [(date.name, part) for date in dated for part in date.parts]
        self.numbers = Numbers([*numeric, *(p for _, p in parts)]) if numeric or parts else None
        self.take_numbers = _take([one.name for one in numeric], raw.numbers)
        self.dates = Dates() if parts else None
        wanted = [raw.moments.index(name) * len(PARTS) + PARTS.index(p.name) for name, p in parts]
        self.take_parts = Take(wanted, len(raw.moments) * len(PARTS)) if parts else None
        vocabularies = [raw.vocabularies[raw.texts.index(one.name)] for one in texts]
        self.categories = Categories(texts, vocabularies) if texts else None
        self.take_codes = _take([one.name for one in texts], raw.texts)
        self.no_number = _take([one.name for one in numeric if one.indicator], raw.numbers)
        self.no_text = _take([one.name for one in texts if one.indicator], raw.texts)
        self.no_moment = _take([one.name for one in dated if one.indicator], raw.moments)
        self.order = Take(_places(columns), sum(len(one.feature_names) for one in columns))
        self.components = None if preparation.pca is None else Projected(preparation.pca)

    def forward(self, raw: Mapping[str, Tensor]) -> Tensor:
        """Return ``(..., features)``."""
        blocks = []
        if self.numbers is not None:
            blocks.append(self.numbers(torch.cat(self._values(raw), dim=-1)))
        if self.categories is not None and self.take_codes is not None:
            blocks.append(self.categories(self.take_codes(raw["codes"])))
        if self.no_number is not None:
            blocks.append(self.no_number(raw["numbers"]).isnan().to(torch.float32))
        if self.no_text is not None:
            blocks.append((self.no_text(raw["codes"]) == MISSING).to(torch.float32))
        if self.no_moment is not None:
            blocks.append(self.no_moment(raw["moments"]).isnan().to(torch.float32))
        features: Tensor = self.order(torch.cat(blocks, dim=-1))
        return features if self.components is None else self.components(features)

    def _values(self, raw: Mapping[str, Tensor]) -> list[Tensor]:
        """Return the numbers, and those that dates consist of, ``(..., columns)`` each."""
        found = [] if self.take_numbers is None else [self.take_numbers(raw["numbers"])]
        if self.dates is not None and self.take_parts is not None:
            found.append(self.take_parts(self.dates(raw["moments"])))
        return found


class Projected(nn.Module):
    """``(..., features)`` to the components of `Components.apply`."""

    def __init__(self, components: Components) -> None:
        super().__init__()
        self.register_buffer("mean", doubles(components.mean))
        self.register_buffer("weights", doubles(components.weights).T.contiguous())

    def forward(self, features: Tensor) -> Tensor:
        """Return ``(..., components)`` in float32."""
        apart = features.to(torch.float64) - self.get_buffer("mean")
        return to_float32(apart @ self.get_buffer("weights"))


def _take(names: list[str], given: tuple[str, ...]) -> Take | None:
    """Return what takes columns from those that are given; None of none."""
    return Take([given.index(name) for name in names], len(given)) if names else None


def _places(columns: list[Column]) -> list[int]:
    """Return where each feature, in the order of the columns, stands among the blocks.

    The blocks are numbers, parts of dates, categories, and the indicators of the three kinds.
    """
    sizes = [0] * 6
    found: list[tuple[int, int]] = []

    def add(block: int, n_features: int) -> None:
        found.extend((block, sizes[block] + i) for i in range(n_features))
        sizes[block] += n_features

    for column in columns:
        n_own = len(column.feature_names) - column.indicator
        kind = {"number": 0, "date": 1, "category": 2}[column.kind]
        add(kind, n_own)
        add({0: 3, 1: 5, 2: 4}[kind], int(column.indicator))
    starts = [sum(sizes[:block]) for block in range(6)]
    return [starts[block] + place for block, place in found]
