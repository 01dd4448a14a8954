import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from lightning_modules.build import build_module, open_data
from lightning_modules.config import RunConfig
from lightning_modules.errors import UsageError
from lightning_modules.module import SupervisedModule
from lightning_modules.program import has_bf16_units, missing_compiler
from lightning_modules.restore import restore, score
from lightning_modules.train import train

MakeConfig = Callable[..., RunConfig]
CNN = {"family": "cnn", "n_layers": 1, "width": 8}


def images(make_config: MakeConfig, **trainer: Any) -> RunConfig:
    """Return a small convolutional network on digits, with these settings of the trainer."""
    settings = {"max_epochs": 1, "batch_size": 128, **trainer}
    return make_config(model=CNN, data={"source": "digits"}, trainer=settings)


def convolution(module: object) -> nn.Conv2d:
    """Return the second convolution: with one channel both layouts are the same."""
    assert isinstance(module, SupervisedModule)
    found = [part for part in module.modules() if isinstance(part, nn.Conv2d)]
    return found[-1]


def test_convolutions_lie_as_the_layout_says(make_config: MakeConfig) -> None:
    data = open_data(images(make_config))
    for layout, lies_in_order in (("contiguous", True), ("channels_last", False), (None, False)):
        two = {**CNN, "n_layers": 2}
        config = make_config(
            model=two, data={"source": "digits"}, trainer={"max_epochs": 1, "layout": layout}
        )
        weight = convolution(build_module(config, data)).weight
        assert weight.is_contiguous() is lies_in_order
        assert weight.is_contiguous(memory_format=torch.channels_last) is not lies_in_order


@pytest.mark.parametrize(
    ("sections", "told"),
    [
        ({}, "mlp on iris"),
        ({"data": {"source": "digits"}}, "mlp on digits"),
    ],
)
def test_a_layout_of_what_is_no_image_is_refused(
    make_config: MakeConfig, sections: dict[str, Any], told: str
) -> None:
    config = make_config(trainer={"max_epochs": 1, "layout": "channels_last"}, **sections)
    with pytest.raises(UsageError) as caught:
        build_module(config, open_data(config))
    what = f"{told} has no convolution over images to lay out; remove this setting"
    assert str(caught.value) == f"trainer.layout: {what}"


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
@pytest.mark.parametrize("layout", ["contiguous", "channels_last"])
def test_the_same_program_gives_the_same_bits(
    make_config: MakeConfig, tmp_path: Path, precision: str, layout: str
) -> None:
    config = images(make_config, precision=precision, layout=layout)
    one, other = (train(config, tmp_path / name) for name in ("one", "other"))
    assert one.metrics == other.metrics
    assert one.checkpoint.sha256 == other.checkpoint.sha256


def test_a_checkpoint_loads_into_a_network_of_any_layout(
    make_config: MakeConfig, tmp_path: Path
) -> None:
    config = images(make_config, layout="channels_last")
    data = open_data(config)
    assert data.prepared is not None
    train(config, tmp_path, data=data)
    outputs = []
    for layout in ("channels_last", "contiguous", None):
        other = images(make_config, layout=layout)
        module = restore(other, tmp_path / "best.ckpt", data)
        outputs.append(module(data.prepared.validation.x[:50]))
    for other_outputs in outputs[1:]:
        torch.testing.assert_close(outputs[0], other_outputs)


@pytest.mark.parametrize("model", [CNN, {"family": "mlp", "width": 32}])
def test_a_checkpoint_is_scored_as_it_was_validated_in_mixed_precision(
    make_config: MakeConfig, tmp_path: Path, model: dict[str, Any]
) -> None:
    config = make_config(
        model=model,
        data={"source": "digits"},
        trainer={"max_epochs": 2, "batch_size": 64, "precision": "bf16-mixed"},
    )
    result = train(config, tmp_path)
    scored = score(config, tmp_path / "best.ckpt", split="validation").metrics
    found = {f"val/{name}": value for name, value in scored.items()}
    measured = {name: value for name, value in result.metrics.items() if name.startswith("val/")}
    assert {name: found[name] for name in measured} == measured


def test_a_setting_that_is_off_is_in_no_record(make_config: MakeConfig) -> None:
    assert not {"layout", "compile"} & set(make_config().plain()["trainer"])


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of torch's own, when it compiles
def test_a_compiled_network_learns_the_same_and_its_checkpoint_loads_everywhere(
    make_config: MakeConfig, tmp_path: Path
) -> None:
    if missing_compiler("cpu"):
        pytest.skip("no compiler")
    plain = make_config(trainer={"max_epochs": 2, "batch_size": 60})
    compiled = make_config(trainer={"max_epochs": 2, "batch_size": 60, "compile": True})
    one, other = train(plain, tmp_path / "plain"), train(compiled, tmp_path / "compiled")
    assert other.metrics["val/loss"] == pytest.approx(one.metrics["val/loss"], rel=1e-4)
    assert other.flops == one.flops
    data = open_data(plain)
    for config in (plain, compiled):
        scored = score(config, tmp_path / "compiled" / "best.ckpt", split="validation", data=data)
        assert scored.metrics["loss"] == pytest.approx(other.metrics["val/loss"], rel=1e-5)


def test_without_a_compiler_nothing_is_compiled(
    make_config: MakeConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    config = make_config(trainer={"max_epochs": 1, "compile": True})
    text = r"^trainer.compile: torch.compile needs a C\+\+ compiler, and none is installed; "
    with pytest.raises(UsageError, match=text):
        train(config, tmp_path / "run")


def test_a_compiler_is_the_one_that_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    assert missing_compiler("cpu") is not None
    monkeypatch.setenv("CXX", shutil.which("sh", path=os.defpath) or "sh")
    assert missing_compiler("cpu") is None


@pytest.mark.parametrize(
    ("flags", "has"),
    [
        ("flags\t\t: fpu avx2 avx512_bf16 sha_ni\n", True),
        ("flags\t\t: fpu amx_bf16\n", True),
        ("Features\t: fp asimd bf16\n", True),
        ("flags\t\t: fpu avx2 avx512f\n", False),
        ("Features\t: fp asimd svebf16\n", False),
    ],
)
def test_units_for_bf16_are_those_that_linux_names(tmp_path: Path, flags: str, has: bool) -> None:
    (tmp_path / "cpuinfo").write_text(f"processor\t: 0\n{flags}")
    assert has_bf16_units(torch.device("cpu"), tmp_path / "cpuinfo") is has


def test_a_device_that_is_neither_cpu_nor_cuda_has_no_units_that_are_known() -> None:
    assert not has_bf16_units(torch.device("meta"))
