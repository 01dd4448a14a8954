"""Anomaly detection with an autoencoder: it learns normal rows, and fails to rebuild the others.

hpo run examples/anomalies/study.yaml --plugin examples/anomalies/autoencoder.py
"""

from itertools import pairwise

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset
from torchmetrics.classification import BinaryAUROC

N_SENSORS = 12
N_STATES = 3


class Sensors(pl.LightningDataModule):
    """Twelve sensors of one machine, moved by three hidden states: ten rows of a hundred are odd.

    Training rows are normal, all of them. Of an odd row, two sensors show what belongs to another
    row: every value is usual, only their combination is not.
    """

    def __init__(self, n_train: int = 2000, batch_size: int = 64, seed: int = 0) -> None:
        super().__init__()
        self.n_train = n_train
        self.batch_size = batch_size
        self.seed = seed

    def setup(self, stage: str) -> None:
        """Measure; scale by the training rows alone."""
        generator = np.random.default_rng(self.seed)
        mixing = generator.normal(0, 1, (2, N_STATES, N_SENSORS))

        def measure(n_rows: int) -> np.ndarray:
            states = generator.normal(0, 1, (n_rows, N_STATES))
            clean = np.tanh(states @ mixing[0]) + 0.5 * states @ mixing[1]
            return clean + generator.normal(0, 0.1, clean.shape)

        normal = measure(self.n_train)
        centre, scale = normal.mean(axis=0), normal.std(axis=0)
        self.train = TensorDataset(torch.tensor((normal - centre) / scale).float())
        self.judged = {}
        for split in ("val", "test"):
            x, is_odd = measure(500), np.arange(500) < 50
            for row in x[:50]:
                sensors = generator.choice(N_SENSORS, 2, replace=False)
                row[sensors] = x[generator.integers(50, 500), sensors]
            rows = torch.tensor((x - centre) / scale).float()
            self.judged[split] = TensorDataset(rows, torch.tensor(is_odd).int())

    def train_dataloader(self) -> DataLoader:
        return DataLoader(self.train, self.batch_size, shuffle=True)

    def val_dataloader(self) -> DataLoader:
        return DataLoader(self.judged["val"], 500)

    def test_dataloader(self) -> DataLoader:
        return DataLoader(self.judged["test"], 500)


class Autoencoder(pl.LightningModule):
    """Squeeze a row through a few numbers and rebuild it; noise on its input makes that robust."""

    def __init__(
        self,
        bottleneck: int = 2,
        width: int = 32,
        n_layers: int = 1,
        noise: float = 0.1,
        lr: float = 1e-3,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        outward = [N_SENSORS, *[width] * n_layers, bottleneck]
        self.encode = dense(outward)
        self.decode = dense(outward[::-1])
        self.auc = BinaryAUROC()

    def forward(self, x: Tensor) -> Tensor:
        """Return how odd each row is, ``(rows,)``: the mean squared error of its rebuilding."""
        return (self.decode(self.encode(x)) - x).square().mean(dim=1)

    def training_step(self, batch: tuple[Tensor], index: int) -> Tensor:
        (x,) = batch
        noisy = x + self.hparams.noise * torch.randn_like(x)
        return (self.decode(self.encode(noisy)) - x).square().mean()

    def validation_step(self, batch: tuple[Tensor, Tensor], index: int) -> None:
        self.judge(batch, "val")

    def test_step(self, batch: tuple[Tensor, Tensor], index: int) -> None:
        self.judge(batch, "test")

    def judge(self, batch: tuple[Tensor, Tensor], split: str) -> None:
        """Log the area under the ROC curve, and the error of the normal rows alone."""
        x, is_odd = batch
        oddness = self(x)
        self.auc.update(oddness, is_odd)
        self.log(f"{split}_auc", self.auc)
        self.log(f"{split}_error", oddness[is_odd == 0].mean())

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), lr=self.hparams.lr)


def dense(widths: list[int]) -> nn.Sequential:
    """Return dense layers of these widths, with an activation between each two."""
    layers: list[nn.Module] = []
    for n_in, n_out in pairwise(widths):
        layers += [nn.Linear(n_in, n_out), nn.SiLU()]
    return nn.Sequential(*layers[:-1])
