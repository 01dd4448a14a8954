"""The sections of ``best_config.json``, key by key: what a reader may rely on.

Each is a dictionary as JSON has it. Our keys are held to their types; keys that this version does
not know are kept as they are. Those that need not be there are written always, or where their
docstring says so; files that were written before they were thought of lack them.
"""

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal, NotRequired

from pydantic import AfterValidator, ConfigDict, Field, with_config
from typing_extensions import TypedDict  # pydantic reads typing's own from Python 3.12 on

from hpo.reasons import revised_reasons
from lightning_modules.result import RunResult

KEYS = ConfigDict(extra="allow", strict=True)


def _inside(text: str) -> str:
    """Return a relative path that stays in the record's folder: a file from elsewhere is read too.

    Raises:
        ValueError: if it leaves the folder.
    """
    path = PurePosixPath(text)
    if not text or path.is_absolute() or ".." in path.parts or "\0" in text:
        raise ValueError(f"{text[:80]!r} is no path inside of the study's folder")
    return text


Inside = Annotated[str, AfterValidator(_inside)]
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Count = Annotated[int, Field(ge=0)]
Plain = dict[str, Any]


@with_config(KEYS)
class SeedsOfMetric(TypedDict):
    """The objective of the same config on fresh seeds, after `hpo evaluate --seeds`."""

    values: list[float]
    mean: float
    sd: float | None
    ci95: list[float] | None
    """Student's t interval of the mean, wider to the worse the more configs competed."""
    seeds: list[int]


@with_config(KEYS)
class Baseline(TypedDict):
    """What the value is held against."""

    default_config: float | None
    """Trial 0: the default config of the first family."""
    majority_class: float | None
    """The accuracy of always saying the most frequent class."""


@with_config(KEYS)
class MetricSection(TypedDict):
    """The objective, as it was measured."""

    name: str
    direction: Literal["maximize", "minimize"]
    split: Literal["validation"]
    value: float
    folds: NotRequired[list[float]]
    """The value of each fold, whose mean is ``value``."""
    epoch: float
    """Of the weights that are kept; fractions of epochs count."""
    rule: str
    n_examples: Count | None
    ci95_examples: Annotated[list[float], Field(min_length=2, max_length=2)] | None
    """Of a share of rows: Wilson's interval over other rows of the same kind."""
    seeds: SeedsOfMetric | None
    others: dict[str, float]
    """Further metrics of the same validation."""
    baseline: Baseline


@with_config(KEYS)
class OpenedSection(TypedDict):
    """The test split, which nothing touches but `hpo evaluate --test`."""

    opened: Count
    value: float | None
    metrics: NotRequired[dict[str, float]]


@with_config(KEYS)
class ConstraintSection(TypedDict):
    """A limit that the config was held against."""

    name: str
    limit: float
    value: float
    ok: bool


@with_config(KEYS)
class NamedSection(TypedDict):
    """One of several kinds, with its own settings beside its name."""

    name: str


@with_config(KEYS)
class StudyFileSection(TypedDict):
    """The study file beside this file."""

    path: Inside
    sha256: Sha256
    dims: Count
    """How many parameters were searched."""


@with_config(KEYS)
class Counts(TypedDict):
    """How many trials ended how."""

    complete: Count
    pruned: Count
    failed: Count


@with_config(KEYS)
class BudgetSection(TypedDict):
    """What the study has cost."""

    epochs: float
    train_seconds: float
    wall_seconds: float


@with_config(KEYS)
class StudySection(TypedDict):
    """The search that found the config."""

    name: str
    uuid: str
    trial: Count
    chosen_because: NotRequired[str]
    """Why another trial than that of the best value was chosen: what fresh seeds showed."""
    rank_note: str | None
    """Which trials the validation rows cannot tell from this one."""
    sampler: NamedSection
    pruner: NamedSection
    file: StudyFileSection
    trials: Counts
    still_running: NotRequired[bool]
    """Whether the study ran on when this was written; then tallies may be a second old."""
    budget: BudgetSection


@with_config(KEYS)
class LatencySection(TypedDict):
    """The time of one prediction, the median of several."""

    batch: int
    p50: float
    threads: int
    by_batch: NotRequired[dict[str, float]]
    """The same of batches, by their rows."""


@with_config(KEYS)
class TrainingSection(TypedDict):
    """How the weights came about, and what the network costs."""

    max_epochs: int
    epochs_run: float
    stopped_by: str
    steps: Count
    precision: str
    deterministic: bool
    """Whether the same training gives the same bits on this machine class."""
    cohort: Plain | None
    n_parameters: Count
    size_bytes: Count
    flops: NotRequired[Count | None]
    """Floating-point operations of one row's way forward."""
    latency_ms: LatencySection | None


@with_config(KEYS)
class SeedsSection(TypedDict):
    """Where all randomness came from."""

    study: int
    trial: int
    split: int | None
    derivation: str
    """How the trial's seed follows from the study's."""


@with_config(KEYS)
class DataSection(TypedDict):
    """Which data, by their fingerprints: where they lie is not recorded."""

    task: str | None
    source: str
    sha256: Sha256 | None
    n: dict[str, int] | None
    """Rows of each split."""
    split_sha256: Sha256 | None
    preparation_sha256: Sha256 | None
    classes: Count | None


@with_config(KEYS)
class CheckpointSection(TypedDict):
    """The weights of the best validation."""

    path: Inside
    sha256: Sha256
    bytes: Count
    weights_only: bool
    """Whether it is read without running code from it."""


@with_config(KEYS)
class GitSection(TypedDict):
    """The repository in which the study was run."""

    commit: str
    dirty: bool


@with_config(KEYS)
class EnvironmentSection(TypedDict):
    """The machine and the packages; no host, no user, no path."""

    python: str
    platform: str
    cpu: str | None
    cpu_features: NotRequired[list[str] | None]
    """The instructions by which kernels are chosen; the order of a sum may depend on them."""
    threads: int
    device: str
    packages: dict[str, str]
    freeze_file: Inside
    freeze_sha256: Sha256
    git: GitSection | None


@with_config(KEYS)
class ExpectSection(TypedDict):
    """How far the value may be off when the config is trained again."""

    same_machine_abs: float
    other_machine_abs: float


@with_config(KEYS)
class ReproduceSection(TypedDict):
    """The commands, as typed in the study's folder."""

    train: str
    verify: NotRequired[str]


@with_config(KEYS)
class VerifiedSection(TypedDict):
    """The last `hpo verify` of this file."""

    utc: str
    levels: list[int]
    """Those that were carried out."""
    outcome: Literal["verified", "differs", "incomplete"]
    what: str
    """The first difference, or what could not be checked; else what was found equal."""
    machine: str
    same_machine_class: bool
    """Whether the machine is of the class that trained it: then bits are compared, not values."""
    package: str


def training_section(config: Mapping[str, Any], run: RunResult) -> Plain:
    """Return the section ``training`` of a run of ``config``."""
    trainer = config["trainer"]
    return {
        "max_epochs": trainer["max_epochs"],
        "epochs_run": run.epochs_run,
        "stopped_by": run.stopped_by,
        "steps": run.steps,
        "precision": trainer["precision"],
        "deterministic": run.device == "cpu",
        "cohort": None,
        "n_parameters": run.n_parameters,
        "size_bytes": run.size_bytes,
        "flops": run.flops,
        "latency_ms": None if run.latency_ms is None else _latency(run, trainer["threads"]),
    }


def _latency(run: RunResult, threads: int) -> Plain:
    known = {"batch": 1, "p50": run.latency_ms, "threads": threads}
    return {**known, "by_batch": run.latency}


def data_section(config: Mapping[str, Any], run: RunResult) -> Plain:
    """Return the section ``data`` of a run of ``config``."""
    data, task = run.data, config.get("task")
    return {
        "task": task["kind"] if task else None,
        "source": data.source,
        "sha256": data.sha256,
        "n": data.n_rows or None,
        "split_sha256": data.split_sha256,
        "preparation_sha256": data.preparation_sha256,
        "classes": len(data.classes) if data.classes else None,
    }


def checkpoint_section(number: int, run: RunResult) -> Plain:
    """Return the section ``checkpoint`` of the run of trial ``number``."""
    return {
        "path": f"trials/{number:04d}/{run.checkpoint.path}",
        "sha256": run.checkpoint.sha256,
        "bytes": run.checkpoint.bytes,
        "weights_only": True,
    }


def others_of(run: RunResult, metric: str) -> dict[str, float]:
    """Return the other metrics of the same validation, by their plain names."""
    plain = {name.removeprefix("val/"): value for name, value in run.metrics.items()}
    return {name: value for name, value in plain.items() if name != metric}


def with_later(described: Plain, before: Plain) -> Plain:
    """Return a best config with what is known of it from before: its machine, seeds, test, stamp.

    Args:
        described: the best config, all of its file, as the records of the trials have it.
        before: the file of the same config and weights, as it was.
    """
    metric, study, reasons = described["metric"], described["study"], described["null_because"]
    kept = {key: before[key] for key in ("verified", "environment")}  # of its training, not of now
    found = {**described, **kept}
    if before["test"]["opened"]:
        found["test"] = before["test"]
    if before["metric"]["seeds"] is not None:
        found["metric"] = {**metric, "seeds": before["metric"]["seeds"]}
        found["summary"] = before["summary"]
    if "chosen_because" in before["study"]:
        found["study"] = {**study, "chosen_because": before["study"]["chosen_because"]}
    later = ("test.", "metric.seeds", "environment.")
    older = {k: v for k, v in before["null_because"].items() if k.startswith(later)}
    return {**found, "null_because": revised_reasons(found, {**reasons, **older})}
