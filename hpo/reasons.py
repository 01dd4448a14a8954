"""Why values of a best config are null: none is written without its reason."""

from collections.abc import Iterator, Mapping
from typing import Any

SETTINGS = "config"
"""The section that is left out: there null is a setting like any other."""
OWN_DATA = "the data module is the user's own"
EVER = {
    "metric.seeds": "one seed was trained; hpo evaluate STUDY --seeds 5 trains more",
    "metric.seeds.sd": "one seed has no spread",
    "metric.seeds.ci95": "one seed has no spread",
    "test.value": "the test split was not opened; hpo evaluate STUDY --test opens it",
    "training.flops": "the trial was recorded before operations were counted",
    "training.cohort": "the trial was trained alone",
    "seeds.split": f"{OWN_DATA}, and makes its own split",
    "data.task": "module and data module are the user's own, and bring their own task",
    "environment.cpu": "the system does not name its processor",
    "environment.cpu_features": "the system does not name its processor's instructions",
    "verified": "it was not verified yet; hpo verify does that",
    "environment.git": "no git commit was found where the study ran",
}
"""Reasons that do not depend on the study."""
NONE: Mapping[str, str] = {}


def reasons_of(
    record: Mapping[str, Any], *, default_failed: bool, of_run: Mapping[str, str] = NONE
) -> dict[str, str]:
    """Return why each null of a described best config is null, by its dotted path.

    Args:
        record: the best config as plain values; its ``config`` is left out.
        default_failed: whether the default config has ended without a result.
        of_run: why numbers of the trial's run are null, as the run says.

    Raises:
        TypeError: if a null has no reason here: this module must name one.
    """
    described = {key: value for key, value in record.items() if key != SETTINGS}
    known = {**EVER, **_of_the_study(described, default_failed=default_failed)}
    known |= {f"training.{name}": reason for name, reason in of_run.items()}
    nulls = list(nulls_of(described))
    silent = ", ".join(path for path in nulls if path not in known)
    if silent:
        what = f"no reason why {silent} is null; name one in hpo.reasons"
        raise TypeError(f"best_config.json: {what}")
    return {path: known[path] for path in nulls}


def revised_reasons(record: Mapping[str, Any], reasons: Mapping[str, str]) -> dict[str, str]:
    """Return why each null of a record is null, where some are null no more and others are now.

    Args:
        record: the best config as plain values.
        reasons: known ones; those of values that are there are left out.

    Raises:
        TypeError: if a null has no reason.
    """
    known = {**EVER, **reasons}
    nulls = list(nulls_of({k: v for k, v in record.items() if k != SETTINGS}))
    silent = ", ".join(path for path in nulls if path not in known)
    if silent:
        raise TypeError(f"best_config.json: no reason why {silent} is null; name one")
    return {path: known[path] for path in nulls}


def _of_the_study(record: Mapping[str, Any], *, default_failed: bool) -> dict[str, str]:
    """Return the reasons that depend on module, data, task and metric of the study."""
    from lightning_modules.task import NUMBERS  # for who writes; reading needs none of it

    metric, data = record["metric"], record["data"]
    interval = f"{metric['name']} is no share of rows"
    if metric["n_examples"] is None:
        interval = f"{OWN_DATA}: the number of validation rows is unknown"
    near = "no other complete trial lies within the 95 % interval of the validation split"
    classes = f"{OWN_DATA}, and names no classes"
    if data["task"] in NUMBERS:
        classes = f"a {data['task']} has no classes"
    if data["task"] == "multilabel":
        classes = "a row has any number of labels"
    ended = "failed" if default_failed else "has not ended yet"
    uncounted = f"{OWN_DATA}, and tells no number of rows"
    untold = f"{OWN_DATA}, and tells no fingerprint"
    return {
        "metric.n_examples": uncounted,
        "metric.ci95_examples": interval,
        "metric.baseline.default_config": f"trial 0, the default config, {ended}",
        "metric.baseline.majority_class": classes,
        "study.rank_note": interval if metric["ci95_examples"] is None else near,
        "training.latency_ms": "the network was not timed",
        "data.sha256": untold,
        "data.n": uncounted,
        "data.split_sha256": untold,
        "data.preparation_sha256": untold,
        "data.classes": classes,
    }


def nulls_of(value: Any, path: str = "") -> Iterator[str]:
    """Yield the dotted path of every null in plain values."""
    if value is None:
        yield path
    elif isinstance(value, dict):
        for key, below in value.items():
            yield from nulls_of(below, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list):
        for index, below in enumerate(value):
            yield from nulls_of(below, f"{path}.{index}")
