"""Augmentation: training batches changed by chance, a function of config and seed alone."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TypeAlias

import torch
from torch import Tensor, nn

from lightning_modules.data.augment_config import (
    AugmentConfig,
    JitterConfig,
    RandAugmentConfig,
)
from lightning_modules.data.image_preparation import ImagePreparation
from lightning_modules.data.mix import draw_mix, mix_rows, soft_targets
from lightning_modules.data.prepare import input_of
from lightning_modules.data.prepared import PreparedData
from lightning_modules.errors import DataError
from lightning_modules.seeds import derive

Images: TypeAlias = Callable[[Tensor], Tensor]


class Augmentation:
    """Changes training batches; the global generator is left as it was.

    >>> from lightning_modules.data.config import IrisConfig
    >>> from lightning_modules.data.prepared import prepare_task
    >>> iris = prepare_task(IrisConfig(), task_kind="multiclass")
    >>> augmentation = Augmentation(AugmentConfig(mixup=0.2), iris, device=torch.device("cpu"))
    >>> x, y = augmentation(iris.train.x[:3], iris.train.y[:3], seed=0)
    >>> tuple(x.shape), tuple(y.shape)
    ((3, 4), (3, 3))

    Args:
        config: what is changed.
        prepared: the data, of which kind, range and scale of the inputs are used.
        device: where batches are changed. What is drawn is the same on each.

    Raises:
        DataError: if a setting has no effect on these data, or kornia is missing.
    """

    def __init__(
        self, config: AugmentConfig, prepared: PreparedData, *, device: torch.device
    ) -> None:
        check_augment(config, prepared)
        self._config = config
        self._device = device
        self._n_classes = prepared.n_outputs if prepared.task_kind == "multiclass" else None
        self._padded = input_of(prepared.fitted.preparation)[2]
        self._images: Images | None = None
        if config.of_images:
            self._images = _in_colours(_pipeline(config, prepared.input_shape), prepared, device)

    def __call__(self, x: Tensor, y: Tensor, *, seed: int) -> tuple[Tensor, Tensor]:
        """Return inputs of the same shape, and targets, mixed where rows are.

        Mixed class numbers become the shares of the classes, ``(rows, classes)``; of two classes,
        the share of the second, ``(rows,)``.
        """
        x, y = x.to(self._device), y.to(self._device)
        if self._images is not None:
            with _seeded(derive(seed, "images")), torch.no_grad():
                x = self._images(x)
        if self._config.of_rows:
            mix = draw_mix(self._config, len(x), seed=derive(seed, "mix"))
            x, y = mix_rows(x, soft_targets(y, self._n_classes), mix)
            if self._padded:  # a step is real where it is in one of the two
                x[..., -1] = (x[..., -1] > 0).to(x.dtype)
        return x, y


def check_augment(config: AugmentConfig, prepared: PreparedData) -> None:
    """Refuse what cannot change rows of this kind.

    Raises:
        DataError: if a setting has no effect on these data, or kornia is missing.
    """
    if prepared.input_kind != "image":
        for name in (*config.of_images, *(["cutmix"] if config.cutmix else [])):
            what = f"is for images, but the data are {prepared.input_kind}"
            raise DataError(f"data.augment.{name}", what, "remove it")
        if config.mixup and prepared.input_kind == "text":
            raise DataError("data.augment.mixup", "words cannot be mixed", "remove it")
    elif config.colours and prepared.input_shape[0] != 3:
        n_channels = prepared.input_shape[0]
        where = f"data.augment.{config.colours[0]}"
        what = f"images of {n_channels} channel{'s' * (n_channels > 1)} have no colours"
        raise DataError(where, what, "remove it")
    if config.of_images and find_spec("kornia") is None:
        where = f"data.augment.{config.of_images[0]}"
        raise DataError(where, "images are augmented by kornia", "pip install 'hpo[vision]'")


def _pipeline(config: AugmentConfig, input_shape: tuple[int, ...]) -> Images:
    """Return what changes images ``(rows, channels, height, width)`` between 0 and 1."""
    from kornia import augmentation as kornia

    steps = _movements(config, input_shape)
    if config.jitter != JitterConfig():
        each = (getattr(config.jitter, name) for name in JitterConfig.model_fields)
        steps.append(kornia.ColorJitter(*each, p=1.0))
    if config.randaugment is not None:
        steps.append(_randaugment(config.randaugment, input_shape))
    if config.erase:
        steps.append(kornia.RandomErasing(p=config.erase))
    return nn.Sequential(*steps)


def _movements(config: AugmentConfig, input_shape: tuple[int, ...]) -> list[nn.Module]:
    """Return what moves the pixels of images; what comes in from outside is black."""
    from kornia import augmentation as kornia

    steps: list[nn.Module] = []
    if config.flip in ("horizontal", "both"):
        steps.append(kornia.RandomHorizontalFlip(p=0.5))
    if config.flip in ("vertical", "both"):
        steps.append(kornia.RandomVerticalFlip(p=0.5))
    if config.rotate or config.translate or config.zoom:
        share, zoom = config.translate, config.zoom
        affine = kornia.RandomAffine(
            degrees=config.rotate,
            translate=(share, share) if share else None,
            scale=(1 - zoom, 1 + zoom) if zoom else None,
            p=1.0,
        )
        steps.append(affine)
    if config.crop:
        _, height, width = input_shape
        x, y = (max(1, round(config.crop * side)) for side in (width, height))
        steps.append(kornia.RandomCrop((height, width), padding=(x, y, x, y), p=1.0))
    return steps


def _randaugment(config: RandAugmentConfig, input_shape: tuple[int, ...]) -> nn.Module:
    """Return RandAugment with the operations that images of this shape can take."""
    from kornia.augmentation.auto import RandAugment
    from kornia.augmentation.auto.rand_augment.rand_augment import default_policy

    n_channels, height, width = input_shape
    left_out = set() if n_channels == 3 else {"color"}
    if min(height, width) < 3:
        left_out.add("sharpness")
    policy = [step for step in default_policy if step[0][0] not in left_out]
    # The magnitude is a share of 30, whole or not.
    return RandAugment(config.operations, config.magnitude, policy)  # type: ignore[arg-type]


def _in_colours(pipeline: Images, prepared: PreparedData, device: torch.device) -> Images:
    """Return ``pipeline``, which wants pixels between 0 and 1, for scaled images."""
    preparation, pixels = prepared.fitted.preparation, prepared.pixels
    if not isinstance(preparation, ImagePreparation) or pixels is None:
        raise TypeError("images have a preparation of images and a range of pixels")
    black, white = pixels
    mean, sd = (
        torch.tensor(values, dtype=torch.float64)[:, None, None]
        for values in (preparation.mean, preparation.sd)
    )
    factor = (sd / (white - black)).float().to(device)
    offset = ((mean - black) / (white - black)).float().to(device)

    def change(x: Tensor) -> Tensor:
        colours = torch.addcmul(offset, x, factor).clamp_(0, 1)
        return (pipeline(colours) - offset) / factor

    return change


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Seed the global generator, from which kornia draws, and put it back afterwards."""
    before = torch.get_rng_state()
    torch.default_generator.manual_seed(seed)
    try:
        yield
    finally:
        torch.set_rng_state(before)
