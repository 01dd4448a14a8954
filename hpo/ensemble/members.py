"""Which trials may be members: the best ones whose weights are there and who saw the same rows."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hpo.best import BestConfig
from hpo.errors import StudyError, UsageError
from hpo.evaluate import check_file
from hpo.layout import StudyFolder
from hpo.listing import find_trial, load_best
from hpo.local import local_config
from hpo.predict.ensembles import shared_settings
from hpo.records import TrialRecord, ranked, read_record, read_trials
from hpo.ship.combined import LeftOut
from lightning_modules.config import RunConfig
from lightning_modules.data.config import SOURCES
from lightning_modules.folds import of_fold
from lightning_modules.result import DataRecord, RunResult
from lightning_modules.running import BEST_CHECKPOINT

NOT_KEPT = "its weights were not kept (search.keep_checkpoints)"
FOLDS_NOT_KEPT = "the weights of its folds were not kept"


@dataclass(frozen=True, kw_only=True)
class Network:
    """A trained network: that of a trial, or of one of its folds."""

    trial: int
    fold: int | None
    """Counted from 1; None of a trial without folds."""
    config: RunConfig
    folder: Path
    sha256: str
    """Of its checkpoint, as it was recorded."""
    data: DataRecord

    @property
    def checkpoint(self) -> Path:
        """The file of its weights."""
        return self.folder / BEST_CHECKPOINT


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A trial that may be a member, with its network, or one of each fold."""

    record: TrialRecord
    networks: Sequence[Network]

    @property
    def config(self) -> RunConfig:
        """Its config; of folds that of the first one."""
        return self.networks[0].config


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """The trials that may be members, best first, and those that may not."""

    best: BestConfig
    candidates: Sequence[Candidate]
    left_out: Sequence[LeftOut]


def choose_members(folder: StudyFolder, top: int, overrides: Sequence[str] = ()) -> Chosen:
    """Return the best ``top`` trials of a study as candidates.

    Raises:
        StudyError: if no trial is complete, or fewer than two can be members.
        UsageError: if a trial's module or data module is the user's own, or a checkpoint is not the
            one that was recorded.
    """
    best = load_best(folder)
    complete = [record for record in read_trials(folder) if record.has_rank]
    candidates: list[Candidate] = []
    left_out: list[LeftOut] = []
    for record in ranked(complete, best.metric["direction"])[:top]:
        place = folder.trial(record.number)
        config = local_config(record.config, place / "config.json", overrides)
        _refuse_own_code(folder, config)
        networks = list(_networks(folder, record, config))
        why = _gone(networks) or (_differs(candidates[0], record, networks) if candidates else "")
        if why:
            left_out.append(LeftOut(trial=record.number, why=why))
            continue
        for network in networks:
            check_file(network.checkpoint, network.sha256)
        candidates.append(Candidate(record=record, networks=networks))
    if len(candidates) < 2:
        raise _too_few(folder, len(complete), candidates, left_out)
    return Chosen(best=best, candidates=candidates, left_out=left_out)


def networks_of(folder: StudyFolder, number: int, overrides: Sequence[str] = ()) -> list[Network]:
    """Return the network of a trial, or that of each of its folds.

    Raises:
        UsageError: if there is no such trial, or a checkpoint is not the one that was recorded.
    """
    record = find_trial(folder, number)
    config = local_config(record.config, folder.trial(number) / "config.json", overrides)
    found = list(_networks(folder, record, config))
    for network in found:
        check_file(network.checkpoint, network.sha256)
    return found


def _refuse_own_code(folder: StudyFolder, config: RunConfig) -> None:
    if config.whole:
        what = f"{config.family} is a whole LightningModule: what it predicts is its own affair"
        hint = "register its network as a family (@hpo.family), which hpo can combine"
        raise UsageError(folder.name, what, hint)
    if SOURCES[config.source].datamodule is not None:
        what = f"{config.source} is a data module that brings its own preparation"
        hint = "register it as a data source (@hpo.source), which gives (x, y)"
        raise UsageError(folder.name, what, hint)


def _networks(folder: StudyFolder, record: TrialRecord, config: RunConfig) -> Iterator[Network]:
    """Yield the network of a trial; of folds those whose record is there."""
    place, run = folder.trial(record.number), record.run
    if run is None:
        raise TypeError("a complete trial always has a run")
    if config.n_folds is None:
        yield _network(record, None, config, place, run)
        return
    yield _network(record, 1, of_fold(config, 0), place, run)
    for fold in range(1, config.n_folds):
        own = place / f"fold-{fold + 1}"
        if (own / "result.json").is_file():
            found = read_record(own / "result.json", RunResult)
            yield _network(record, fold + 1, of_fold(config, fold), own, found)


def _network(
    record: TrialRecord, fold: int | None, config: RunConfig, folder: Path, run: RunResult
) -> Network:
    return Network(
        trial=record.number,
        fold=fold,
        config=config,
        folder=folder,
        sha256=run.checkpoint.sha256,
        data=run.data,
    )


def _gone(networks: Sequence[Network]) -> str:
    """Return why a trial has no weights; nothing if they are there."""
    if not networks[0].checkpoint.is_file():
        return NOT_KEPT
    n_folds = getattr(networks[0].config.data, "folds", None)
    whole = n_folds is None or len(networks) == n_folds
    prepared = all((one.folder / "preparation.json").is_file() for one in networks)
    there = all(one.checkpoint.is_file() for one in networks)
    return "" if whole and prepared and there else FOLDS_NOT_KEPT


def _differs(first: Candidate, record: TrialRecord, networks: Sequence[Network]) -> str:
    """Return why a trial saw other rows than the first candidate; nothing if it saw the same."""
    of_first = f"not that of trial {first.record.number}"
    ours, theirs = _seen(first.networks[0]), _seen(networks[0])
    for name in {**ours, **theirs}:
        if ours.get(name) != theirs.get(name):
            return f"its {name} is {of_first}"
    for mine, other in zip(first.networks, networks, strict=True):
        if (mine.data.sha256, mine.data.split_sha256) != (
            other.data.sha256,
            other.data.split_sha256,
        ):
            return f"its data or split are {of_first}"
    return ""


def _seen(network: Network) -> dict[str, Any]:
    """Return the settings that decide which rows there are, and what is predicted of them."""
    plain = network.config.portable()
    data = {f"data.{name}": value for name, value in shared_settings(plain["data"]).items()}
    task = plain["task"]
    ahead = {f"task.{name}": task.get(name) for name in ("window", "horizon")}
    return {"task.kind": task["kind"], **data, **ahead}


def _too_few(
    folder: StudyFolder, n_complete: int, candidates: Sequence[Candidate], left: Sequence[LeftOut]
) -> StudyError:
    if n_complete < 2:
        what = "one trial is complete, and an ensemble is of two at least"
        return StudyError(folder.name, what, f"hpo run {folder.study_file} --trials 20")
    words = [f"trial {one.trial}: {one.why}" for one in left]
    found = "no trial" if not candidates else f"trial {candidates[0].record.number} alone"
    what = f"{found} can be a member, and an ensemble is of two at least:\n  " + "\n  ".join(words)
    return StudyError(folder.name, what, again(folder, left))


def again(folder: StudyFolder, left_out: Sequence[LeftOut]) -> str:
    """Return the command that makes the weights of the first of these again, and puts them back."""
    gone = [one.trial for one in left_out if one.why == NOT_KEPT]
    if not gone:
        return "give --top more, or run the study on"
    place, made = folder.trial(gone[0]), f"runs/{folder.name}-{gone[0]:04d}"
    put = f"cp {made}/{BEST_CHECKPOINT} {place}"
    return f"hpo train {place}/config.json -o {made} && {put} makes weights again"
