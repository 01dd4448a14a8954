"""Write a folder of short WAV files: a sub-folder each of tones, rising and falling chirps, noise.

python examples/audio/make.py data/sounds
"""

import argparse
from pathlib import Path

import numpy as np
import soundfile

RATE = 8000


def main() -> None:
    """Write so many files of each kind; the same seed writes the same sounds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--files", type=int, default=60, help="of each kind")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    generator = np.random.default_rng(given.seed)
    for kind in ("falling", "noise", "rising", "tone"):
        (given.folder / kind).mkdir(parents=True, exist_ok=True)
        for number in range(given.files):
            file = given.folder / kind / f"{number:03}.wav"
            soundfile.write(file, sound(kind, generator), RATE)
    print(f"{4 * given.files} files in {given.folder}")


def sound(kind: str, generator: np.random.Generator) -> np.ndarray:
    """Return a sound between 0.3 and 0.6 seconds long in a noisy room, ``(samples,)``."""
    n_samples = generator.integers(int(0.3 * RATE), int(0.6 * RATE))
    low, high = generator.uniform(300, 900), generator.uniform(1200, 3000)
    ends = {"rising": (low, high), "falling": (high, low), "tone": (high, high)}
    if kind == "noise":
        heard = generator.normal(0, 0.3, n_samples)
    else:
        pitch = np.geomspace(*ends[kind], n_samples)
        heard = 0.3 * np.sin(2 * np.pi * np.cumsum(pitch) / RATE)
    loudness = generator.uniform(0.3, 1) * np.hanning(n_samples)
    room = generator.normal(0, 0.05, n_samples)
    return np.clip(loudness * heard + room, -1, 1)


if __name__ == "__main__":
    main()
