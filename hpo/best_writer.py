"""BestWriter: writes the best config of a study after every trial, from its records."""

import hashlib
import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hpo.best import (
    BEST_SCHEMA,
    SHARE_METRICS,
    BestConfig,
    Json,
    basis,
    best_of,
    default_of,
    wilson,
)
from hpo.environment import describe, git_state
from hpo.errors import UsageError
from hpo.files import write_json
from hpo.layout import StudyFolder, locked_folder
from hpo.reasons import reasons_of
from hpo.records import TrialRecord, now_utc, ranked, read_record
from hpo.sections import checkpoint_section, data_section, others_of, training_section, with_later
from hpo.seeds import read_seeds
from hpo.spec import StudySpec
from hpo.words import describe_config
from lightning_modules.result import RunResult


@dataclass(frozen=True, kw_only=True)
class BestWriter:
    """Writes ``best_config.json`` of one study after every finished trial."""

    spec: StudySpec
    folder: StudyFolder
    metric: str
    direction: str
    uuid: str
    freeze_text: str
    git: Json | None
    """The repository as it was when this call of the study began."""
    plugins: Sequence[str]
    """The user's own code, as it was named; records hold its last name."""

    @classmethod
    def of(
        cls,
        spec: StudySpec,
        folder: StudyFolder,
        *,
        metric: str,
        direction: str,
        plugins: Sequence[str] = (),
    ) -> "BestWriter":
        """Return the writer of the study in ``folder``; ``plugins`` are named in its commands."""
        return cls(
            spec=spec,
            folder=folder,
            metric=metric,
            direction=direction,
            uuid=json.loads(folder.fingerprint.read_text(encoding="utf-8"))["uuid"],
            freeze_text=folder.environment.read_text(encoding="utf-8"),
            git=git_state(),
            plugins=plugins,
        )

    def write(self, records: Sequence[TrialRecord], *, time_s: float, running: bool = True) -> bool:
        """Write the file; return whether the trial that ended last is the best now.

        Args:
            records: of all trials that have ended.
            time_s: the wall-clock time that the study has used.
            running: whether the study goes on.
        """
        best = self._chosen(records)
        if best is None:
            return False
        described = self.describe(best, records, time_s=time_s, running=running)
        with locked_folder(self.folder.path):
            previous = self._previous()
            if previous is not None and _is_of(previous, best):
                described = _with_later(described, previous)
            write_json(self.folder.best_config, described.model_dump(mode="json", by_alias=True))
        return best.number == records[-1].number

    def catch_up(self, records: Sequence[TrialRecord], *, time_s: float) -> None:
        """Write the file if a crash, or a change of the study file, came after it."""
        now = self._previous()
        file = hashlib.sha256(self.folder.study_file.read_bytes()).hexdigest()
        known = None if now is None else (now.study["trials"], now.study["file"]["sha256"])
        if now is None or now.study.get("still_running") or known != (_counts(records), file):
            self.write(records, time_s=time_s, running=False)

    def _chosen(self, records: Sequence[TrialRecord]) -> TrialRecord | None:
        """Return the best trial; of those that fresh seeds have compared, the one they chose."""
        best = best_of(records, self.direction)
        try:
            seeds = read_seeds(self.folder)
        except UsageError:  # damaged: the search's own choice stands
            seeds = None
        if best is None or seeds is None or seeds.config(best.number) is None:
            return best
        chosen = seeds.config(seeds.chosen)
        found = [r for r in records if r.number == seeds.chosen and r.has_rank]
        sound = chosen is not None and [r.config_sha256 for r in found] == [chosen.config_sha256]
        return found[0] if sound else best

    def describe(
        self,
        best: TrialRecord,
        records: Sequence[TrialRecord],
        *,
        time_s: float,
        running: bool = False,
    ) -> BestConfig:
        """Return the best config of ``records``, which ``best`` is of.

        Raises:
            TypeError: if ``best`` has no run, or a null of the record no reason: bugs of ours.
        """
        run = best.run
        if run is None:
            raise TypeError("a best trial always has a run")
        plain = self._plain(best, run, records)
        plain["study"] = self._study(best, records, time_s=time_s, running=running)
        default = default_of(records)
        default_failed = default is not None and default.value is None
        reasons = reasons_of(plain, default_failed=default_failed, of_run=run.null_because)
        return BestConfig.model_validate({**plain, "null_because": reasons})

    def _plain(self, best: TrialRecord, run: RunResult, records: Sequence[TrialRecord]) -> Json:
        return {
            "schema": BEST_SCHEMA,
            "summary": self._summary(best, records),
            "config": best.config,
            "config_sha256": best.config_sha256,
            "searched": sorted(best.params),
            "metric": self._metric(best, run, records),
            "test": {"opened": 0, "value": None},
            "constraints": self._constraints(best),
            "study": {},
            "training": training_section(best.config, run),
            "seeds": self._seeds(best),
            "data": data_section(best.config, run),
            "checkpoint": checkpoint_section(best.number, run),
            "environment": describe(
                device=run.device,
                threads=best.config["trainer"]["threads"],
                freeze_text=self.freeze_text,
                git=self.git,
            ),
            "expect": _expected(run, self.direction, share=self._is_share(best)),
            "reproduce": {verb: _command(verb, self.plugins) for verb in ("train", "verify")},
            "verified": None,
            "created_utc": now_utc(),
        }

    def _previous(self) -> BestConfig | None:
        """Return what the file holds; None if there is none, or it was damaged."""
        try:
            return read_record(self.folder.best_config, BestConfig)
        except UsageError:
            return None

    def _summary(self, best: TrialRecord, records: Sequence[TrialRecord]) -> str:
        text = f"{describe_config(best.config)}: {self.metric} {best.value:.4g} ({basis(best.run)})"
        default = default_of(records)
        if default is not None and default.value is not None:
            text += f", default {default.value:.4g}"
        return text

    def _is_share(self, best: TrialRecord) -> bool:
        """Return whether the metric is a share of rows; of labels a row has several."""
        kind = (best.config.get("task") or {}).get("kind")
        several = kind == "multilabel" and self.metric != "subset_accuracy"
        return self.metric in SHARE_METRICS and not several

    def _metric(self, best: TrialRecord, run: RunResult, records: Sequence[TrialRecord]) -> Json:
        n_rows = run.n_validated
        default = default_of(records)
        share = self._is_share(best) and n_rows and 0 <= run.value <= 1
        return {
            "name": self.metric,
            "direction": self.direction,
            "split": "validation",
            "value": run.value,
            **({} if run.folds is None else {"folds": run.folds}),
            "epoch": run.best_epoch,
            "rule": "best validation" + ("" if run.folds is None else ", mean over the folds"),
            "n_examples": n_rows,
            "ci95_examples": wilson(run.value, n_rows) if share and n_rows else None,
            "seeds": None,
            "others": others_of(run, self.metric),
            "baseline": {
                "default_config": default.value if default else None,
                "majority_class": run.data.majority_class,
            },
        }

    def _study(
        self, best: TrialRecord, records: Sequence[TrialRecord], *, time_s: float, running: bool
    ) -> Json:
        settings = self.spec.search.model_dump(mode="json")
        file = self.folder.study_file
        return {
            "name": self.spec.name,
            "uuid": self.uuid,
            "trial": best.number,
            "rank_note": self._rank_note(best, records),
            "sampler": {**settings["sampler"], "seed": settings["seed"]},
            "pruner": settings["pruner"],
            "file": {
                "path": file.name,
                "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
                "dims": len(self.spec.space.parameters()),
            },
            "trials": _counts(records),
            "still_running": running,
            "budget": {
                "epochs": round(sum(record.epochs_spent for record in records), 4),
                "train_seconds": round(sum(record.seconds for record in records), 3),
                "wall_seconds": round(time_s, 3),
            },
        }

    def _rank_note(self, best: TrialRecord, records: Sequence[TrialRecord]) -> str | None:
        """Name the trials whose difference to the best is smaller than the split can tell."""
        run = best.run
        n_rows = run.n_validated if run else None
        if not self._is_share(best) or not n_rows or best.value is None:
            return None
        if not 0 <= best.value <= 1:  # a module of the user's own may log per cent
            return None
        low, _ = wilson(best.value, n_rows)
        near = [
            r.number
            for r in ranked(records, self.direction)
            if r.has_rank and r.value is not None and r.value >= low
        ]
        others = [number for number in near if number != best.number]
        if not others:
            return None
        shown = ", ".join(map(str, others[:5])) + (" and more" if len(others) > 5 else "")
        lie = f"trial {shown} lies" if len(others) == 1 else f"trials {shown} lie"
        return f"{lie} within the 95 % interval of the validation split"

    def _constraints(self, best: TrialRecord) -> list[Json]:
        """Return what the config was held against: name, limit, value."""
        return [
            {"name": name, "limit": limit, "value": value, "ok": value <= limit}
            for name, limit in self.spec.limits.items()
            if (value := best.measured.get(name)) is not None
        ]

    def _seeds(self, best: TrialRecord) -> Json:
        return {
            "study": self.spec.search.seed,
            "trial": best.seed,
            "split": best.config["data"].get("split_seed"),
            "derivation": "first 4 bytes of sha256(study seed, unit separator, trial number)",
        }


def _with_later(described: BestConfig, previous: BestConfig) -> BestConfig:
    plain, before = (one.model_dump(mode="json", by_alias=True) for one in (described, previous))
    return BestConfig.model_validate(with_later(plain, before))


def _is_of(described: BestConfig, trial: TrialRecord) -> bool:
    """Return whether a best config is that of ``trial``, and of the weights that it left."""
    weights = None if trial.run is None else trial.run.checkpoint.sha256
    found = (described.config_sha256, described.checkpoint["sha256"])
    return described.study["trial"] == trial.number and found == (trial.config_sha256, weights)


def _counts(records: Sequence[TrialRecord]) -> dict[str, int]:
    states = [record.state for record in records]
    return {state: states.count(state) for state in ("complete", "pruned", "failed")}


def _expected(run: RunResult, direction: str, *, share: bool) -> Json:
    """Return how far the value may be off: on other machines by half a per cent, or one row."""
    scale = 1.0 if direction == "maximize" and abs(run.value) <= 1 else abs(run.value)
    row = 1 / run.n_validated if share and run.n_validated else 0.0
    other = float(f"{max(0.005 * scale, row):.3g}")
    return {"same_machine_abs": 0.0, "other_machine_abs": other}


def _command(verb: str, plugins: Sequence[str]) -> str:
    """Return a command on this file, plugins by their last names: records name no place."""
    names = [Path(plugin).name for plugin in plugins]
    return shlex.join(["hpo", verb, "best_config.json", *_each("--plugin", names)])


def _each(option: str, values: Sequence[str]) -> list[str]:
    return [word for value in values for word in (option, value)]
