"""Options: how much is measured; the same for every program of this package."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Options:
    """How much is measured. ``None`` leaves the number to the program."""

    rounds: int | None = None
    """How often the rivals take turns."""
    seeds: int | None = None
    """How many seeds of the search."""
    minutes: float | None = None
    """Wall time given to each rival (P7)."""
    quick: bool = False
    """Shrunken, seconds in all: shows that the program runs, its figures mean nothing."""
    gpu: bool = False
    """Train on the GPU, where that is what is compared."""

    def take(self, given: int | None, default: int, quick: int = 1) -> int:
        """Return the number given, else the default; a smaller one where it is to be quick.

        >>> Options(rounds=7).take(7, 5), Options().take(None, 5), Options(quick=True).take(None, 5)
        (7, 5, 1)
        """
        if given is not None:
            return given
        return quick if self.quick else default

    @property
    def accelerator(self) -> str:
        """What every program trains on."""
        return "gpu" if self.gpu else "cpu"

    @property
    def said(self) -> str:
        """The options as on a command line, those that were given.

        >>> Options(rounds=3, quick=True).said
        ' --rounds 3 --quick'
        """
        numbers = {"rounds": self.rounds, "seeds": self.seeds, "minutes": self.minutes}
        words = [f" --{name} {value:g}" for name, value in numbers.items() if value is not None]
        return "".join([*words, *[" --gpu"] * self.gpu, *[" --quick"] * self.quick])
