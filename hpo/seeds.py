"""SeedsRecord: what the best configs and the default came to on fresh seeds; no torch."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from hpo.errors import UsageError
from hpo.files import write_json
from hpo.layout import StudyFolder
from hpo.records import read_record
from hpo.statistics import Interval, Paired, mean_interval

SHUT = "the test split was not opened for these runs; hpo evaluate STUDY --seeds N --test does"


class SeedRun(BaseModel):
    """One config trained with one seed."""

    model_config = ConfigDict(frozen=True, extra="allow")

    seed: int
    value: float | None
    """The objective on validation; None if the run failed."""
    test: float | None
    """The objective on the test split; None until it is opened."""
    failed: str | None
    """Why, in one line; None if it did not fail."""
    folder: str
    """Relative to the study."""
    checkpoint_sha256: str | None


class SeededConfig(BaseModel):
    """A trial's config, trained once for every seed."""

    model_config = ConfigDict(frozen=True, extra="allow")

    trial: int
    is_default: bool
    config_sha256: str
    """Of the trial's own config, its own seed in it."""
    search_value: float | None
    """What the search saw; None if the trial did not complete."""
    ready: bool = True
    """Whether it can be the best config: its trial is complete, and its weights were kept."""
    runs: list[SeedRun]

    @property
    def values(self) -> list[float]:
        """The values of the runs that did not fail, by seed."""
        return [run.value for run in self.runs if run.value is not None]

    @property
    def test_values(self) -> list[float]:
        """Their values on the test split, if it was opened."""
        return [run.test for run in self.runs if run.test is not None]

    @property
    def interval(self) -> Interval | None:
        """The mean over the seeds and its t interval; None if every run failed."""
        return mean_interval(self.values) if self.values else None

    @property
    def failures(self) -> list[SeedRun]:
        """The runs that failed."""
        return [run for run in self.runs if run.failed is not None]


class SeedsRecord(BaseModel):
    """``evaluation/seeds.json``.

    ``worth``, ``gain``, ``gain_test`` and ``optimism`` allow for the choice among several configs,
    as `hpo.reseed.choosing` says: their means leave out the luck of being chosen.
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    schema_name: Literal["hpo.seeds/1"] = Field("hpo.seeds/1", alias="schema")
    study: str
    metric: str
    direction: str
    seeds: list[int]
    configs: list[SeededConfig]
    """As the search ranked them; the default last, unless it is among the best."""
    chosen: int
    """The trial whose config is the best one now."""
    why: str
    worth: Interval | None
    """What the chosen config comes to on fresh seeds; None if it has no value."""
    gain: Paired | None
    """Chosen minus default, on validation; if the default is chosen, the best other one's.

    None if either has no value.
    """
    gain_test: Paired | None
    """The same on the test split; None until it is opened."""
    gain_test_rows: Interval | None = None
    """The same as an estimate for rows never seen: chance in the test rows counts as well."""
    optimism: Interval | None
    """The chosen trial's search value minus what it is worth."""
    as_of_utc: str
    """When the trials were ranked; later ones have been seen by the search alone."""
    null_because: dict[str, str] = {}
    """Why a result is null; a run's ``value`` is where it says how it ``failed``."""
    created_utc: str

    def config(self, trial: int) -> SeededConfig | None:
        """Return a trial's runs, None if it has none."""
        return next((config for config in self.configs if config.trial == trial), None)

    @property
    def default(self) -> SeededConfig | None:
        """The default config's runs, None if the study has no default config."""
        return next((config for config in self.configs if config.is_default), None)

    def explained(self) -> "SeedsRecord":
        """Return the record with the reasons of its nulls."""
        no_pair = "the default config and another one have no seed in common that ended well"
        rows = "only metrics of rows that are known are resampled"
        reasons = {
            "worth": "every run failed",
            "gain": no_pair,
            "gain_test": no_pair if _is_tested(self) else SHUT,
            "gain_test_rows": rows if self.gain_test else no_pair if _is_tested(self) else SHUT,
            "optimism": "the chosen config has no value of the search, or on fresh seeds",
        }
        known = {name: why for name, why in reasons.items() if getattr(self, name) is None}
        return self.model_copy(update={"null_because": known})

    def plain(self) -> dict[str, Any]:
        """Return the file's content."""
        return self.model_dump(mode="json", by_alias=True)


def _is_tested(record: SeedsRecord) -> bool:
    return any(config.test_values for config in record.configs)


def read_seeds(folder: StudyFolder) -> SeedsRecord | None:
    """Return what the last ``hpo evaluate --seeds`` left; None if there was none.

    Raises:
        UsageError: if the file is damaged.
    """
    return read_record(folder.seeds, SeedsRecord) if folder.seeds.exists() else None


def chosen_by_seeds(folder: StudyFolder) -> set[int]:
    """Return the trial that fresh seeds chose, as a set; empty if none did, or it is not known."""
    try:
        record = read_seeds(folder)
    except UsageError:
        return set()
    return set() if record is None else {record.chosen}


def write_seeds(folder: StudyFolder, record: SeedsRecord) -> None:
    """Write ``evaluation/seeds.json``; its folder exists."""
    write_json(folder.seeds, record.explained().plain())
