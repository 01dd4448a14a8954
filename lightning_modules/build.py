"""Open the data of a config and build its module: what training, evaluation and checks share."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytorch_lightning as pl

from lightning_modules.config import RunConfig
from lightning_modules.data.cache import prepare_cached
from lightning_modules.data.config import SOURCES, ArraysConfig, SourceConfig
from lightning_modules.data.datamodule import TaskData
from lightning_modules.data.facts import (
    DataFacts,
    bin_edges,
    facts_of,
    facts_of_module,
    inputs_of_module,
)
from lightning_modules.data.prepared import NEXT_STEPS, PreparedData, prepare_task
from lightning_modules.errors import UsageError
from lightning_modules.families import FAMILIES
from lightning_modules.layers.level import relative
from lightning_modules.module import SupervisedModule
from lightning_modules.plugins import blamed
from lightning_modules.program import lay_out
from lightning_modules.task import ForecastingConfig


@dataclass(frozen=True, kw_only=True)
class RunData:
    """The data of a run: prepared tensors of ours, or a user's data module.

    ``facts`` is None for a whole module on a user's data module: both know their own shapes.
    """

    prepared: PreparedData | None
    facts: DataFacts | None

    @property
    def hashes(self) -> dict[str, str | None]:
        """The hashes of data and split; None for a data module of the user's own."""
        return {
            "data_sha256": self.prepared.data_sha256 if self.prepared else None,
            "split_sha256": self.prepared.split_sha256 if self.prepared else None,
        }

    def module(self, config: RunConfig) -> pl.LightningDataModule:
        """Return the data module of one run."""
        if self.prepared is None:
            return make_datamodule(config)
        size = config.trainer.batch_size
        if size is None:
            raise TypeError("a config of ours always has a batch size")
        if not isinstance(config.data, SourceConfig):
            raise TypeError(f"{type(config.data).__name__} is no source of ours")
        return TaskData(
            self.prepared,
            batch_size=size,
            seed=config.seed,
            augment=config.data.augment,
            balanced=getattr(config.task, "sampling", "none") == "balanced",
        )


def open_data(config: RunConfig, *, with_test: bool = False, cache: Path | None = None) -> RunData:
    """Load, split and prepare the data of ``config``.

    Args:
        config: the run.
        with_test: prepare the test rows too, which no training needs.
        cache: a folder in which prepared data are shared between processes.

    Raises:
        DataError: if the data are not what the config says.
    """
    if SOURCES[config.source].datamodule is not None:
        if config.whole:
            return RunData(prepared=None, facts=None)
        with blamed(f"data source {config.source!r}"):
            facts = facts_of_module(lambda: make_datamodule(config), str(config.kind))
        return RunData(prepared=None, facts=facts)
    if not isinstance(config.data, SourceConfig):
        raise TypeError(f"{type(config.data).__name__} is neither a source of ours nor a module")
    kind = str(config.kind)
    ahead = config.task if isinstance(config.task, ForecastingConfig) else NEXT_STEPS
    if cache is not None and not isinstance(config.data, ArraysConfig):
        prepared = prepare_cached(config.data, task_kind=kind, folder=cache, forecast=ahead)
    else:
        prepared = prepare_task(config.data, task_kind=kind, with_test=with_test, forecast=ahead)
    return RunData(prepared=prepared, facts=facts_of(prepared))


def make_datamodule(config: RunConfig) -> pl.LightningDataModule:
    """Return a new instance of the user's data module that ``config`` names."""
    make = SOURCES[config.source].datamodule
    if make is None:
        raise TypeError(f"{config.source} is no data module")
    module: pl.LightningDataModule = make(config.data)
    return module


def build_module(config: RunConfig, data: RunData) -> pl.LightningModule:
    """Return the module of ``config`` with fresh weights from the global generator.

    Raises:
        UsageError: if the family cannot take this kind of data, or a layout is chosen for no
            convolution.
    """
    family = FAMILIES[config.family]
    if family.whole:
        whole: Any = family.resolve()(config.model)
        if not isinstance(whole, pl.LightningModule):
            raise TypeError(f"{config.family} built a {type(whole).__name__}, no LightningModule")
        lay_out(whole, config)
        return whole
    if data.facts is None:
        raise TypeError("a family's run always knows its data")
    kind = data.facts.input_kind
    if kind not in family.takes:
        fitting = [name for name, other in FAMILIES.items() if kind in other.takes]
        what = f"{config.family} takes {' or '.join(family.takes)} data, "
        what += f"{config.source} gives {kind} {data.facts.input_shape}"
        raise UsageError("model.family", what, f"families for it: {', '.join(fitting)}")
    module = SupervisedModule(config, _fitted(config, data, data.facts))
    lay_out(module, config)
    return module


def _fitted(config: RunConfig, data: RunData, facts: DataFacts) -> DataFacts:
    """Return ``facts`` with what the network of ``config`` takes from the training rows.

    Without training rows, as where a run is restored, its checkpoint holds that.
    """
    n_bins = getattr(getattr(config.model, "embedding", None), "n_bins", None)
    if n_bins is None:
        return facts
    if data.prepared is not None:
        rows = relative(data.prepared.train.x, getattr(config.task, "level", "none"))
        return replace(facts, bin_edges=bin_edges(rows, n_bins))
    if SOURCES[config.source].datamodule is None:
        return facts
    inputs = inputs_of_module(lambda: make_datamodule(config))
    return replace(facts, bin_edges=bin_edges(inputs, n_bins))
