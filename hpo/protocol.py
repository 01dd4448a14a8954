"""What supervisor and child say to each other, as JSON: orders, reports, ends."""

from typing import Any, Literal

from pydantic import Field

from hpo.choice import FamilyChoice, FamilyOrder, Machine
from hpo.records import Reason
from lightning_modules.result import RunResult
from lightning_modules.settings import Settings


class TrialOrder(Settings):
    """Train this config into that folder; go on where an abandoned attempt in it stopped."""

    number: int
    study: str = ""
    """Its name, for what a person reads."""
    config: dict[str, Any]
    """A complete RunConfig."""
    folder: str
    plugins: list[str]
    """Files and modules that define names used in the config."""
    cache: str | None
    """Where prepared data are shared between children; None keeps them in this process."""
    log: str | None
    """Where a child of its own writes what libraries and modules say."""
    gpus: list[str] | None = None
    """The only GPUs that its processes see; None hides none."""
    rank: int = 0
    """Which of the trial's processes this one is; the first one alone reports and records."""
    meeting: str | None = None
    """A file through which several processes find each other; it is not there before."""
    loggers: list[str] = Field(default_factory=list)
    """By their names in `hpo.loggers`: what the trial logs goes there too."""
    limits: dict[str, float] = Field(default_factory=dict)
    """The most that a config may cost, by the name of what is measured before it is trained."""
    memory_bytes: float | None = None
    """What its process may hold; None is the memory of the machine."""
    asked_s: float | None = None
    """When it was asked, by the machine's monotonic clock, of a child that is to say where its
    time went; None asks nothing of it."""


class TrialEnd(Settings):
    """How a trial ended, as the child saw it, or as its death was seen."""

    number: int
    outcome: Literal["result", "failed", "abandoned", "killed"]
    """``killed`` is no fault of the config: the machine, or somebody on it, ended the child."""
    result: RunResult | None = None
    """Of the first process; the others have none."""
    reason: Reason | None = None
    what: str = ""
    traceback: str = ""
    failed_s: float | None = None
    """When it failed, by the machine's monotonic clock: of several processes, who came first."""
    measured: dict[str, float] = Field(default_factory=dict)
    """What the limits were held against."""
    violation: float = 0.0
    """By how much they are exceeded, as shares of the limits, added up."""
    phases: dict[str, float] = Field(default_factory=dict)
    """Where the time of its child went: seconds by `lightning_modules.phases`, if it was asked."""


class ProbeOrder(Settings):
    """Try some configs before a study trains any."""

    configs: list[dict[str, Any]]
    """A few batches of each are trained."""
    others: list[dict[str, Any]]
    """Their data are prepared, and their precision is looked at; nothing is trained."""
    plugins: list[str]
    n_batches: int
    limits: dict[str, float] = Field(default_factory=dict)
    """What trials will be measured by; here it is only asked whether they can be."""
    families: list[FamilyOrder] = Field(default_factory=list)
    """For which it is measured how they are computed."""


class ProbeEnd(Settings):
    """What the batches showed, or why they could not be trained."""

    probes: list[dict[str, float]]
    data: dict[str, str | None]
    """Hashes of the first config's data."""
    mistake: tuple[str, str, str] | None = None
    """Where, what, hint of the user's mistake."""
    choices: list[FamilyChoice] = Field(default_factory=list)
    """Of each family that was to be measured."""
    machine: Machine | None = None
    """Which measured them."""
