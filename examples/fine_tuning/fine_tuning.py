"""A backbone from a checkpoint, fine-tuned: first layers frozen, lower ones with a lower lr.

`compare.py` beside this file shows how it is searched, and what it gains.
"""

import gzip
from pathlib import Path
from typing import Literal

import numpy as np
import pytorch_lightning as pl
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset

N_CLASSES = 5
"""Half of them: one half to learn from, the other to be fine-tuned for."""


class Half(pl.LightningDataModule):
    """Half of the ten classes of images in MNIST's format, or of scikit-learn's digits.

    ``n_labels`` of each class are trained on; as many, but at least 20, validate. All images of
    the official test split are tested, of the digits the last fifth.
    """

    def __init__(
        self,
        folder: Path | None = None,
        half: Literal["first", "second"] = "first",
        n_labels: int = 1000,
        batch_size: int = 32,
    ) -> None:
        super().__init__()
        self.folder, self.half = folder, half
        self.n_labels, self.batch_size = n_labels, batch_size

    def setup(self, stage: str) -> None:
        known, test = read_digits() if self.folder is None else read_idx(self.folder)
        x, y = of_half(*known, self.half)
        ranks = np.zeros(len(y), dtype=int)  # of each image among those of its class
        for label in range(N_CLASSES):
            ranks[y == label] = np.arange((y == label).sum())
        n_seen = self.n_labels + max(self.n_labels, 20)
        self.train = tensors(x, y, ranks < self.n_labels)
        self.validation = tensors(x, y, (self.n_labels <= ranks) & (ranks < n_seen))
        x, y = of_half(*test, self.half)
        self.test = tensors(x, y, np.ones(len(y), dtype=bool))

    def train_dataloader(self) -> DataLoader:
        return DataLoader(self.train, self.batch_size, shuffle=True)

    def val_dataloader(self) -> DataLoader:
        return DataLoader(self.validation, 500)

    def test_dataloader(self) -> DataLoader:
        return DataLoader(self.test, 500)


Images = tuple[np.ndarray, np.ndarray]


def read_idx(folder: Path) -> tuple[Images, Images]:
    """Return images and labels of training and test."""
    found = []
    for part in ("train", "t10k"):
        with gzip.open(folder / f"{part}-images-idx3-ubyte.gz") as file:
            x = np.frombuffer(file.read(), np.uint8, offset=16).reshape(-1, 28, 28)
        with gzip.open(folder / f"{part}-labels-idx1-ubyte.gz") as file:
            y = np.frombuffer(file.read(), np.uint8, offset=8)
        found.append((x / 255, y))
    return found[0], found[1]


def read_digits() -> tuple[Images, Images]:
    """Return images and labels of training and test."""
    digits = load_digits()
    x, y = digits.images / 16, digits.target
    return (x[:1437], y[:1437]), (x[1437:], y[1437:])


def of_half(x: np.ndarray, y: np.ndarray, half: str) -> Images:
    """Return the images of half of the classes, which are then 0 to 4."""
    first = 0 if half == "first" else N_CLASSES
    kept = (first <= y) & (y < first + N_CLASSES)
    return x[kept], y[kept] - first


def tensors(x: np.ndarray, y: np.ndarray, kept: np.ndarray) -> TensorDataset:
    """Return images ``(rows, 1, height, width)`` and labels ``(rows,)``."""
    return TensorDataset(torch.tensor(x[kept]).float()[:, None], torch.tensor(y[kept]).long())


class Classifier(pl.LightningModule):
    """Three convolutional blocks and a head.

    Args:
        backbone: a checkpoint of this class, whose blocks are taken; the head is always new.
        frozen: so many blocks, from the input on, stay as they are.
        decay: a block's lr is that of the layer above it, times this.
        lr: of the head.
        width: channels of the first block.
    """

    def __init__(
        self,
        backbone: Path | None = None,
        frozen: int = 0,
        decay: float = 1.0,
        lr: float = 2e-3,
        width: int = 16,
    ) -> None:
        super().__init__()
        self.save_hyperparameters(ignore="backbone")  # its weights are in the checkpoint
        self.blocks = nn.ModuleList(
            [block(1, width), block(width, 2 * width), block(2 * width, 4 * width)]
        )
        self.head = nn.Linear(4 * width, N_CLASSES)
        if backbone is not None:
            pretrained = Classifier.load_from_checkpoint(
                backbone, map_location="cpu", weights_only=True
            )
            self.blocks.load_state_dict(pretrained.blocks.state_dict())
        self.frozen = self.blocks[:frozen].requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits, ``(rows, classes)``."""
        for one in self.blocks:
            x = one(x)
        return self.head(x.mean(dim=(2, 3)))

    def on_train_epoch_start(self) -> None:
        """Keep the running statistics of frozen blocks too."""
        self.frozen.eval()

    def training_step(self, batch: tuple[Tensor, Tensor], index: int) -> Tensor:
        x, y = batch
        return cross_entropy(self(x), y)

    def validation_step(self, batch: tuple[Tensor, Tensor], index: int) -> None:
        self.judge(batch, "val")

    def test_step(self, batch: tuple[Tensor, Tensor], index: int) -> None:
        self.judge(batch, "test")

    def judge(self, batch: tuple[Tensor, Tensor], split: str) -> None:
        """Log accuracy and loss."""
        x, y = batch
        outputs = self(x)
        self.log(f"{split}_acc", (outputs.argmax(1) == y).float().mean())
        self.log(f"{split}_loss", cross_entropy(outputs, y))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Give every layer its lr."""
        layers = [self.head, *reversed(self.blocks)]
        groups = [
            {"params": layer.parameters(), "lr": self.hparams.lr * self.hparams.decay**depth}
            for depth, layer in enumerate(layers)
        ]
        return torch.optim.AdamW(groups)


def block(n_in: int, n_out: int) -> nn.Sequential:
    """Return a convolution that halves height and width."""
    convolution = nn.Conv2d(n_in, n_out, 3, padding=1, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(n_out), nn.ReLU(), nn.MaxPool2d(2))
