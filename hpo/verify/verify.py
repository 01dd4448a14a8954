"""Verify a best config, level by level, and stamp its file with the outcome."""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from hpo.best import BestConfig
from hpo.errors import HpoError, UsageError
from hpo.layout import DEFAULT_RESULTS, StudyFolder, find_study
from hpo.listing import no_best
from hpo.revise import revise_best
from hpo.verify.checks import Check, Verification
from hpo.verify.hashes import check_hashes
from hpo.verify.machine import MachineClass
from hpo.verify.reading import read_claimed

LEVELS = ("schema and hashes", "re-scored", "trained again", "fresh seeds")
QUICK = 1
"""The level up to which is verified unless another is asked for."""
N_SEEDS = 5


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What a verification shall do."""

    level: int = QUICK
    """Levels 0 to this one."""
    n_seeds: int | None = None
    """Fresh seeds of level 3; None is as many as are recorded, and five at least."""
    sets: Sequence[str] = ()
    """``path=value`` each: where the data lie on this machine."""
    stamp: bool = True
    """Whether the file is stamped."""
    fresh: bool = True
    """Train in processes of their own, as far as what is trained can be brought there."""
    say: Callable[[str], None] = lambda line: None
    """Told what takes time."""


def verify_best(
    place: str | Path,
    *,
    level: int = QUICK,
    seeds: int | None = None,
    sets: Sequence[str] = (),
    results: str | Path = DEFAULT_RESULTS,
    stamp: bool = True,
) -> Verification:
    """Verify a ``best_config.json``, or that of a study.

    Args:
        place: the file, a study's folder, or a study's name.
        level: 0 hashes, 1 the checkpoint's score too, 2 another training too, 3 fresh seeds too.
        seeds: how many fresh seeds; as many as are recorded, and five at least, by default.
        sets: ``path=value`` each, such as ``data.path=/elsewhere/table.csv``.
        results: the folder of all studies.
        stamp: write the outcome into the file, under ``verified``.

    Raises:
        UsageError: if there is no such file or study, it is another kind of file, or there is no
            such level.
        StudyError: if no trial of the study is complete.
    """
    wanted = Wanted(level=level, n_seeds=seeds, sets=sets, stamp=stamp)
    return verify_file(file_of(str(place), Path(results)), wanted)


def highest_level(level: int | None, *, full: bool, seeds: int | None) -> int:
    """Return the level up to which the options of a user ask for.

    Raises:
        UsageError: if they contradict each other.
    """
    top = len(LEVELS) - 1
    if level is None:
        return top if full or seeds is not None else QUICK
    if level != top and (full or seeds is not None):
        other = "--full" if full else "--seeds"
        raise UsageError("--level", f"{level} and {other} exclude each other", "leave one out")
    return level


def file_of(place: str, results: Path) -> Path:
    """Return the ``best_config.json`` that a user names: itself, its folder, or its study.

    Raises:
        UsageError: if there is none.
        StudyError: if no trial of the study is complete.
    """
    path = Path(place)
    if os.path.isfile(path):  # False for what is too long for a path, too
        return path
    if path.suffix == ".json":
        raise UsageError(place, "no such file", "name a best_config.json, or a study")
    if os.path.isfile(path / "best_config.json"):
        return path / "best_config.json"
    folder = find_study(place, results)
    if not folder.best_config.is_file():
        raise no_best(folder)
    return folder.best_config


def verify_file(file: Path, wanted: Wanted) -> Verification:
    """Carry out the checks, level by level, up to the first level that says no; stamp the file.

    Raises:
        UsageError: if the file is another kind of file, there is no such level, or a setting is
            no matter of this machine.
    """
    _refuse(wanted)
    best, checks = read_claimed(file)
    found = Verification(file=file, summary=best.summary if best else "", levels=[0], checks=checks)
    if best is None or found.first_difference is not None:
        return _stamped(found, best, wanted)
    there = MachineClass.recorded(best.environment)
    here = MachineClass.here(device=there.device, threads=there.threads)
    found = replace(found, machine=str(here), other_machine=there.differences(here))
    for level in range(wanted.level + 1):
        exact = best.training["deterministic"] and not found.other_machine
        more = list(_level(level, best, file, wanted, exact=exact))
        levels = sorted({*found.levels, level})
        found = replace(found, checks=[*found.checks, *more], levels=levels)
        if found.first_difference is not None:
            break
    return _stamped(found, best, wanted)


def _refuse(wanted: Wanted) -> None:
    """Check what a user asks for.

    Raises:
        UsageError: if there is no such level, or a setting is no matter of this machine.
    """
    if not 0 <= wanted.level < len(LEVELS):
        hint = "; ".join(f"{i} {name}" for i, name in enumerate(LEVELS))
        raise UsageError("--level", f"there is no level {wanted.level}", hint)
    for setting in wanted.sets:
        if not setting.startswith(("data.", "trainer.accelerator=")):
            hint = "only the place of the data, data.path=FILE, is set here, or trainer.accelerator"
            raise UsageError(f"--set {setting}", "changes what was trained", hint)


def _level(
    level: int, best: BestConfig, file: Path, wanted: Wanted, *, exact: bool
) -> Iterator[Check]:
    """Yield the checks of one level; torch is loaded for the first that needs it."""
    if level == 0:
        yield from check_hashes(best, file)
    elif level == 1:
        from hpo.verify.rescore import check_score

        yield from check_score(best, file, sets=wanted.sets, exact=exact)
    elif level == 2:
        from hpo.verify.training import check_training

        wanted.say(f"training {best.training['epochs_run']:g} epochs again…")
        yield from check_training(best, file, sets=wanted.sets, exact=exact, fresh=wanted.fresh)
    else:
        from hpo.verify.luck import Seeds, check_luck, recorded_values

        kept = recorded_values(best, StudyFolder(file.parent))
        n_seeds = wanted.n_seeds or max(len(kept), N_SEEDS)
        plan = Seeds(n=n_seeds, kept=kept, sets=wanted.sets, fresh=wanted.fresh, say=wanted.say)
        yield check_luck(best, file, plan)


def _stamped(found: Verification, best: BestConfig | None, wanted: Wanted) -> Verification:
    """Write the outcome into the file: a failed one too, or an older stamp would speak for it.

    A file that cannot be read as a best config is left as it is: nothing in it can be trusted.
    """
    readable = best is not None and found.checks[0].outcome == "equal"
    if best is None or not readable or not wanted.stamp:
        return found
    try:
        revise_best(found.file, of=best, changes={"verified": found.stamp()}, reasons={})
    except (OSError, HpoError) as error:
        wanted.say(f"warning: the stamp was not written: {error}")
    return found
