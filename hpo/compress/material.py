"""The rows that a smaller form is made and judged with: of training some, of validation all."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from hpo.compress.judging import Truth
from hpo.export.rows import Data, open_rows, spread
from hpo.predict.predictor import Raw
from hpo.ship.feeds import feeds_of
from hpo.ship.manifest import Manifest
from lightning_modules.config import RunConfig
from lightning_modules.data.facts import facts_of_fitted
from lightning_modules.data.fitted import Fitted
from lightning_modules.data.forecasting import WindowPreparation
from lightning_modules.data.frames import Array
from lightning_modules.module import loss_numbers
from lightning_modules.task import METRICS, NUMBERS

CALIBRATION = 512
"""Training rows by which ranges are seen."""
BATCH = 64
MOST_JUDGED = 20_000
"""Validation rows that judge; of more, so many evenly spread ones."""
Feeds = dict[str, Array]


@dataclass(frozen=True, kw_only=True)
class Material:
    """Inputs of a model file for rows of its own data, and what is right for them."""

    calibration: list[Feeds]
    """Training rows, in batches."""
    validation: list[Feeds]
    """Validation rows, in batches."""
    truth: Truth
    """Of the validation rows."""
    n_rows: int
    """Of them."""
    data: Data
    """All rows, before preparation."""


def material_of(manifest: Manifest, config: RunConfig) -> Material:
    """Read the rows of a model file's own data.

    Args:
        manifest: of the file.
        config: its config, its data found on this machine.

    Raises:
        UsageError: if the data cannot be read here.
        RefusedError: if they are others than those of its training.
    """
    fitted = manifest.fitted
    data = open_rows(config, fitted, recorded=manifest.hashes)
    train = spread(data.places("train"), data.raw, CALIBRATION)
    judged = spread(data.places("validation"), data.raw, MOST_JUDGED)
    metric = config.objective.metric
    return Material(
        calibration=list(_feeds(manifest, data.rows(train), fitted)),
        validation=list(_feeds(manifest, data.rows(judged), fitted)),
        truth=Truth(
            kind=manifest.kind,
            metric=metric,
            direction=METRICS[metric].direction,
            targets=_targets(data, judged, manifest),
            numbers=loss_numbers(config),
        ),
        n_rows=len(judged),
        data=data,
    )


def _feeds(manifest: Manifest, raw: Raw, fitted: Fitted) -> Iterator[Feeds]:
    preparation = fitted.preparation
    window = preparation.window if isinstance(preparation, WindowPreparation) else 1
    for start in range(0, len(raw), BATCH * window):
        rows = slice(start, start + BATCH * window)
        yield feeds_of(manifest, raw.iloc[rows] if isinstance(raw, pd.DataFrame) else raw[rows])


def _targets(data: Data, places: Array, manifest: Manifest) -> Tensor:
    """Return what is right for rows, as metrics take it."""
    y, target = np.asarray(data.raw.y), manifest.fitted.target
    if data.task is None:
        found = torch.from_numpy(target.apply(y[places]))
    else:
        steps = places[:, None] + np.arange(data.task.horizon)
        found = torch.from_numpy(target.apply(y[steps.reshape(-1)])).view(steps.shape)
    if manifest.kind in NUMBERS:
        facts = facts_of_fitted(manifest.fitted, manifest.kind)
        return facts.in_units(found if facts.n_outputs > 1 else found.flatten())
    return found.long()
