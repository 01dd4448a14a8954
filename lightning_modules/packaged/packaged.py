"""Packaged: raw rows in, probabilities or numbers in their own units out, as one module."""

from collections.abc import Mapping

from torch import Tensor, nn

from lightning_modules.criterion import mean_of_members
from lightning_modules.data.fitted import Fitted
from lightning_modules.module import SupervisedModule
from lightning_modules.packaged.columns import RawColumns, raw_columns
from lightning_modules.packaged.rows import preparation_of


class Packaged(nn.Module):
    """A trained network between its preparation and what its outputs mean.

    The preparation computes in float64 and rounds to float32 where numpy's does.

    Args:
        fitted: with the network.
        module: the trained one, in evaluation mode; its weights are shared, not copied.
        raw: the columns of the inputs; by default those of ``fitted`` alone.
    """

    def __init__(
        self, fitted: Fitted, module: SupervisedModule, raw: RawColumns | None = None
    ) -> None:
        super().__init__()
        columns = raw_columns([fitted.preparation]) if raw is None else raw
        self.preparation = preparation_of(fitted, columns)
        self.network = module.network
        self.is_ensemble = module.is_ensemble
        self.kind = str(module.config.kind)
        self.meaning = module.predict
        self.eval()

    def forward(self, raw: Mapping[str, Tensor]) -> Tensor:
        """Return what `SupervisedModule.predict` does.

        Args:
            raw: the inputs by name: ``numbers`` (float64, NaN where missing), ``codes`` of text
                (int64) and ``moments`` (float64 seconds) of a table; or ``images`` (float32),
                ``sequences`` (float64) with ``lengths``, or ``tokens`` (int64).
        """
        outputs = self.network(self.preparation(raw))
        if self.is_ensemble:
            outputs = mean_of_members(outputs, kind=self.kind)
        return self.meaning(outputs)
