"""Config models of augmentation: what is changed by chance in the batches of training."""

from typing import Literal

from lightning_modules.settings import Settings, number, shape


class JitterConfig(Settings):
    """Colours changed by chance: factors between 1 minus and 1 plus the setting."""

    brightness: float = number(0.0, ge=0, le=1)
    contrast: float = number(0.0, ge=0, le=1)
    saturation: float = number(0.0, ge=0, le=1)
    hue: float = number(0.0, ge=0, le=0.5)
    """A share of the circle of colours, to either side."""


class RandAugmentConfig(Settings):
    """Operations drawn anew for every batch, all of one magnitude (Cubuk et al., 2020)."""

    operations: int = shape(2, ge=1, le=8)
    magnitude: float = number(9.0, gt=0, lt=30)


class AugmentConfig(Settings):
    """What is changed by chance in training batches; validation and test rows stay as they are.

    All but ``mixup`` is for images; it needs the extra ``vision``, all but ``mixup`` and
    ``cutmix``. They stand in the order in which they are applied.
    """

    flip: Literal["none", "horizontal", "vertical", "both"] = shape("none")
    """Mirror every second image."""
    rotate: float = number(0.0, ge=0, le=180)
    """Degrees to either side."""
    translate: float = number(0.0, ge=0, lt=1)
    """A share of the side, in each direction."""
    zoom: float = number(0.0, ge=0, lt=1)
    """Enlarge by a factor between 1 minus and 1 plus this share."""
    crop: float = number(0.0, ge=0, le=1)
    """Pad by this share of the side, then cut the old size out."""
    jitter: JitterConfig = JitterConfig()
    randaugment: RandAugmentConfig | None = None
    erase: float = number(0.0, ge=0, le=1)
    """The share of images in which a rectangle is blackened (Zhong et al., 2020)."""
    mixup: float = number(0.0, ge=0, le=100)
    """Mix every row with another, the shares from Beta(mixup, mixup) (Zhang et al., 2018)."""
    cutmix: float = number(0.0, ge=0, le=100)
    """Put a rectangle of another image into each (Yun et al., 2019); with mixup, one of the two."""

    @property
    def colours(self) -> list[str]:
        """The settings that change the colours of images that have three channels, alone."""
        hues = {"saturation": self.jitter.saturation, "hue": self.jitter.hue}
        return [f"jitter.{name}" for name, value in hues.items() if value]

    @property
    def of_images(self) -> list[str]:
        """The settings that are on and change single images, by kornia."""
        names = ("rotate", "translate", "zoom", "crop", "erase")
        return [
            *(["flip"] if self.flip != "none" else []),
            *(name for name in names if getattr(self, name)),
            *(["jitter"] if self.jitter != JitterConfig() else []),
            *(["randaugment"] if self.randaugment is not None else []),
        ]

    @property
    def of_rows(self) -> list[str]:
        """The settings that are on and mix rows, and with them their targets."""
        return [name for name in ("mixup", "cutmix") if getattr(self, name)]


NOT_AUGMENTED = AugmentConfig()


def is_off(config: AugmentConfig) -> bool:
    """Say whether nothing is augmented, which records leave out.

    >>> is_off(AugmentConfig()), is_off(AugmentConfig(mixup=0.2))
    (True, False)
    """
    return config == NOT_AUGMENTED
