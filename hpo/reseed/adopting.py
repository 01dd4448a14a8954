"""Write into ``best_config.json`` what fresh seeds showed, and another config if they chose one."""

from typing import Any

from hpo.best import BestConfig
from hpo.best_writer import BestWriter
from hpo.folder import time_used
from hpo.layout import StudyFolder
from hpo.records import read_record, read_trials
from hpo.revise import revise_best
from hpo.seeds import SeededConfig, SeedsRecord
from hpo.spec import StudySpec
from hpo.words import describe_config, number
from lightning_modules.plugins import loaded_plugins

MACHINE = ("python", "platform", "cpu", "cpu_features", "packages", "git")
"""What is known of the machine on which the trials were trained; this may be another."""


def adopt(folder: StudyFolder, spec: StudySpec, record: SeedsRecord) -> None:
    """Make the chosen config the best one, and write what is known of it by now."""
    before = read_record(folder.best_config, BestConfig)
    changes: dict[str, Any] = {}
    if before.study["trial"] != record.chosen:
        writer = BestWriter.of(
            spec,
            folder,
            metric=record.metric,
            direction=record.direction,
            plugins=[plugin.name for plugin in loaded_plugins() if not plugin.installed],
        )
        writer.write(read_trials(folder), time_s=time_used(folder), running=False)
        machine = dict(before.environment)
        changes |= {f"environment.{name}": machine[name] for name in MACHINE if name in machine}
    best = read_record(folder.best_config, BestConfig)
    config = record.config(best.study["trial"])
    if config is None:
        return
    reasons = {"metric.seeds": "every run with a fresh seed failed"}
    changes["metric.seeds"] = seeds_of(config, record)
    if config.values:
        changes["summary"] = _summary(best, config, record)
    if record.configs[0].trial != best.study["trial"]:
        changes["study.chosen_because"] = record.why
    revise_best(folder.best_config, of=best, changes=changes, reasons=reasons)


def seeds_of(config: SeededConfig, record: SeedsRecord) -> dict[str, Any] | None:
    """Return the section ``metric.seeds`` of a best config; None if every run failed."""
    interval = config.interval
    if interval is None:
        return None
    ends = record.worth if record.worth and record.chosen == config.trial else interval
    return {
        "values": config.values,
        "mean": interval.mean,
        "sd": interval.sd,
        "ci95": None if ends.low is None else [ends.low, ends.high],
        "seeds": [run.seed for run in config.runs if run.value is not None],
    }


def spread_words(config: SeededConfig) -> str:
    """Return a config's mean with the standard deviation over its seeds."""
    interval = config.interval
    if interval is None:
        return "no value"
    return number(interval.mean) + (f" ±{interval.sd:.2g}" if interval.sd is not None else "")


def _summary(best: BestConfig, config: SeededConfig, record: SeedsRecord) -> str:
    n = len(config.values)
    what = f"mean and sd of {n} seeds" if n > 1 else "one fresh seed"
    text = f"{describe_config(best.config)}: {record.metric} {spread_words(config)} ({what})"
    default = record.default
    if default is not None and default.values and not config.is_default:
        text += f", default {spread_words(default)}"
    return text
