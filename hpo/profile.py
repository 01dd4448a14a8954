"""Where the time of a call of `hpo run --profile` went: ``profile.json`` of a study. No torch."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from hpo.files import write_json
from hpo.layout import StudyFolder
from hpo.records import now_utc
from lightning_modules.phases import Stopwatch


class ProfileRecord(BaseModel):
    """Seconds by what they were spent on (`lightning_modules.phases`)."""

    model_config = ConfigDict(frozen=True, extra="allow")

    schema_name: Literal["hpo.profile/1"] = Field("hpo.profile/1", alias="schema")
    study: str
    trials: int
    """Those that ended in this call."""
    workers: int
    """How many trials were trained at once; 0 is in the supervisor's own process."""
    wall_seconds: float
    supervisor: dict[str, float]
    """They add up to the wall time; without workers the training is among them."""
    children: dict[str, float]
    """Of all children; they add up to the wall time of so many workers. Empty without workers."""
    created_utc: str


def profile_of(study: str, watch: Stopwatch, *, trials: int, workers: int) -> ProfileRecord:
    """Return what a stopwatch counted, after it stopped; a child that had no trial was waiting."""
    supervisor = {**watch.seconds}
    wall = sum(supervisor.values())
    children: dict[str, float] = {}
    if workers:
        idle = max(workers * wall - sum(watch.children.values()), 0.0)
        children = {**watch.children, "waiting": watch.children.get("waiting", 0.0) + idle}
    return ProfileRecord(
        schema="hpo.profile/1",
        study=study,
        trials=trials,
        workers=workers,
        wall_seconds=round(wall, 6),
        supervisor={name: round(seconds, 6) for name, seconds in supervisor.items()},
        children={name: round(seconds, 6) for name, seconds in children.items()},
        created_utc=now_utc(),
    )


def write_profile(folder: StudyFolder, profile: ProfileRecord) -> None:
    """Write ``profile.json``, in the place of that of an earlier call."""
    write_json(folder.profile, profile.model_dump(mode="json", by_alias=True))
