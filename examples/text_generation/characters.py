"""Text, character by character, by a small transformer: how many bits does the next one cost?

hpo run examples/text_generation/study.yaml --plugin examples/text_generation/characters.py
"""

import math
import random

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset

ALPHABET = "\n ,.abcdefghijklmnopqrstuvwxyz"
GRAMMAR = {
    "line": ["{who} {does} {where}.", "{when}, {who} {does}.", "{when} {who} {does} {where}."],
    "who": ["the {what}", "a {what}", "an old {what}", "the {what} and the {what}"],
    "what": ["miller", "fox", "king", "raven", "fisherman", "moon", "river", "tailor"],
    "does": ["sleeps", "waits for {who}", "sings to {who}", "looks for {who}", "grows silent"],
    "where": ["in the wood", "by the sea", "behind the hill", "under a {colour} sky"],
    "when": ["at night", "every morning", "once a year", "when {who} {does}"],
    "colour": ["grey", "golden", "pale"],
}


def speak(rule: str, generator: random.Random) -> str:
    """Return what the grammar makes of a rule."""
    words = generator.choice(GRAMMAR[rule])
    while "{" in words:
        before, _, rest = words.partition("{")
        inner, _, after = rest.partition("}")
        words = before + speak(inner, generator) + after
    return words


class Tales(pl.LightningDataModule):
    """Lines of a tiny grammar, cut into windows of characters; those of validation are others."""

    def __init__(
        self, n_lines: int = 3000, length: int = 64, batch_size: int = 32, seed: int = 0
    ) -> None:
        super().__init__()
        self.n_lines, self.length, self.batch_size = n_lines, length, batch_size
        self.seed = seed

    def setup(self, stage: str) -> None:
        """Write the text; the last fifth of its lines is split between validation and test."""
        generator = random.Random(self.seed)
        lines = [speak("line", generator) for _ in range(self.n_lines)]
        first, second = int(0.8 * self.n_lines), int(0.9 * self.n_lines)
        self.train = self.windows(lines[:first])
        self.validation = self.windows(lines[first:second])
        self.test = self.windows(lines[second:])

    def windows(self, lines: list[str]) -> TensorDataset:
        """Return token numbers ``(windows, length + 1)``: each token's target is the next one."""
        tokens = torch.tensor(encode("\n".join(lines)))
        return TensorDataset(torch.stack(tokens.split(self.length + 1)[:-1]))

    def train_dataloader(self) -> DataLoader:
        return DataLoader(self.train, self.batch_size, shuffle=True)

    def val_dataloader(self) -> DataLoader:
        return DataLoader(self.validation, 128)

    def test_dataloader(self) -> DataLoader:
        return DataLoader(self.test, 128)


def encode(text: str) -> list[int]:
    """Return the numbers of the characters."""
    return [ALPHABET.index(character) for character in text]


class Transformer(pl.LightningModule):
    """A decoder that sees only what came before (Radford et al., 2019, much smaller)."""

    def __init__(
        self,
        width: int = 48,
        n_layers: int = 2,
        n_heads: int = 4,
        dropout: float = 0.0,
        lr: float = 3e-3,
        longest: int = 64,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.tokens = nn.Embedding(len(ALPHABET), width)
        self.places = nn.Embedding(longest, width)
        layer = nn.TransformerEncoderLayer(
            width, n_heads, 4 * width, dropout, "gelu", batch_first=True, norm_first=True
        )
        self.layers = nn.TransformerEncoder(layer, n_layers, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(width)
        self.last = nn.Linear(width, len(ALPHABET))

    def forward(self, tokens: Tensor) -> Tensor:
        """Return the logits of what follows each token, ``(windows, length, characters)``."""
        length = tokens.shape[1]
        x = self.tokens(tokens) + self.places(torch.arange(length, device=self.device))
        mask = nn.Transformer.generate_square_subsequent_mask(length, device=self.device)
        return self.last(self.norm(self.layers(x, mask=mask, is_causal=True)))

    def loss(self, batch: list[Tensor]) -> Tensor:
        (tokens,) = batch
        return cross_entropy(self(tokens[:, :-1]).transpose(1, 2), tokens[:, 1:])

    def training_step(self, batch: list[Tensor], index: int) -> Tensor:
        return self.loss(batch)

    def validation_step(self, batch: list[Tensor], index: int) -> None:
        self.log("val_bits", self.loss(batch) / math.log(2))

    def test_step(self, batch: list[Tensor], index: int) -> None:
        self.log("test_bits", self.loss(batch) / math.log(2))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self.parameters(), lr=self.hparams.lr)

    @torch.inference_mode()
    def write(self, prompt: str, n_characters: int, *, temperature: float, seed: int) -> str:
        """Go on with ``prompt``: one character after the other, drawn from what is predicted."""
        generator = torch.Generator().manual_seed(seed)
        tokens = torch.tensor([encode(prompt)])
        for _ in range(n_characters):
            logits = self(tokens[:, -self.hparams.longest :])[0, -1] / temperature
            drawn = torch.multinomial(logits.softmax(0), 1, generator=generator)
            tokens = torch.cat([tokens, drawn[None]], dim=1)
        return "".join(ALPHABET[token] for token in tokens[0])
