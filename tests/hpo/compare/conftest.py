"""Studies made of records alone: a folder each, nothing trained."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from hpo.best_writer import BestWriter
from hpo.files import make_folder, write_json, write_text
from hpo.layout import StudyFolder
from hpo.listing import load_best
from hpo.records import TrialRecord, read_trials, write_trial
from hpo.seeds import SeededConfig, SeedRun, SeedsRecord, write_seeds

MakeStudy = Callable[..., StudyFolder]
Reseed = Callable[..., None]


@pytest.fixture
def make_study(tmp_path: Path, make_spec, make_record) -> MakeStudy:
    """Return a function from the values of trials, None for a failed one, to a study's folder."""

    def make(
        name: str,
        values: Sequence[float | None] = (0.8, 0.9),
        *,
        overrides: Sequence[str] = (),
        sections: Mapping[str, Any] | None = None,
        data: Mapping[str, Any] | None = None,
        plugins: Mapping[str, str | None] | None = None,
        trials: Mapping[int, Mapping[str, Any]] | None = None,
        **run: Any,
    ) -> StudyFolder:
        spec = make_spec(*overrides, name=name, **(sections or {}))
        folder = StudyFolder(tmp_path / "results" / name)
        make_folder(folder.path)
        plain = spec.space.resolve(spec.space.defaults()[0].params).plain()
        seen = {**RUN_DATA, **(data or {})}

        def record_of(number: int, value: float | None) -> TrialRecord:
            own = dict((trials or {}).get(number, {}))
            ran = {"data": seen, **run, **own.pop("run", {})}
            fields = {
                "study": name,
                "config": {**plain, "seed": number},
                "config_sha256": f"{number:064d}",
                "notes": ["default"] if number == 0 else [],
                "ended_utc": f"2026-11-21T00:{number:02d}:00Z",
                **({} if value is None else {"run": ran}),
            }
            return make_record(number, value, **fields | own)

        records = [record_of(number, value) for number, value in enumerate(values)]
        write_text(folder.study_file, spec.text())
        write_text(folder.environment, "numpy==2.4.0\ntorch==2.13.0\n")
        made = {
            "schema": "hpo.fingerprint/1",
            "uuid": name,
            "plugins": dict(plugins or {}),
            "data_sha256": seen["sha256"],
            "split_sha256": seen["split_sha256"],
        }
        write_json(folder.fingerprint, {**made, "changes": [], "created_utc": "now"})
        for record in records:
            make_folder(folder.trial(record.number))
            write_trial(folder, record)
        objective = plain["objective"]
        writer = BestWriter(
            spec=spec,
            folder=folder,
            metric=objective["metric"],
            direction=objective["direction"],
            uuid=name,
            freeze_text="",
            git=None,
            plugins=(),
        )
        writer.write(records, time_s=1.0)
        return folder

    return make


RUN_DATA: Mapping[str, Any] = {
    "source": "iris",
    "sha256": "2" * 64,
    "split_sha256": "3" * 64,
    "preparation_sha256": "4" * 64,
    "n_rows": {"train": 90, "validation": 200},
    "classes": ["a", "b"],
    "majority_class": 0.5,
}


@pytest.fixture
def reseed() -> Reseed:
    """Return a function that gives a study's best config values of fresh seeds, None for failed."""

    def give(
        folder: StudyFolder,
        values: Sequence[float | None],
        *,
        first: int = 100,
        test: Sequence[float] | None = None,
        candidates: int = 1,
        trial: int | None = None,
    ) -> None:
        best = load_best(folder)
        number = best.study["trial"] if trial is None else trial
        (record,) = (one for one in read_trials(folder) if one.number == number)
        runs = [
            SeedRun(
                seed=first + i,
                value=value,
                test=None if test is None else test[i],
                failed="nan: non-finite loss" if value is None else None,
                folder=f"evaluation/seeds/{i}",
                checkpoint_sha256=None,
            )
            for i, value in enumerate(values)
        ]
        configs = [
            SeededConfig(
                trial=number + 1000 * i,
                is_default=False,
                config_sha256=record.config_sha256,
                search_value=record.value,
                runs=runs,
            )
            for i in range(candidates)
        ]
        make_folder(folder.evaluation)
        write_seeds(
            folder,
            SeedsRecord(
                study=folder.name,
                metric=best.metric["name"],
                direction=best.metric["direction"],
                seeds=[run.seed for run in runs],
                configs=configs,
                chosen=number,
                why="",
                worth=None,
                gain=None,
                gain_test=None,
                optimism=None,
                as_of_utc="2026-11-21T00:00:00Z",
                created_utc="2026-11-21T00:00:00Z",
            ),
        )

    return give


@pytest.fixture
def make_pair(make_study: MakeStudy, reseed: Reseed) -> Callable[..., Path]:
    """Return a function from values of fresh seeds to the folder of two studies, a and b."""

    def make(a: Sequence[float] | None, b: Sequence[float] | None) -> Path:
        folders = [make_study(name) for name in "ab"]
        for folder, values in zip(folders, (a, b), strict=True):
            if values is not None:
                reseed(folder, values)
        return folders[0].path.parent

    return make
