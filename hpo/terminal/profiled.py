"""Where the time of a study went, as a table; no torch, no Optuna."""

from collections.abc import Mapping

from hpo.profile import ProfileRecord
from hpo.words import duration
from lightning_modules.phases import PHASES


def profile_lines(profile: ProfileRecord) -> list[str]:
    """Return a line for each phase: seconds and share, of the supervisor and of its children.

    >>> for line in profile_lines(ProfileRecord(
    ...     study="digits", trials=4, workers=2, wall_seconds=2.0, created_utc="",
    ...     supervisor={"storage": 0.5, "waiting": 1.5},
    ...     children={"training": 3.0, "waiting": 1.0})):
    ...     print(line)
    where the time went: 2.0s, 4 trials
                      supervisor         2 children
      storage       0.50 s  25 %       0.00 s   0 %
      training      0.00 s   0 %       3.00 s  75 %
      waiting       1.50 s  75 %       1.00 s  25 %
    """
    sides = {"supervisor" if profile.workers else "this process": profile.supervisor}
    if profile.workers:
        word = "child" if profile.workers == 1 else "children"
        sides[f"{profile.workers} {word}"] = profile.children
    told = "trial" if profile.trials == 1 else "trials"
    wall = profile.wall_seconds
    known = [*PHASES, *(name for name in profile.supervisor if name not in PHASES)]
    return [
        f"where the time went: {duration(wall)}, {profile.trials} {told}",
        f"  {'':10}" + "".join(f"{name:>{16 if i == 0 else 19}}" for i, name in enumerate(sides)),
        *(
            f"  {name:10}" + "   ".join(_cell(side, name) for side in sides.values())
            for name in known
            if any(side.get(name) for side in sides.values())
        ),
    ]


def _cell(side: Mapping[str, float], name: str) -> str:
    """Return seconds and share of a phase: 16 cells."""
    seconds, whole = side.get(name, 0.0), sum(side.values())
    return f"{seconds:8.2f} s {seconds / whole if whole else 0.0:4.0%}".replace("%", " %")
