from collections.abc import Callable
from typing import Any, Literal

import pytest
import pytorch_lightning as pl
import torch

from lightning_modules.build import RunData, build_module, make_datamodule, open_data
from lightning_modules.config import RunConfig
from lightning_modules.data.config import SOURCES, Source
from lightning_modules.data.datamodule import TaskData
from lightning_modules.data.facts import bin_edges, facts_of
from lightning_modules.errors import UsageError
from lightning_modules.families import FAMILIES, Family
from lightning_modules.layers.level import relative
from lightning_modules.module import SupervisedModule
from lightning_modules.settings import Settings

MakeConfig = Callable[..., RunConfig]


class OwnModel(Settings):
    family: Literal["Own"] = "Own"


class OwnData(Settings):
    source: Literal["OwnData"] = "OwnData"


def whole(make_config: MakeConfig, *, builder: Any, **sections: Any) -> RunConfig:
    FAMILIES.register("Own")(Family(config=OwnModel, builder=builder, whole=True))
    objective = {"metric": "val_acc", "direction": "maximize"}
    return make_config(model={"family": "Own"}, objective=objective, **sections)


def test_a_run_has_the_data_and_the_module_that_its_config_names(make_config: MakeConfig) -> None:
    config = make_config()
    data = open_data(config)
    module = build_module(config, data)
    assert data.prepared is not None
    assert data.facts == facts_of(data.prepared)
    assert isinstance(module, SupervisedModule)
    assert module(data.prepared.train.x).shape == (len(data.prepared.train.x), 3)


@pytest.mark.parametrize("level", ["mean", "none"])
def test_the_bins_of_a_forecast_are_of_what_the_network_sees(
    make_config: MakeConfig, level: str
) -> None:
    config = make_config(
        task={"kind": "forecasting", "window": 6, "horizon": 2, "level": level},
        data={"source": "seasonal", "n_rows": 90},
        model={"family": "mlp", "embedding": {"name": "piecewise_linear", "n_bins": 4}},
    )
    data = open_data(config)
    module = build_module(config, data)
    assert data.prepared is not None
    assert isinstance(module, SupervisedModule)
    seen = relative(data.prepared.train.x, level)
    assert module.facts.bin_edges == bin_edges(seen, 4)
    assert (len(module.facts.bin_edges), len(module.facts.bin_edges[0])) == (6, 5)


def test_a_data_module_has_the_batch_size_and_seed_of_its_config(make_config: MakeConfig) -> None:
    config = make_config(seed=7)
    module = open_data(config).module(config)
    assert isinstance(module, TaskData)
    assert (module.batch_size, module.seed) == (16, 7)


def test_test_rows_are_opened_only_when_asked_for(make_config: MakeConfig) -> None:
    for asked in (False, True):
        prepared = open_data(make_config(), with_test=asked).prepared
        assert prepared is not None
        assert (prepared.test is not None) is asked


def test_a_family_for_images_takes_no_table(make_config: MakeConfig) -> None:
    config = make_config(model={"family": "cnn"})
    text = r"model.family: cnn takes image data, iris gives features \(4,\); families for it: .*mlp"
    with pytest.raises(UsageError, match=text):
        build_module(config, open_data(config))


def test_a_family_for_images_takes_images(make_config: MakeConfig) -> None:
    config = make_config(
        model={"family": "cnn", "n_layers": 1, "width": 2}, data={"source": "digits"}
    )
    data = open_data(config)
    assert data.prepared is not None
    assert build_module(config, data)(data.prepared.train.x[:2]).shape == (2, 10)


PIECEWISE = {"family": "mlp", "embedding": {"name": "piecewise_linear", "n_bins": 4}}


def test_bins_are_those_of_the_training_rows_alone(make_config: MakeConfig) -> None:
    config = make_config(model=PIECEWISE)
    data = open_data(config)
    assert data.prepared is not None
    train = data.prepared.train.x
    edges = build_module(config, data).get_submodule("network.embedding").get_buffer("edges")
    torch.testing.assert_close(edges[:, 0], train.min(0).values)
    torch.testing.assert_close(edges[:, 2], train.quantile(0.5, dim=0))
    torch.testing.assert_close(edges[:, 4], train.max(0).values)


def test_bins_come_from_the_training_batches_of_a_data_module(
    registries: None, make_config: MakeConfig
) -> None:
    SOURCES.register("OwnData")(Source(config=OwnData, datamodule=lambda settings: Halves()))
    config = make_config(model=PIECEWISE, data={"source": "OwnData"}, trainer={"max_epochs": 1})
    edges = build_module(config, open_data(config)).get_submodule("network.embedding")
    assert edges.get_buffer("edges").tolist() == [[0.0, 1.0, 2.0, 3.0, 4.0]]


class Halves(pl.LightningDataModule):
    """Five training rows of one feature in two batches."""

    def train_dataloader(self) -> list[tuple[torch.Tensor, torch.Tensor]]:
        x, y = torch.arange(5.0)[:, None], torch.tensor([0, 1, 2, 0, 1])
        return [(x[:2], y[:2]), (x[2:], y[2:])]


def test_a_whole_module_is_taken_as_it_is(registries: None, make_config: MakeConfig) -> None:
    own = pl.LightningModule()
    config = whole(make_config, builder=lambda settings: own)
    assert build_module(config, open_data(config)) is own


def test_a_whole_module_is_a_lightning_module(registries: None, make_config: MakeConfig) -> None:
    config = whole(make_config, builder=lambda settings: 3)
    with pytest.raises(TypeError, match="Own built a int, no LightningModule"):
        build_module(config, open_data(config))


def test_a_whole_module_on_its_own_data_is_asked_nothing(
    registries: None, make_config: MakeConfig
) -> None:
    own = pl.LightningDataModule()
    SOURCES.register("OwnData")(Source(config=OwnData, datamodule=lambda settings: own))
    config = whole(
        make_config,
        builder=lambda settings: None,
        data={"source": "OwnData"},
        task=None,
        trainer={"max_epochs": 1},
    )
    data = open_data(config)
    assert (data.prepared, data.facts) == (None, None)
    assert data.module(config) is own


def test_our_sources_are_no_data_modules(make_config: MakeConfig) -> None:
    with pytest.raises(TypeError, match="iris is no data module"):
        make_datamodule(make_config())


def test_a_source_is_ours_or_a_data_module(registries: None, make_config: MakeConfig) -> None:
    SOURCES.register("OwnData")(Source(config=OwnData))
    with pytest.raises(TypeError, match="OwnData is neither a source of ours nor a module"):
        open_data(make_config(data={"source": "OwnData"}))


def test_our_data_need_a_batch_size(make_config: MakeConfig) -> None:
    config = make_config()
    trainer = config.trainer.model_copy(update={"batch_size": None})
    with pytest.raises(TypeError, match="a config of ours always has a batch size"):
        open_data(config).module(config.model_copy(update={"trainer": trainer}))


def test_a_family_needs_to_know_its_data(make_config: MakeConfig) -> None:
    with pytest.raises(TypeError, match="a family's run always knows its data"):
        build_module(make_config(), RunData(prepared=None, facts=None))
