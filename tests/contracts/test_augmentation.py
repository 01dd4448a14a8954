"""Every setting of `data.augment` changes training batches, and nothing else of a run."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from lightning_modules.checkpoint import load_checkpoint
from lightning_modules.config import RunConfig
from lightning_modules.data import augment
from lightning_modules.data.arrays import give_arrays
from lightning_modules.data.augment_config import AugmentConfig, JitterConfig, RandAugmentConfig
from lightning_modules.data.config import SOURCES, ArraysConfig, SourceConfig
from lightning_modules.data.datamodule import TaskData
from lightning_modules.data.prepared import PreparedData, prepare_task
from lightning_modules.data.raw import load
from lightning_modules.data.repeats import cut
from lightning_modules.errors import DataError
from lightning_modules.result import Command, Validation
from lightning_modules.train import train
from lightning_modules.watch import Abandoned
from tests.programs import ROOT, Programs

Batch = tuple[Tensor, Tensor]
RAND = {"operations": 2, "magnitude": 9.0}
OTHERS: dict[str, list[Any]] = {
    "flip": ["horizontal", "vertical", "both"],
    "rotate": [10.0, 20.0],
    "translate": [0.1, 0.2],
    "zoom": [0.1, 0.2],
    "crop": [0.1, 0.3],
    "jitter": [
        {"brightness": 0.3},
        {"brightness": 0.4},
        {"contrast": 0.3},
        {"contrast": 0.4},
        {"saturation": 0.3},
        {"saturation": 0.4},
        {"hue": 0.1},
        {"hue": 0.2},
    ],
    "randaugment": [RAND, {**RAND, "operations": 3}, {**RAND, "magnitude": 20.0}],
    "erase": [0.5, 1.0],
    "mixup": [0.5, 1.0],
    "cutmix": [1.0, 2.0],
}
CHANGES = [(name, value) for name, values in OTHERS.items() for value in values]


def colours(n_channels: int = 3, *, with_test: bool = False) -> PreparedData:
    """Return images of noise whose class is their shade, prepared."""
    generator = torch.Generator().manual_seed(0)
    shade = torch.arange(120) % 3
    noise = torch.randint(0, 100, (120, 3, 8, 10), generator=generator)
    images = (noise + 60 * shade[:, None, None, None]).to(torch.uint8)
    name = f"grown colours of {n_channels}"
    give_arrays(name, images[:, :n_channels], shade)
    config = ArraysConfig(name=name)
    return prepare_task(config, task_kind="multiclass", with_test=with_test)


@pytest.fixture(scope="module")
def images() -> PreparedData:
    return colours()


def data(prepared: PreparedData, seed: int = 0, **settings: Any) -> TaskData:
    config = AugmentConfig.model_validate(settings)
    return TaskData(prepared, batch_size=16, seed=seed, augment=config)


def batches(module: TaskData, epoch: int = 0) -> list[Batch]:
    loader = module.train_dataloader()
    loader.sampler.set_epoch(epoch)
    return list(loader)


def equal(one: list[Batch], two: list[Batch]) -> bool:
    pairs = zip(one, two, strict=True)
    return all(torch.equal(a[0], b[0]) and torch.equal(a[1], b[1]) for a, b in pairs)


def digest(found: list[Batch]) -> str:
    sha = hashlib.sha256()
    for x, y in found:
        sha.update(x.numpy().tobytes() + y.numpy().tobytes())
    return sha.hexdigest()


def test_every_setting_is_tried_here() -> None:
    assert set(OTHERS) == set(AugmentConfig.model_fields)
    tried = {key for value in OTHERS["jitter"] for key in value}
    assert tried == set(JitterConfig.model_fields)
    assert set(RAND) == set(RandAugmentConfig.model_fields)


@pytest.mark.parametrize(("name", "value"), CHANGES)
def test_a_setting_changes_training_batches_and_no_other_rows(
    images: PreparedData, name: str, value: Any
) -> None:
    plain, other = data(images), data(images, **{name: value})
    for (x, y), (new_x, new_y) in zip(batches(plain), batches(other), strict=True):
        assert new_x.shape == x.shape
        assert new_x.dtype == x.dtype
        assert bool(new_x.isfinite().all())
        assert float(new_x.min()) >= float(images.train.x.min()) - 1e-4
        assert not torch.equal(new_x, x)
        kept = new_y.argmax(1) if new_y.ndim == 2 else new_y
        assert new_y.ndim == 2 or torch.equal(kept, y)
    assert equal(list(plain.val_dataloader()), list(other.val_dataloader()))
    assert equal(list(other.val_dataloader()), [(images.validation.x, images.validation.y)])


def test_no_two_values_of_a_setting_give_the_same_batches(images: PreparedData) -> None:
    found = [digest(batches(data(images, **{name: value}))) for name, value in CHANGES]
    assert len(set(found)) == len(CHANGES)


def test_test_rows_are_never_augmented() -> None:
    prepared = colours(with_test=True)
    assert prepared.test is not None
    (found,) = data(prepared, flip="both", mixup=1.0, erase=1.0).test_dataloader()
    assert torch.equal(found[0], prepared.test.x)
    assert torch.equal(found[1], prepared.test.y)


def test_what_is_known_of_pixels_is_of_training_images_alone() -> None:
    generator = torch.Generator().manual_seed(0)
    images, shade = torch.rand(60, 1, 6, 6, generator=generator), torch.arange(60) % 2
    first = ArraysConfig(name="grown floats")
    give_arrays(first.name, images, shade)
    split = cut(load(first, task_kind="binary"), first, task_kind="binary").split
    images[np.concatenate([split.validation, split.test])] *= 9
    second = ArraysConfig(name="grown brighter floats")
    give_arrays(second.name, images, shade)
    one, two = (prepare_task(config, task_kind="binary") for config in (first, second))
    assert one.data_sha256 != two.data_sha256
    changes = {"rotate": 9.0, "jitter": {"contrast": 0.3}}
    assert equal(batches(data(one, **changes)), batches(data(two, **changes)))


EVERYTHING: dict[str, Any] = {name: values[0] for name, values in OTHERS.items()}


def test_what_is_drawn_is_of_seed_and_batch_alone(images: PreparedData) -> None:
    before = torch.get_rng_state()
    first = batches(data(images, **EVERYTHING))
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(99)
    used = data(images, **EVERYTHING)
    batches(used, 1)
    assert equal(batches(used), first)
    assert not equal(batches(used, 1), first)
    assert not equal(batches(data(images, seed=1, **EVERYTHING)), first)


def test_an_epoch_goes_on_with_the_batches_of_one_that_was_not_left(images: PreparedData) -> None:
    whole = batches(data(images, **EVERYTHING))
    left = data(images, **EVERYTHING).train_dataloader()
    iterator = iter(left)
    given_out = [next(iterator), next(iterator)]
    again = data(images, **EVERYTHING).train_dataloader()
    again.load_state_dict(left.state_dict())
    assert equal([*given_out, *again], whole)


def test_another_process_makes_the_same_bits(images: PreparedData, programs: Programs) -> None:
    code = (
        "import sys, torch; sys.path.insert(0, 'tests/contracts'); torch.set_num_threads(1)\n"
        "import test_augmentation as t\n"
        "print(t.digest(t.batches(t.data(t.colours(), **t.EVERYTHING))))"
    )
    with programs.start(folder=ROOT, code=code) as process:
        assert process.wait() == 0, process.err
        made = process.out.strip()
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        assert made == digest(batches(data(images, **EVERYTHING)))
    finally:
        torch.set_num_threads(threads)


class LeaveAt:
    """A listener that leaves at a batch."""

    def __init__(self, batch: int) -> None:
        self.left = batch

    def validated(self, validation: Validation) -> Command:
        return Command.CONTINUE

    def batch_ended(self) -> Command:
        self.left -= 1
        return Command.CONTINUE if self.left else Command.ABANDON


def test_an_abandoned_augmented_run_ends_as_one_that_never_stopped(tmp_path: Path) -> None:
    config = RunConfig.model_validate(
        {
            "task": {"kind": "multiclass"},
            "data": {
                "source": "digits",
                "augment": {"rotate": 10.0, "erase": 0.3, "mixup": 0.4, "cutmix": 1.0},
            },
            "model": {"family": "mlp", "n_layers": 1, "width": 8, "dropout": 0.1},
            "trainer": {"max_epochs": 2, "batch_size": 400, "accelerator": "cpu"},
        }
    )
    whole = train(config, tmp_path / "whole")
    with pytest.raises(Abandoned):
        train(config, tmp_path / "left", report=LeaveAt(4))
    again = train(config, tmp_path / "left")
    assert again.metrics == whole.metrics
    weights = [load_checkpoint(tmp_path / name / "best.ckpt") for name in ("whole", "left")]
    for name, values in weights[0]["state_dict"].items():
        assert torch.equal(values, weights[1]["state_dict"][name])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"flip": "both"}, "data.augment.flip: is for images, but the data are features; remove"),
        ({"cutmix": 1.0}, "data.augment.cutmix: is for images"),
        ({"randaugment": {}}, "data.augment.randaugment: is for images"),
    ],
)
def test_what_is_for_images_is_refused_for_tables(settings: Any, message: str) -> None:
    generator = torch.Generator().manual_seed(0)
    give_arrays("grown table", torch.rand(30, 4, generator=generator), torch.arange(30) % 2)
    table = prepare_task(ArraysConfig(name="grown table"), task_kind="binary")
    with pytest.raises(DataError, match=message):
        data(table, **settings)
    x, y = batches(data(table, mixup=1.0))[0]
    assert (x.shape, y.shape, y.dtype) == ((16, 4), (16,), torch.float32)


def test_words_are_never_mixed() -> None:
    sentences = SOURCES["sentences"].config.model_validate({"n_rows": 60})
    assert isinstance(sentences, SourceConfig)
    texts = prepare_task(sentences, task_kind="binary")
    with pytest.raises(DataError, match=r"data.augment.mixup: words cannot be mixed; remove it"):
        data(texts, mixup=0.2)


def test_without_the_extra_its_name_is_said(
    images: PreparedData, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(augment, "find_spec", lambda name: None)
    with pytest.raises(DataError, match=r"augment.crop: .* by kornia; pip install 'hpo\[vision\]'"):
        data(images, crop=0.1)
    assert len(batches(data(images, mixup=0.2, cutmix=1.0)))


def test_mixed_sequences_are_as_long_as_the_longer_of_the_two() -> None:
    generator = torch.Generator().manual_seed(0)
    rows = [torch.rand(3 + i % 4, 2, generator=generator).numpy() for i in range(40)]
    give_arrays("grown sequences", rows, torch.arange(40) % 2)
    prepared = prepare_task(ArraysConfig(name="grown sequences"), task_kind="binary")
    for x, _ in batches(data(prepared, mixup=1.0)):
        real = x[..., -1]
        assert x.shape[1:] == (6, 3)
        assert set(real.unique().tolist()) == {0.0, 1.0}
        assert bool((real.diff(dim=1) <= 0).all())


@pytest.mark.parametrize("jitter", [{"saturation": 0.1}, {"hue": 0.1}])
def test_colours_are_refused_for_grey_images(jitter: dict[str, float]) -> None:
    images = colours(1)
    (name,) = jitter
    with pytest.raises(DataError, match=rf"augment.jitter.{name}: images of 1 channel have no col"):
        data(images, jitter=jitter)
    grey = batches(data(images, jitter={"brightness": 0.2}, randaugment={"operations": 8}))
    assert len(grey)
