"""Level 3: the recorded value is one that fresh seeds of the same config give, and no fluke."""

import math
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from hpo.best import SHARE_METRICS, BestConfig
from hpo.errors import TrialFailed, UsageError
from hpo.layout import StudyFolder
from hpo.records import config_sha256, read_record
from hpo.reseed.planning import RESULT, Outcome, fresh_seeds
from hpo.retrain import retrain
from hpo.seeds import read_seeds
from hpo.statistics import mean_interval
from hpo.verify.checks import Check, differs, equal, unknown
from hpo.words import number

FEWEST = 3
"""Values below which a spread means nothing."""
Values = dict[int, float]


@dataclass(frozen=True, kw_only=True)
class Seeds:
    """Which fresh seeds are wanted, and how those that lack are trained."""

    n: int
    kept: Values
    """What is recorded of them already."""
    sets: Sequence[str] = ()
    """``path=value`` each: where the data lie."""
    fresh: bool = True
    """Train each in a process of its own."""
    say: Callable[[str], None] = lambda line: None
    """Told of every seed that is trained here."""


def check_luck(best: BestConfig, file: Path, plan: Seeds) -> Check:
    """Check that the recorded value lies within the prediction interval of fresh seeds.

    Runs of `hpo evaluate --seeds` are used where they are sound; what lacks is trained here, and
    thrown away.
    """
    values = dict(plan.kept)
    failed: list[str] = []
    own = {int(best.seeds["trial"])}
    for seed in fresh_seeds(plan.n, taken=own):
        count = len(values) + len(failed)
        if seed in values or count >= plan.n:
            continue
        plan.say(f"training fresh seed {count + 1} of {plan.n}…")
        value = _trained(file, [*plan.sets, f"seed={seed}"], failed, fresh=plan.fresh)
        if value is not None:
            values[seed] = value
    return _judged(best, values, kept=len(plan.kept), failed=failed)


def recorded_values(best: BestConfig, folder: StudyFolder) -> Values:
    """Return what sound runs of `hpo evaluate --seeds` came to with this config, by seed."""
    try:
        record = read_seeds(folder)
    except UsageError:  # damaged: they are trained here
        return {}
    config = record.config(int(best.study["trial"])) if record else None
    if config is None or config.config_sha256 != best.config_sha256:
        return {}
    return {
        run.seed: run.value
        for run in config.runs
        if run.value is not None and _sound(best, folder.path / run.folder, run.seed, run.value)
    }


def _sound(best: BestConfig, place: Path, seed: int, value: float) -> bool:
    """Return whether a run's own record says the same, of the same config with that seed."""
    try:
        found = read_record(place / RESULT, Outcome)
    except UsageError:
        return False
    same = found.config_sha256 == config_sha256({**best.config, "seed": seed})
    return same and found.run is not None and found.run.value == value


def _trained(file: Path, sets: Sequence[str], failed: list[str], *, fresh: bool) -> float | None:
    with tempfile.TemporaryDirectory(prefix="hpo-verify-") as place:
        try:
            done = retrain(file, Path(place) / "run", overrides=sets, fresh=fresh)
        except TrialFailed as error:
            failed.append(f"{error.reason}: {error.what}")
            return None
        return done.result.value


def _judged(best: BestConfig, values: Values, *, kept: int, failed: Sequence[str]) -> Check:
    found = mean_interval(list(values.values())) if values else None
    if found is None or found.n < FEWEST or found.high is None or found.low is None:
        what = f"{len(values)} seeds gave a value; an interval needs {FEWEST}"
        hint = f"--seeds {FEWEST} or more"
        if failed:
            return differs(3, "fresh seeds", f"{len(failed)} failed: {failed[0]}", hint)
        return unknown(3, "fresh seeds", what, hint)
    low, high = prediction_ends(best, found.mean, (found.high - found.low) / 2, found.n)
    name, value = best.metric["name"], best.metric["value"]
    seeds = f"{found.n} fresh seeds" + (f", {kept} of them recorded" if kept else "")
    seeds += f", {len(failed)} failed" if failed else ""
    interval = f"{number(low)} to {number(high)}"
    if low <= value <= high:
        text = f"{name} {number(value)} lies within {interval}, where 95 % of the seeds lie"
        return equal(3, "fresh seeds", f"{text} (mean {number(found.mean)}, {seeds})")
    text = f"metric.value: expected within {interval} (95 %, {seeds}), found {value!r}"
    hint = "the value is luck: hpo evaluate STUDY --seeds 5 chooses by the mean over seeds"
    return differs(3, "fresh seeds", text, hint)


def prediction_ends(best: BestConfig, mean: float, half: float, n: int) -> tuple[float, float]:
    """Return the interval in which one more value lies with 95 % probability.

    Of n values that are normal it is ``mean ± t sd √(1 + 1/n)``: √(n + 1) times as wide as that of
    the mean. It is never narrower than one validation row, the smallest step of a share.

    Args:
        best: whose metric it is of.
        mean: of the values.
        half: half of the interval of their mean.
        n: how many they are.
    """
    rows = best.metric["n_examples"]
    step = 1 / rows if rows and best.metric["name"] in SHARE_METRICS else 0.0
    wide = max(half * math.sqrt(n + 1), step * (1 + 1e-9))
    if not step:
        return mean - wide, mean + wide
    return max(mean - wide, 0.0), min(mean + wide, 1.0)
