"""What supervisor and child say to each other about a trial: an order, reports, an end."""

from typing import Any, Literal

from hpo.records import Reason
from lightning_modules.result import RunResult
from lightning_modules.settings import Settings


class TrialOrder(Settings):
    """Train this config into that folder."""

    number: int
    config: dict[str, Any]
    """A complete RunConfig."""
    folder: str
    plugins: list[str]
    """Files and modules that define names used in the config."""


class TrialEnd(Settings):
    """How a trial ended, as the child saw it."""

    number: int
    outcome: Literal["result", "failed", "abandoned"]
    result: RunResult | None = None
    reason: Reason | None = None
    what: str = ""
    traceback: str = ""
