"""From the outcomes of all runs to the record: means, the choice in words, gain and optimism."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from hpo.layout import StudyFolder
from hpo.records import now_utc
from hpo.reseed.choosing import Choice, choose, gain_over, optimism_of
from hpo.reseed.planning import Candidate, Outcome, Plan, Run
from hpo.seeds import SeededConfig, SeedRun, SeedsRecord
from hpo.statistics import Paired
from hpo.words import number

Values = dict[int, list[float]]


def judge(
    folder: StudyFolder,
    plan: Plan,
    outcomes: Mapping[Path, Outcome],
    *,
    metric: str,
    direction: str,
    as_of_utc: str,
) -> SeedsRecord:
    """Return the record of an evaluation whose runs have all ended.

    Args:
        folder: of the study.
        plan: the runs.
        outcomes: how they ended, by their folders.
        metric: the objective.
        direction: ``maximize`` or ``minimize``.
        as_of_utc: when the trials were ranked.
    """
    return judged(
        [_seeded(folder, one, plan.runs, outcomes) for one in plan.candidates],
        study=folder.name,
        objective=(metric, direction),
        seeds=plan.seeds,
        as_of_utc=as_of_utc,
    )


def judged(
    configs: Sequence[SeededConfig],
    *,
    study: str,
    objective: tuple[str, str],
    seeds: Sequence[int],
    as_of_utc: str,
) -> SeedsRecord:
    """Return the record of configs that were trained with the same seeds.

    Args:
        configs: as the search ranked them.
        study: its name.
        objective: its metric and direction.
        seeds: of the runs.
        as_of_utc: when the trials were ranked.
    """
    metric, direction = objective
    values = comparable(configs)
    chosen, choice = _choice(configs, ready_ones(configs, values), direction)
    record = SeedsRecord(
        schema="hpo.seeds/1",
        study=study,
        metric=metric,
        direction=direction,
        seeds=list(seeds),
        configs=list(configs),
        chosen=chosen,
        why=_why(configs, ready_ones(configs, values), chosen, choice),
        worth=choice.worth if choice else None,
        gain=_gain(configs, values, direction),
        gain_test=None,
        optimism=None,
        as_of_utc=as_of_utc,
        created_utc=now_utc(),
    )
    config = record.config(chosen)
    if choice is None or config is None or config.search_value is None:
        return record
    return record.model_copy(update={"optimism": optimism_of(choice.worth, config.search_value)})


def comparable(configs: Sequence[SeededConfig], *, tested: bool = False) -> Values:
    """Return the values of the configs that failed least, on the seeds that they have in common.

    Args:
        configs: in the order of preference.
        tested: leave out runs without a value on the test split too.
    """
    found = {
        config.trial: {
            run.seed: run.value
            for run in config.runs
            if run.value is not None and (run.test is not None or not tested)
        }
        for config in configs
    }
    most = max(map(len, found.values()), default=0)
    kept = {trial: by_seed for trial, by_seed in found.items() if most and len(by_seed) == most}
    common = set.intersection(*map(set, kept.values())) if kept else set()
    if kept and not common:
        kept = dict([next(iter(kept.items()))])
        common = set(next(iter(kept.values())))
    return {
        trial: [value for seed, value in by_seed.items() if seed in common]
        for trial, by_seed in kept.items()
    }


def ready_ones(configs: Sequence[SeededConfig], values: Values) -> Values:
    """Return the values of those that can be the best config."""
    ready = {config.trial for config in configs if config.ready}
    return {trial: found for trial, found in values.items() if trial in ready}


def best_found(configs: Sequence[SeededConfig], values: Values, direction: str) -> Choice | None:
    """Return the choice among all but the default, None if there is no other."""
    default = {config.trial for config in configs if config.is_default}
    found = ready_ones(configs, values)
    others = {trial: values for trial, values in found.items() if trial not in default}
    return choose(others, direction) if others else None


def _gain(configs: Sequence[SeededConfig], values: Values, direction: str) -> Paired | None:
    default = next((config.trial for config in configs if config.is_default), None)
    choice = best_found(configs, values, direction)
    if default is None or default not in values or choice is None:
        return None
    return gain_over(choice, values, default, direction)


Tests = Mapping[tuple[int, int], float | None]
"""Values on the test split, by trial and seed."""


def with_tests(record: SeedsRecord, tests: Tests) -> SeedsRecord:
    """Return the record with its runs' values on the test split, and the gain there."""
    configs = [
        config.model_copy(
            update={
                "runs": [
                    run.model_copy(update={"test": tests.get((config.trial, run.seed))})
                    for run in config.runs
                ]
            }
        )
        for config in record.configs
    ]
    tested = record.model_copy(update={"configs": configs})
    return tested.model_copy(update={"gain_test": _gain_test(tested)})


def stand_ins(record: SeedsRecord) -> list[tuple[int, int]]:
    """Return for every seed with test values the trial whose value the gain there takes.

    Validation decides: the test split is for measuring alone.
    """
    values = comparable(record.configs, tested=True)
    choice = best_found(record.configs, values, record.direction)
    return [] if choice is None else list(zip(_seeds(record, values), choice.by_seed, strict=True))


def _seeds(record: SeedsRecord, values: Values) -> list[int]:
    """Return the seeds of the columns of ``values``, which `comparable` made of tested runs."""
    return [
        seed
        for seed in record.seeds
        if all(
            run.test is not None and run.value is not None
            for config in record.configs
            if config.trial in values
            for run in config.runs
            if run.seed == seed
        )
    ]


def _gain_test(record: SeedsRecord) -> Paired | None:
    default = record.default
    values = comparable(record.configs, tested=True)
    choice = best_found(record.configs, values, record.direction)
    if default is None or default.trial not in values or choice is None:
        return None
    seeds = _seeds(record, values)
    test = {
        config.trial: [run.test for run in config.runs if run.seed in seeds]
        for config in record.configs
        if config.trial in values
    }
    numbers = {trial: [v for v in found if v is not None] for trial, found in test.items()}
    return gain_over(choice, numbers, default.trial, record.direction)


def _choice(
    configs: Sequence[SeededConfig], values: Values, direction: str
) -> tuple[int, Choice | None]:
    """Return the trial to use; on a single seed the search's own order stands."""
    if not values:
        return configs[0].trial, None
    if len(next(iter(values.values()))) == 1:
        first = next(iter(values))
        return first, choose({first: values[first]}, direction)
    choice = choose(values, direction)
    return choice.chosen, choice


def _why(
    configs: Sequence[SeededConfig], values: Values, chosen: int, choice: Choice | None
) -> str:
    first = configs[0].trial
    if not values:
        return f"every run with a fresh seed failed: trial {first} is the best of the search"
    n = len(next(iter(values.values())))
    left_out = [
        f"trial {config.trial} is left out: {_left_out(config, values, n)}"
        for config in configs
        if config.trial not in values
    ]
    if n == 1:
        text = f"one seed changes nothing: trial {chosen} is the best of the search"
        return "; ".join([text, *left_out])
    by_number = {config.trial: config for config in configs}
    text = f"{_named(by_number[chosen])} has the best mean over {n} seeds of {len(values)} configs"
    if len(values) == 1:
        text = f"{_named(by_number[chosen])} is the only config with {n} values"
    text += f": {_mean(values[chosen])}"
    if first != chosen and first in values:
        seen = number(by_number[first].search_value)
        text += f"; trial {first}, the best of the search with {seen}, has {_mean(values[first])}"
    near = [str(trial) for trial in choice.competitors if trial != chosen] if choice else []
    if near:
        text += f"; these seeds cannot tell it from trial {' and '.join(near)}"
    return "; ".join([text, *left_out])


def _left_out(config: SeededConfig, values: Values, n: int) -> str:
    if config.failures:
        return f"{len(config.failures)} of its {len(config.runs)} runs failed"
    if len(config.values) >= n:
        return "its weights were not kept (search.keep_checkpoints)"
    return "it has no seeds in common with the others"


def _named(config: SeededConfig) -> str:
    return (
        f"the default config (trial {config.trial})"
        if config.is_default
        else (f"trial {config.trial}")
    )


def _mean(values: Sequence[float]) -> str:
    return number(sum(values) / len(values))


def _is_ready(folder: StudyFolder, candidate: Candidate) -> bool:
    run = candidate.record.run
    if run is None or not candidate.record.has_rank:
        return False
    return (folder.trial(candidate.number) / run.checkpoint.path).is_file()


def _seeded(
    folder: StudyFolder,
    candidate: Candidate,
    runs: Sequence[Run],
    outcomes: Mapping[Path, Outcome],
) -> SeededConfig:
    record = candidate.record
    return SeededConfig(
        trial=record.number,
        is_default=candidate.is_default,
        config_sha256=record.config_sha256,
        search_value=record.value if record.state == "complete" else None,
        ready=_is_ready(folder, candidate),
        runs=[
            _seed_run(folder, run, outcomes[run.folder])
            for run in runs
            if run.trial == record.number
        ],
    )


def _seed_run(folder: StudyFolder, run: Run, outcome: Outcome) -> SeedRun:
    result = outcome.run
    return SeedRun(
        seed=run.seed,
        value=None if result is None else result.value,
        test=None,
        failed=outcome.failed,
        folder=run.folder.relative_to(folder.path).as_posix(),
        checkpoint_sha256=None if result is None else result.checkpoint.sha256,
    )
