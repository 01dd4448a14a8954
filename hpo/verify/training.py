"""Level 2: the same config, trained again in a fresh process, gives the same run."""

import csv
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch

from hpo.best import BestConfig
from hpo.errors import TrialFailed
from hpo.retrain import Retrained, retrain
from hpo.sections import others_of
from hpo.verify.checks import Check, differs, equal, told, unknown
from hpo.verify.rescore import compare_values
from lightning_modules.checkpoint import load_checkpoint
from lightning_modules.durable import file_sha256
from lightning_modules.result import TIMED

WHY = "the code, a package or the machine is another than when it was trained"


def check_training(
    best: BestConfig, file: Path, *, sets: Sequence[str], exact: bool, fresh: bool = True
) -> Iterator[Check]:
    """Yield whether another training gives the recorded value, run, curve and weights.

    Args:
        best: what ``file`` holds.
        file: ``best_config.json``.
        sets: ``path=value`` each, as for `check_score`.
        exact: whether bits are compared; if not, the value alone, as ``expect`` says.
        fresh: train in a process of its own; a module that exists in this one alone cannot.
    """
    with tempfile.TemporaryDirectory(prefix="hpo-verify-") as place:
        try:
            done = retrain(file, Path(place) / "run", overrides=sets, fresh=fresh)
        except TrialFailed as error:
            what = f"trained again it failed: {error.reason}: {error.what}"
            yield differs(2, "value", what, WHY)
            return
        if done.changed:  # the level before says so too, unless they changed since
            yield differs(2, "data", "; ".join(done.changed), "restore the data of the study")
            return
        exact = exact and done.result.device == best.environment["device"]
        yield from _values(best, done, exact=exact)
        if exact:
            yield from _bits(best, file.parent, done)


def _values(best: BestConfig, done: Retrained, *, exact: bool) -> Iterator[Check]:
    name, run = best.metric["name"], done.result
    recorded = {name: best.metric["value"], **best.metric["others"]}
    recorded = {k: v for k, v in recorded.items() if k not in TIMED}
    found = {name: run.value, **others_of(run, name)}
    yield from compare_values(2, best, recorded, found, exact=exact)


def _bits(best: BestConfig, folder: Path, done: Retrained) -> Iterator[Check]:
    """Yield the checks of the run, the curve and the weights, bit for bit."""
    run, training = done.result, best.training
    pairs = [
        ("metric.epoch", best.metric["epoch"], run.best_epoch),
        ("training.epochs_run", training["epochs_run"], run.epochs_run),
        ("training.steps", training["steps"], run.steps),
        ("training.stopped_by", training["stopped_by"], run.stopped_by),
        ("metric.folds", best.metric.get("folds"), run.folds),
    ]
    for path, recorded, found in pairs:
        if recorded != found:
            yield differs(2, "run", f"{path}: {told(recorded, found)}", WHY)
            return
    yield equal(2, "run", f"{run.steps:,} steps, best at epoch {run.best_epoch:g}")
    trial = folder / Path(best.checkpoint["path"]).parent
    yield _curves(trial / "curve.csv", done.folder / "curve.csv")
    yield _weights(best, folder / best.checkpoint["path"], done)


def _curves(recorded: Path, found: Path) -> Check:
    """Compare two curves, all columns but those of the clock."""
    if not recorded.is_file():
        hint = "keep best_config.json in its study's folder"
        return unknown(2, "curve", "curve.csv is not there", hint)
    before, after = _rows(recorded), _rows(found)
    if len(before) != len(after):
        what = f"validations: {told(len(before), len(after))}"
        return differs(2, "curve", what, WHY)
    for count, (one, other) in enumerate(zip(before, after, strict=True), start=1):
        for column in one.keys() & other.keys() - set(TIMED):
            if one[column] != other[column]:
                what = f"{column} of validation {count}: {told(one[column], other[column])}"
                return differs(2, "curve", what, WHY)
    s = "" if len(before) == 1 else "s"
    return equal(2, "curve", f"{len(before)} validation{s}, bit for bit")


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def _weights(best: BestConfig, recorded: Path, done: Retrained) -> Check:
    """Compare the files; where they differ, or the recorded one is gone, the tensors."""
    found = done.folder / done.result.checkpoint.path
    if file_sha256(found) == best.checkpoint["sha256"]:
        return equal(2, "weights", "the same file, byte for byte")
    if not recorded.is_file():
        what = f"the checkpoint is gone, and the new one has another hash than {recorded.name} had"
        return unknown(2, "weights", what, "keep best_config.json in its study's folder")
    before = load_checkpoint(recorded)["state_dict"]
    after = load_checkpoint(found)["state_dict"]
    if list(before) != list(after):
        odd = sorted(set(before) ^ set(after)) or ["their order"]
        return differs(2, "weights", f"other tensors: {', '.join(odd[:5])}", WHY)
    for name, tensor in before.items():
        if not torch.equal(tensor, after[name]):
            apart = (tensor.double() - after[name].double()).abs().max().item()
            return differs(2, "weights", f"{name}: up to {apart:.3g} apart", WHY)
    return equal(2, "weights", f"{len(before)} tensors, bit for bit")
