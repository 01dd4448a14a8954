"""A folder of WAV files as data: log-mel spectrograms, made by a data source of your own.

hpo run examples/audio/image.yaml --plugin examples/audio/audio.py
hpo run examples/audio/sequence.yaml --plugin examples/audio/audio.py

Needs soundfile: pip install 'hpo[audio]'
"""

from pathlib import Path
from typing import Literal

import numpy as np
import soundfile
import torch
from torch import Tensor

import hpo

HOP_S, WINDOW_S = 0.01, 0.032


@hpo.source("sounds")
def sounds(
    *,
    path: Path,
    layout: Literal["image", "sequence"] = "image",
    n_mels: int = 32,
    seconds: float = 0.5,
) -> tuple[Tensor, list[str]]:
    """Read a folder of WAV files with a sub-folder for each class.

    Args:
        path: the folder.
        layout: ``image`` for networks of images, ``(1, mels, frames)``; ``sequence`` for those of
            sequences, ``(frames, mels)``.
        n_mels: bands of the mel scale.
        seconds: sounds are cut, or continued by silence, to this length.
    """
    files = sorted(path.glob("*/*.wav"))
    if not files:
        raise FileNotFoundError(f"{path}: holds no */*.wav; give one sub-folder for each class")
    x = torch.stack([log_mel(*read(file, seconds), n_mels) for file in files])
    x = x[:, None] if layout == "image" else x.transpose(1, 2)
    return x, [file.parent.name for file in files]


def read(file: Path, seconds: float) -> tuple[Tensor, int]:
    """Return a sound in mono, ``(samples,)``, and its samples per second."""
    samples, rate = soundfile.read(file, dtype="float32", always_2d=True)
    wanted = np.zeros(int(seconds * rate), dtype="float32")
    kept = samples.mean(axis=1)[: len(wanted)]
    wanted[: len(kept)] = kept
    return torch.from_numpy(wanted), rate


def log_mel(sound: Tensor, rate: int, n_mels: int) -> Tensor:
    """Return the spectrogram in decibels, ``(mels, frames)``."""
    length, hop = int(WINDOW_S * rate), int(HOP_S * rate)
    spectrum = torch.stft(sound, length, hop, window=torch.hann_window(length), return_complex=True)
    power = mel_filters(n_mels, length // 2 + 1, rate) @ spectrum.abs().square()
    return 10 * torch.log10(power + 1e-6)


def mel_filters(n_mels: int, n_frequencies: int, rate: int) -> Tensor:
    """Return triangles that are evenly spaced on the mel scale, ``(mels, frequencies)``."""
    highest = 2595 * np.log10(1 + rate / 2 / 700)
    edges = 700 * (10 ** (np.linspace(0, highest, n_mels + 2) / 2595) - 1)
    low, middle, high = (edges[i : i + n_mels, None] for i in range(3))
    frequencies = np.linspace(0, rate / 2, n_frequencies)
    rising, falling = (frequencies - low) / (middle - low), (high - frequencies) / (high - middle)
    return torch.tensor(np.clip(np.minimum(rising, falling), 0, None)).float()
