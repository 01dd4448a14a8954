"""Made-up data of every kind: a function of their settings alone."""

import numpy as np
import pandas as pd
from sklearn import datasets

from lightning_modules.data.kinds import ragged
from lightning_modules.data.raw import RawData
from lightning_modules.data.synthetic_config import (
    MoonsConfig,
    MultilabelPointsConfig,
    SeasonalConfig,
    SentencesConfig,
    SequenceSumConfig,
    ShapesConfig,
    SyntheticConfig,
)

SIDE = 16
SHAPES = ("circle", "square", "triangle")
SEASONS = (24, 168)
MARGIN = 0.2
"""How far a sum is from 0 at least, so that its sign can be told."""

_SUBJECTS = ("film", "hotel", "meal", "book", "concert", "garden", "journey", "lesson")
_WHENS = ("today", "on monday", "last week", "in the evening", "this year", "after all")
_WORDS = {
    "good": ("good", "lovely", "great", "pleasant", "clever"),
    "bad": ("bad", "awful", "dull", "sad", "boring"),
}
_NEGATIONS = ("not", "never")


def load_shapes(config: ShapesConfig) -> RawData:
    """Return grey images ``(rows, 1, 16, 16)`` of shapes of any size and place, with noise."""
    generator = _generator(config)
    kinds = generator.integers(len(SHAPES), size=config.n_rows)
    down, across = np.mgrid[0:SIDE, 0:SIDE]
    images = np.empty((config.n_rows, 1, SIDE, SIDE), dtype=np.float32)
    for image, kind in zip(images, kinds, strict=True):
        size = generator.uniform(3.0, 6.0)
        top, left = generator.uniform(size, SIDE - 1 - size, size=2)
        y, x = down - top, across - left
        inside = {
            "circle": y**2 + x**2 <= size**2,
            "square": (abs(y) <= 0.85 * size) & (abs(x) <= 0.85 * size),
            "triangle": (y <= 0.85 * size) & (y >= 2 * abs(x) - size),
        }[SHAPES[kind]]
        noise = generator.normal(scale=0.1, size=(SIDE, SIDE))
        image[0] = inside * generator.uniform(0.5, 1.0) + noise
    labels = np.array(SHAPES, dtype=object)[kinds]
    return RawData(x=images, y=labels, where="shapes")


def load_moons(config: MoonsConfig) -> RawData:
    """Return points of two half circles in each other, two numbers a row."""
    x, y = datasets.make_moons(config.n_rows, noise=0.2, random_state=config.data_seed)
    labels = np.array(["lower", "upper"], dtype=object)[1 - y]
    return RawData(x=pd.DataFrame(x, columns=["across", "up"]), y=labels, where="moons")


def load_multilabel_points(config: MultilabelPointsConfig) -> RawData:
    """Return counts ``(rows, 16)``, and which of 5 labels each row has: two on average."""
    x, y = datasets.make_multilabel_classification(
        config.n_rows, n_features=16, n_labels=2, random_state=config.data_seed
    )
    names = [f"label {i + 1}" for i in range(y.shape[1])]
    frame = pd.DataFrame(x, columns=[f"count {i + 1}" for i in range(x.shape[1])])
    return RawData(x=frame, y=y, where="multilabel_points", target_names=names)


def load_sequence_sum(config: SequenceSumConfig) -> RawData:
    """Return sequences of 5 to 20 steps: numbers, and marks of which there are one to four."""
    generator = _generator(config)
    rows, labels = [], []
    for _ in range(config.n_rows):
        length = int(generator.integers(5, 21))
        numbers, marks = generator.uniform(-1, 1, size=length), np.zeros(length)
        marked = generator.permutation(length)[: generator.integers(1, 5)]
        marks[marked] = 1
        total = numbers[marked].sum()
        numbers[marked[0]] += MARGIN if total > 0 else -MARGIN
        rows.append(np.stack([numbers, marks], axis=1))
        labels.append("above" if total > 0 else "below")
    y = np.array(labels, dtype=object)
    return RawData(x=ragged(rows), y=y, where="sequence_sum")


def load_seasonal(config: SeasonalConfig) -> RawData:
    """Return a series of two seasons, a trend and noise; there is no column beside it."""
    generator = _generator(config)
    steps = np.arange(config.n_rows)
    day, week = (2 * np.pi * steps / season for season in SEASONS)
    series = 20 + 0.005 * steps + 5 * np.sin(day) + 2 * np.sin(2 * day + 1) + 3 * np.sin(week)
    series += generator.normal(scale=0.5, size=config.n_rows)
    return RawData(x=pd.DataFrame(index=range(config.n_rows)), y=series, where="seasonal")


def load_sentences(config: SentencesConfig) -> RawData:
    """Return opinions: what is said of a thing, perhaps negated, perhaps after a promise."""
    generator = _generator(config)
    labels = generator.integers(2, size=config.n_rows)
    texts = [_sentence(("bad", "good")[label], generator) for label in labels]
    y = np.array(["negative", "positive"], dtype=object)[labels]
    return RawData(x=np.array(texts, dtype=object), y=y, where="sentences")


def _sentence(meant: str, generator: np.random.Generator) -> str:
    """Return a sentence that means ``good`` or ``bad``."""

    def one(words: tuple[str, ...]) -> str:
        return words[int(generator.integers(len(words)))]

    other = "good" if meant == "bad" else "bad"
    no, really = one(_NEGATIONS), one(("", "really "))
    said = (
        f"{really}{one(_WORDS[meant])}",
        f"{no} {really}{one(_WORDS[other])}",
        f"{no} {one(_WORDS[other])} but {one(_WORDS[meant])}",
    )[int(generator.integers(3))]
    promise = f"they promised us a {one(_WORDS[one(('good', 'bad'))])} time . "
    before = promise if generator.random() < 0.5 else ""
    return f"{before}{one(_WHENS)} the {one(_SUBJECTS)} was {said} ."


def _generator(config: SyntheticConfig) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(config.data_seed)))
