"""Image segmentation with a U-Net of your own: which pixels belong to a disc?

hpo run examples/segmentation/study.yaml --plugin examples/segmentation/unet.py
"""

from itertools import pairwise

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits
from torch.utils.data import DataLoader, TensorDataset
from torchmetrics.classification import BinaryF1Score, BinaryJaccardIndex

SIDE = 32


class Shapes(pl.LightningDataModule):
    """Noisy images of discs and squares; the mask is 1 where a disc is."""

    def __init__(self, n_train: int = 256, batch_size: int = 16, seed: int = 0) -> None:
        super().__init__()
        self.sizes = {"train": n_train, "validation": 64, "test": 64}
        self.batch_size = batch_size
        self.seed = seed

    def setup(self, stage: str) -> None:
        """Draw all images; an image is the same in every run."""
        generator = np.random.default_rng(self.seed)
        self.images = {split: draw(n, generator) for split, n in self.sizes.items()}

    def train_dataloader(self) -> DataLoader:
        return DataLoader(self.images["train"], self.batch_size, shuffle=True)

    def val_dataloader(self) -> DataLoader:
        return DataLoader(self.images["validation"], 64)

    def test_dataloader(self) -> DataLoader:
        return DataLoader(self.images["test"], 64)


def draw(n_images: int, generator: np.random.Generator) -> TensorDataset:
    """Return images and masks, both ``(images, 1, side, side)``."""
    rows, columns = np.mgrid[:SIDE, :SIDE]
    images = generator.normal(0, 0.25, (n_images, 1, SIDE, SIDE))
    masks = np.zeros_like(images)
    for image, mask in zip(images[:, 0], masks[:, 0], strict=True):
        for is_disc in generator.random(4) < 0.5:
            (row, column), radius = generator.integers(0, SIDE, 2), generator.integers(3, 7)
            down, right = np.abs(rows - row), np.abs(columns - column)
            far = np.hypot(down, right) if is_disc else np.maximum(down, right)
            inside = far <= radius
            image[inside] += generator.uniform(0.5, 1.0)
            mask[inside] = is_disc
    return TensorDataset(torch.tensor(images).float(), torch.tensor(masks).float())


class UNet(pl.LightningModule):
    """A U-Net (Ronneberger et al., 2015): its arguments are what a study may search."""

    def __init__(self, depth: int = 2, width: int = 8, lr: float = 3e-3) -> None:
        super().__init__()
        self.save_hyperparameters()
        widths = [width * 2**level for level in range(depth + 1)]
        self.first = block(1, width)
        self.down = nn.ModuleList(map(block, widths[:-1], widths[1:]))
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(wide, narrow, 2, stride=2) for narrow, wide in pairwise(widths)
        )
        self.merge = nn.ModuleList(block(2 * narrow, narrow) for narrow in widths[:-1])
        self.last = nn.Conv2d(width, 1, 1)
        self.iou, self.dice = BinaryJaccardIndex(), BinaryF1Score()

    def forward(self, x: Tensor) -> Tensor:
        """Return the logit of every pixel, ``(images, 1, side, side)``."""
        levels = [self.first(x)]
        for down in self.down:
            levels.append(down(nn.functional.max_pool2d(levels[-1], 2)))
        x = levels.pop()
        for up, merge in zip(reversed(self.up), reversed(self.merge), strict=True):
            x = merge(torch.cat([up(x), levels.pop()], dim=1))
        return self.last(x)

    def training_step(self, batch: tuple[Tensor, Tensor], index: int) -> Tensor:
        images, masks = batch
        return binary_cross_entropy_with_logits(self(images), masks)

    def validation_step(self, batch: tuple[Tensor, Tensor], index: int) -> None:
        self.judge(batch, "val")

    def test_step(self, batch: tuple[Tensor, Tensor], index: int) -> None:
        self.judge(batch, "test")

    def judge(self, batch: tuple[Tensor, Tensor], split: str) -> None:
        """Log intersection over union, and Dice, of the pixels of all images together."""
        images, masks = batch
        found = self(images) > 0
        for name, metric in (("iou", self.iou), ("dice", self.dice)):
            metric.update(found, masks.int())
            self.log(f"{split}_{name}", metric)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self.parameters(), lr=self.hparams.lr)


def block(n_in: int, n_out: int) -> nn.Sequential:
    """Return two convolutions that keep height and width."""
    return nn.Sequential(
        *(nn.Conv2d(n_in, n_out, 3, padding=1, bias=False), nn.BatchNorm2d(n_out), nn.ReLU()),
        *(nn.Conv2d(n_out, n_out, 3, padding=1, bias=False), nn.BatchNorm2d(n_out), nn.ReLU()),
    )
