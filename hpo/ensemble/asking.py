"""What is asked of an ensemble; no torch."""

from dataclasses import dataclass

from hpo.errors import UsageError
from hpo.ship.combined import METHODS, Method
from lightning_modules.registry import suggest


@dataclass(frozen=True, kw_only=True)
class Ask:
    """What is asked for: of how many of the best trials, by which method."""

    method: Method = "greedy"
    top: int = 10
    keep: bool = False
    """Let it predict even if it is not better than the single best."""

    def refuse(self) -> None:
        """Check what is asked for.

        Raises:
            UsageError: if there is no such method, or fewer than two trials are no ensemble.
        """
        if self.method not in METHODS:
            hint = suggest(self.method, list(METHODS))
            raise UsageError("--method", f"no method {self.method!r}", hint)
        if self.top < 2:
            what = f"{self.top} trials are no ensemble"
            raise UsageError("--top", what, "give 2 or more; 10 keep their weights")
