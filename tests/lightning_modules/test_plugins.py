import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from textwrap import dedent

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from lightning_modules import plugins
from lightning_modules.build import build_module, make_datamodule, open_data
from lightning_modules.checkpoint import load_checkpoint
from lightning_modules.config import RunConfig
from lightning_modules.data.config import SOURCES, SourceConfig
from lightning_modules.data.raw import RawData
from lightning_modules.errors import PluginError
from lightning_modules.families import FAMILIES
from lightning_modules.plugins import load_entry_points, load_plugin, loaded_plugins
from lightning_modules.registry import NameTakenError
from lightning_modules.task import METRICS
from lightning_modules.train import train

MakeConfig = Callable[..., RunConfig]
pytestmark = pytest.mark.usefixtures("registries")

TUTORIAL = '''
"""A module and its data as a tutorial shows them; nothing here knows of hpo."""

from pathlib import Path

import pytorch_lightning as pl
import torch
from torch import nn, optim, utils
from torch.utils.data import DataLoader, TensorDataset


class BlobData(pl.LightningDataModule):
    def __init__(self, data_dir: Path = Path("./data"), batch_size: int = 16):
        super().__init__()
        self.save_hyperparameters()

    def setup(self, stage=None):
        generator = torch.Generator().manual_seed(0)
        x = torch.randn(64, 4, generator=generator)
        y = (x.sum(1) > 0).long()
        self.train = TensorDataset(x[:48], y[:48])
        self.val = TensorDataset(x[48:], y[48:])

    def train_dataloader(self):
        return DataLoader(self.train, batch_size=self.hparams.batch_size, shuffle=True)

    def val_dataloader(self):
        return DataLoader(self.val, batch_size=self.hparams.batch_size)


class LitClassifier(pl.LightningModule):
    """Classify blobs."""

    def __init__(
        self, hidden: tuple[int, ...] = (8,), lr: float = 1e-2, loss=nn.functional.cross_entropy
    ):
        super().__init__()
        self.save_hyperparameters()
        self.loss = loss
        widths = [4, *hidden]
        layers = []
        for a, b in zip(widths, widths[1:]):
            layers += [nn.Linear(a, b), nn.ReLU()]
        self.net = nn.Sequential(*layers, nn.Linear(widths[-1], 2))

    def forward(self, x):
        return self.net(x)

    def training_step(self, batch, batch_idx):
        x, y = batch
        loss = self.loss(self(x), y)
        self.log("train_loss", loss)
        return loss

    def validation_step(self, batch, batch_idx):
        x, y = batch
        self.log("val_acc", (self(x).argmax(1) == y).float().mean())

    def configure_optimizers(self):
        return optim.Adam(self.parameters(), lr=self.hparams.lr)
'''


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    def write(text: str, name: str = "mine.py") -> Path:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(dedent(text))
        return path

    return write


@pytest.fixture
def tutorial(write: Callable[..., Path], make_config: MakeConfig) -> Callable[..., RunConfig]:
    load_plugin(str(write(TUTORIAL)))

    def config(*, data: dict[str, object] | None = None, **model: object) -> RunConfig:
        return make_config(
            task=None,
            data={"source": "BlobData", **(data or {})},
            model={"family": "LitClassifier", **model},
            objective={"metric": "val_acc", "direction": "maximize"},
            trainer={"max_epochs": 3},
        )

    return config


def test_the_classes_of_a_tutorial_are_registered_under_their_names(
    tutorial: Callable[..., RunConfig],
) -> None:
    assert FAMILIES["LitClassifier"].whole
    assert SOURCES["BlobData"].datamodule is not None


def test_the_arguments_of_a_tutorial_are_settings(tutorial: Callable[..., RunConfig]) -> None:
    config = tutorial(hidden=[4, 4], data={"batch_size": 8})
    plain = {"family": "LitClassifier", "hidden": [4, 4], "lr": 0.01}
    assert config.model.model_dump() == plain
    assert config.data.model_dump() == {"source": "BlobData", "data_dir": "data", "batch_size": 8}
    assert RunConfig.model_validate(config.plain()) == config


def test_the_settings_of_a_tutorial_arrive_at_its_classes(
    tutorial: Callable[..., RunConfig],
) -> None:
    config = tutorial(hidden=[3, 5], lr=0.5, data={"data_dir": "there"})
    module, data = build_module(config, open_data(config)), make_datamodule(config)
    assert (module.hparams["hidden"], module.hparams["lr"]) == ((3, 5), 0.5)
    assert data.hparams["data_dir"] == Path("there")
    widths = [layer.out_features for layer in module.modules() if isinstance(layer, nn.Linear)]
    assert widths == [3, 5, 2]


def test_a_tutorial_trains_and_its_checkpoint_is_read_safely(
    tutorial: Callable[..., RunConfig], tmp_path: Path
) -> None:
    config = tutorial()
    result = train(config, tmp_path / "run")
    assert result.validations == 3
    checkpoint = load_checkpoint(tmp_path / "run" / "best.ckpt")
    assert checkpoint["hyper_parameters"] == {"hidden": (8,), "lr": 0.01}
    module = build_module(config, open_data(config))
    module.load_state_dict(checkpoint["state_dict"])


def test_a_checkpoint_of_a_tutorial_is_loaded_by_its_own_class(
    tutorial: Callable[..., RunConfig], tmp_path: Path
) -> None:
    config = tutorial(hidden=[3])
    train(config, tmp_path / "run")
    kind = type(build_module(config, open_data(config)))
    loaded = kind.load_from_checkpoint(tmp_path / "run" / "best.ckpt", map_location="cpu")
    assert loaded.hparams["hidden"] == (3,)


def test_a_tutorials_data_serve_a_family_of_ours(
    tutorial: Callable[..., RunConfig], make_config: MakeConfig, tmp_path: Path
) -> None:
    config = make_config(
        task={"kind": "binary"}, data={"source": "BlobData"}, trainer={"max_epochs": 2}
    )
    assert train(config, tmp_path / "run").validations == 2


def test_a_plugin_that_was_loaded_is_listed_with_the_hash_of_its_file(
    write: Callable[..., Path],
) -> None:
    path = write(TUTORIAL)
    plugin = load_plugin(str(path))
    assert plugin.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert loaded_plugins()[-1] == plugin


def test_a_plugin_is_loaded_once(write: Callable[..., Path]) -> None:
    path = write(TUTORIAL)
    assert load_plugin(str(path)) is load_plugin(str(path))


def test_what_a_plugin_imports_is_not_registered(write: Callable[..., Path]) -> None:
    load_plugin(str(write("from pytorch_lightning import LightningModule\n")))
    assert "LightningModule" not in FAMILIES


def test_private_and_abstract_classes_are_not_registered(write: Callable[..., Path]) -> None:
    text = """
        import abc
        import pytorch_lightning as pl

        class _Hidden(pl.LightningModule): ...

        class Abstract(pl.LightningModule, abc.ABC):
            @abc.abstractmethod
            def loss(self): ...
    """
    before = set(FAMILIES)
    load_plugin(str(write(text)))
    assert set(FAMILIES) == before


def test_a_class_that_registers_itself_is_registered_once(write: Callable[..., Path]) -> None:
    text = """
        import pytorch_lightning as pl
        from lightning_modules import plugins

        @plugins.lightning_module("net")
        class Net(pl.LightningModule): ...
    """
    before = set(FAMILIES)
    load_plugin(str(write(text)))
    assert set(FAMILIES) - before == {"net"}


def test_two_files_of_one_name_do_not_replace_each_others_classes(
    write: Callable[..., Path],
) -> None:
    load_plugin(str(write(TUTORIAL, "a/net.py")))
    with pytest.raises(PluginError, match="'BlobData' is taken; choose another name"):
        load_plugin(str(write(TUTORIAL, "b/net.py")))


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(PluginError, match=r"none\.py: no such plugin file; check the path"):
        load_plugin(str(tmp_path / "none.py"))


def test_a_module_that_is_not_there() -> None:
    with pytest.raises(PluginError, match=r"^nowhere: no such file or module; a path ends in"):
        load_plugin("nowhere")


def test_a_plugin_that_is_no_python_file(write: Callable[..., Path]) -> None:
    with pytest.raises(PluginError, match=r"mine\.txt: is no Python file; name a \.py file"):
        load_plugin(str(write("x = 1", "mine.txt")))


def test_a_plugin_that_needs_a_missing_module_is_told_where(write: Callable[..., Path]) -> None:
    path = write("x = 1\nimport nowhere_to_be_found\n")
    text = r"mine\.py:2: no module 'nowhere_to_be_found'; install it"
    with pytest.raises(PluginError, match=text):
        load_plugin(str(path))


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("x = 1\ny = 1 / 0\n", r"mine\.py:2: ZeroDivisionError: division by zero"),
        ("x = 1\n\ndef f(:\n", r"mine\.py:3: SyntaxError: .+"),
    ],
)
def test_a_plugin_that_does_not_import_is_told_its_line(
    body: str, text: str, write: Callable[..., Path]
) -> None:
    path = write(body)
    with pytest.raises(PluginError, match=f"{text}; the plugin must import on its own"):
        load_plugin(str(path))


def test_a_plugin_that_failed_can_be_loaded_when_it_is_mended(write: Callable[..., Path]) -> None:
    path = write("raise ValueError\n")
    with pytest.raises(PluginError, match="ValueError"):
        load_plugin(str(path))
    path.write_text("")
    assert load_plugin(str(path)).name == str(path)


def test_a_plugin_whose_name_is_taken_is_refused(write: Callable[..., Path]) -> None:
    text = """
        from lightning_modules import plugins

        @plugins.family("mlp")
        def build(input_shape, n_outputs): ...
    """
    with pytest.raises(PluginError, match=r"mine\.py: family 'mlp' is taken; choose another name"):
        load_plugin(str(write(text)))


def test_a_plugin_with_a_signature_of_no_use_says_so_itself(write: Callable[..., Path]) -> None:
    text = """
        import pytorch_lightning as pl

        class Net(pl.LightningModule):
            def __init__(self, width): ...
    """
    with pytest.raises(PluginError, match="argument 'width' has neither a type nor a default"):
        load_plugin(str(write(text)))


def test_an_importable_module_is_a_plugin_too(
    write: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(TUTORIAL, "hpo_plugin_importable.py")
    monkeypatch.syspath_prepend(tmp_path)
    plugin = load_plugin("hpo_plugin_importable")
    assert plugin.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert "LitClassifier" in FAMILIES


def test_installed_packages_bring_plugins(
    write: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(TUTORIAL, "hpo_plugin_installed.py")
    write("Metadata-Version: 2.1\nName: x\nVersion: 1.0\n", "x-1.0.dist-info/METADATA")
    write("[hpo.plugins]\nx = hpo_plugin_installed\n", "x-1.0.dist-info/entry_points.txt")
    monkeypatch.syspath_prepend(tmp_path)
    assert [plugin.name for plugin in load_entry_points()] == ["hpo_plugin_installed"]


def test_a_class_defined_again_in_a_notebook_replaces_itself() -> None:
    def cell(default: int) -> type[pl.LightningModule]:
        class Net(pl.LightningModule):
            def __init__(self, width: int = default) -> None:
                super().__init__()

        return Net

    for default in (1, 2):
        plugins.lightning_module("net")(cell(default))
    assert FAMILIES["net"].config().model_dump()["width"] == 2


def test_another_class_does_not_replace_it() -> None:
    class One(pl.LightningModule): ...

    class Two(pl.LightningModule): ...

    plugins.lightning_module("net")(One)
    with pytest.raises(NameTakenError, match="family 'net' is taken"):
        plugins.lightning_module("net")(Two)


def linear(input_shape: tuple[int, ...], n_outputs: int, *, bias: bool = True) -> nn.Module:
    return nn.Linear(input_shape[0], n_outputs, bias=bias)


class Linear(nn.Module):
    """A class with types, the shapes first."""

    def __init__(self, input_shape: tuple[int, ...], n_outputs: int, bias: bool = True) -> None:
        super().__init__()
        self.linear = linear(input_shape, n_outputs, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.linear(x)
        return out


def untyped(input_shape, n_outputs, bias=True):  # type: ignore[no-untyped-def]
    return linear(input_shape, n_outputs, bias=bias)


@pytest.mark.parametrize("build", [linear, Linear, untyped], ids=lambda f: str(f.__name__))
def test_a_network_is_a_family(
    build: Callable[..., nn.Module], make_config: MakeConfig, tmp_path: Path
) -> None:
    assert plugins.family("linear", takes=["features"])(build) is build
    config = make_config(model={"family": "linear", "bias": False})
    module = build_module(config, open_data(config))
    assert [tuple(p.shape) for p in module.parameters()] == [(3, 4)]
    assert train(config, tmp_path).validations == 2


def test_a_network_with_types_as_text_is_a_family(write: Callable[..., Path]) -> None:
    text = """
        from __future__ import annotations
        from typing import Literal
        from lightning_modules import plugins

        @plugins.family("late")
        def build(input_shape: tuple[int, ...], n_outputs: int, *, kind: Literal["a", "b"] = "a"):
            return kind
    """
    load_plugin(str(write(text)))
    family = FAMILIES["late"]
    assert family.resolve()(family.config.model_validate({"kind": "b"}), (4,), 3) == "b"


def test_a_family_takes_the_data_that_it_names() -> None:
    plugins.family("flat", takes=["features"])(linear)
    plugins.family("any")(Linear)
    assert FAMILIES["flat"].takes == ("features",)
    assert FAMILIES["any"].takes == ("features", "image")


def test_a_family_of_texts_is_told_how_many_tokens_there_are() -> None:
    @plugins.family("bag", takes=["text"])
    def build(input_shape: Sequence[int], n_outputs: int, *, n_tokens: int, width: int = 3) -> str:
        return f"{n_tokens} tokens, {width} wide"

    family = FAMILIES["bag"]
    assert set(family.config.model_fields) == {"family", "width"}
    built = family.resolve()(family.config(), (4,), 2, n_tokens=9, padded=True)
    assert built == "9 tokens, 3 wide"


def test_a_source_has_splits_and_preparation_of_ours(make_config: MakeConfig) -> None:
    def load(rows: int = 20) -> RawData:
        x = torch.arange(2.0 * rows).view(rows, 2).numpy()
        return RawData(x=x, y=torch.arange(rows).remainder(2).numpy(), where="mine")

    plugins.source("mine")(load)
    config = make_config(data={"source": "mine", "rows": 40, "test": None, "validation": 0.25})
    assert isinstance(config.data, SourceConfig)
    prepared = open_data(config).prepared
    assert prepared is not None
    assert prepared.n_rows == {"train": 30, "validation": 10, "test": 0}


def test_a_source_that_fails_is_named_with_its_line(
    make_config: MakeConfig, write: Callable[..., Path]
) -> None:
    text = """
        import numpy as np
        from lightning_modules import plugins

        @plugins.source("mine")
        def load(name: str = "nowhere.npy"):
            return np.load(name)
    """
    load_plugin(str(write(text)))
    told = r"^data source 'mine' \(mine\.py:7\): FileNotFoundError: .*nowhere\.npy.*; correct it"
    with pytest.raises(PluginError, match=told) as raised:
        open_data(make_config(data={"source": "mine"}))
    assert isinstance(raised.value.__cause__, FileNotFoundError)


@pytest.mark.parametrize("kind", [torch.tensor, np.array, list])
def test_a_source_may_return_a_pair(make_config: MakeConfig, kind: Callable[..., object]) -> None:
    rows, labels = [[float(n)] for n in range(20)], ["a", "b"] * 10
    plugins.source("mine")(lambda: (kind(rows), labels))
    prepared = open_data(make_config(data={"source": "mine"})).prepared
    assert prepared is not None
    assert sum(prepared.n_rows.values()) == 20
    assert prepared.train.x.shape[1:] == (1,)


def test_a_file_that_a_source_reads_is_read_again_when_it_has_changed(
    make_config: MakeConfig, tmp_path: Path
) -> None:
    def load(*, table: Path) -> tuple[list[list[float]], list[str]]:
        rows = [[float(line)] for line in table.read_text().split()]
        return rows, ["a", "b"] * (len(rows) // 2)

    plugins.source("mine")(load)
    config = make_config(data={"source": "mine", "table": str(tmp_path / "table.txt")})
    found = []
    for n_rows in (20, 40):
        (tmp_path / "table.txt").write_text("\n".join(map(str, range(n_rows))))
        prepared = open_data(config, cache=tmp_path / "cache").prepared
        assert prepared is not None
        found.append(sum(prepared.n_rows.values()))
    assert found == [20, 40]


def test_a_source_that_returns_no_rows_is_told_what_to_return(make_config: MakeConfig) -> None:
    plugins.source("mine")(lambda: torch.zeros(3, 2))
    told = r"data source 'mine': its function returned a Tensor; return \(x, y\), or hpo\.RawData"
    with pytest.raises(PluginError, match=told):
        open_data(make_config(data={"source": "mine"}))


def test_a_data_module_that_fails_is_named_with_its_line(
    make_config: MakeConfig, write: Callable[..., Path]
) -> None:
    text = """
        import pytorch_lightning as pl

        class Mine(pl.LightningDataModule):
            def setup(self, stage):
                self.rows = {}["train"]
    """
    load_plugin(str(write(text)))
    told = r"^data source 'Mine' \(mine\.py:6\): KeyError: 'train'; correct it"
    with pytest.raises(PluginError, match=told):
        open_data(make_config(data={"source": "Mine"}, trainer={"max_epochs": 1}))


def test_a_metric_may_be_the_objective(make_config: MakeConfig, tmp_path: Path) -> None:
    def wrong(outputs: Tensor, targets: Tensor) -> float:
        return float((outputs.argmax(1) != targets).float().mean())

    assert plugins.metric("wrong", direction="minimize", kinds=["multiclass"])(wrong) is wrong
    assert METRICS["wrong"].each_validation
    result = train(make_config(objective={"metric": "wrong"}), tmp_path)
    assert result.value == pytest.approx(1 - result.metrics["val/accuracy"])


def test_a_metric_bears_a_new_name() -> None:
    with pytest.raises(NameTakenError, match="metric 'accuracy' is taken; choose another name"):
        plugins.metric("accuracy", direction="maximize")(lambda outputs, targets: 0.0)
