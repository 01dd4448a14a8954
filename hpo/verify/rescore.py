"""Level 1: the data are those that were recorded, and the weights score on them as recorded."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from hpo.best import BestConfig
from hpo.errors import DataError, HpoError, SpecError
from hpo.local import data_changes, local_config
from hpo.logs import log_to
from hpo.verify.checks import Check, differs, equal, told, unknown
from hpo.words import number
from lightning_modules.build import RunData, open_data
from lightning_modules.config import RunConfig
from lightning_modules.data.fingerprint import fingerprint_json
from lightning_modules.durable import file_sha256
from lightning_modules.restore import score

SAME_DATA = "restore the data of the study; --set data.path=FILE names another place"


def check_score(
    best: BestConfig, file: Path, *, sets: Sequence[str], exact: bool
) -> Iterator[Check]:
    """Yield whether data, preparation and the checkpoint's score are those that were recorded.

    Args:
        best: what ``file`` holds.
        file: ``best_config.json``.
        sets: ``path=value`` each: where the data lie, or what this machine has otherwise.
        exact: whether bits are compared; if not, the value may be off as ``expect`` says.
    """
    try:
        config = local_config(best.config, file, sets)
        with log_to(None):
            data = open_data(config)
    except SpecError as error:
        hint = "name the study's own code with --plugin"
        yield unknown(1, "data", f"the config cannot be read here: {error}", hint)
        return
    except DataError as error:
        yield _no_data(best, error)
        return
    changed = data_changes(best, data.hashes)
    if changed:
        yield differs(1, "data", "; ".join(changed), SAME_DATA)
        return
    if data.prepared is None:
        yield equal(1, "data", "the study's own data module tells no fingerprint")
    else:
        rows = len(data.prepared.validation.y)
        yield equal(1, "data", f"{data.prepared.data_sha256[:12]}…, the same {rows:,} rows judge")
    yield from _preparation(best, file.parent, data)
    yield from _score(best, file, config, data, exact=exact)


def _no_data(best: BestConfig, error: DataError) -> Check:
    """Return what data that cannot be read mean: gone, or damaged."""
    missing = "no such" in error.what
    what = f"{error.where}: {error.what}"
    if missing:
        return unknown(1, "data", what, "--set data.path=FILE says where the data are here")
    return differs(1, "data", f"cannot be read as they were: {what}", SAME_DATA)


def _preparation(best: BestConfig, folder: Path, data: RunData) -> Iterator[Check]:
    recorded = best.data["preparation_sha256"]
    if data.prepared is None or recorded is None:
        return
    fitted = fingerprint_json(data.prepared.fitted.model_dump(mode="json"))
    if fitted != recorded:
        what = f"the statistics of the training rows are others: {told(recorded, fitted)}"
        yield differs(1, "preparation", what, "use the package versions of environment.txt")
        return
    file = folder / Path(best.checkpoint["path"]).parent / "preparation.json"
    if not file.is_file():
        return
    try:
        kept = fingerprint_json(json.loads(file.read_text(encoding="utf-8")))
    except ValueError:
        kept = "damaged"
    if kept != recorded:
        what = f"preparation.json, which hpo predict uses, is another: {told(recorded, kept)}"
        yield differs(1, "preparation", what, "restore it from a copy")
        return
    yield equal(1, "preparation", f"{recorded[:12]}…")


def _score(
    best: BestConfig, file: Path, config: RunConfig, data: RunData, *, exact: bool
) -> Iterator[Check]:
    checkpoint = file.parent / best.checkpoint["path"]
    if not checkpoint.is_file():
        hint = "--level 2 trains it again, and needs none"
        yield unknown(1, "score", f"{best.checkpoint['path']} is not there", hint)
        return
    if file_sha256(checkpoint) != best.checkpoint["sha256"]:  # changed since level 0
        yield differs(1, "score", "the checkpoint is another file", "restore it from a copy")
        return
    try:
        with log_to(None):
            scored = score(config, checkpoint, split="validation", data=data)
    except HpoError as error:
        what = f"the checkpoint cannot be scored: {error.what}"
        yield differs(1, "score", what, "restore it from a copy")
        return
    found = {name.removeprefix("val/"): value for name, value in scored.metrics.items()}
    name, recorded = best.metric["name"], _recorded(best)
    if name not in found:
        logged = ", ".join(sorted(found)) or "nothing"
        yield differs(1, "score", f"{name} is not measured any more; measured: {logged}", "")
        return
    yield from compare_values(1, best, recorded, found, exact=exact)


def _recorded(best: BestConfig) -> dict[str, float]:
    """Return what the checkpoint came to; of folds, whose first it is of, the value alone."""
    metric = best.metric
    if "folds" in metric:
        return {metric["name"]: metric["folds"][0]}
    measured = {k: v for k, v in metric["others"].items() if not k.startswith("train/")}
    return {metric["name"]: metric["value"], **measured}


def compare_values(
    level: int,
    best: BestConfig,
    recorded: Mapping[str, float],
    found: Mapping[str, float],
    *,
    exact: bool,
) -> Iterator[Check]:
    """Yield one check of the objective, and of all other metrics where bits are compared."""
    name = best.metric["name"]
    verb = {1: "the checkpoint re-scored", 2: "trained again"}[level]
    label = {1: "score", 2: "value"}[level]
    allowed = best.expect["same_machine_abs" if exact else "other_machine_abs"]
    off = abs(found[name] - recorded[name])
    if off > allowed:
        what = f"metric.value, {verb}: {told(recorded[name], found[name])}"
        if not exact:
            what += f", more than {allowed:g} apart"
        yield differs(level, label, what, "it is not what these weights, data and code give")
        return
    if not exact:
        how = f"within {allowed:g}, as on another machine class"
        yield equal(level, label, f"{name} {number(found[name])}, {how}")
        return
    for other, value in recorded.items():
        if other in found and found[other] != value:
            what = f"metric.others.{other}, {verb}: {told(value, found[other])}"
            yield differs(level, label, what, "it is not what these weights, data and code give")
            return
    compared = sum(other in found for other in recorded)
    more = f", and {compared - 1} metrics more" if compared > 1 else ""
    yield equal(level, label, f"{name} {found[name]!r}{more}, exactly")
