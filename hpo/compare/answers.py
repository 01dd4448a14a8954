"""The answers of a comparison in words: may they be compared, and what to do next."""

from collections.abc import Sequence

from hpo.compare.comparison import Comparison, Verdict

SEARCHES = (
    "The verdict is about the best configs. Which space or sampler searches better takes several "
    "studies of each, with other seeds (--set search.seed=1 --name …)."
)


def may_words(comparison: Comparison) -> str:
    """Return in a sentence whether the studies may be compared."""
    names = _listed(comparison.labels)
    levels = {difference.level for difference in comparison.differences}
    common = _listed(_in_common(comparison))
    if "blocks" in levels:
        return f"{names} may not be compared in their values"
    if "warns" in levels:
        return f"{names} may be compared, with care: they have the same {common}"
    return f"{names} may be compared: they have the same {common}"


def next_commands(verdicts: Sequence[Verdict]) -> list[str]:
    """Return the commands that would tell more, each once; of equal studies the most seeds."""
    most: dict[str, tuple[int, str]] = {}
    for command in (command for verdict in verdicts for command in verdict.proof):
        *study, seeds = command.removesuffix(" --test").split(" ")
        key = " ".join(study)
        most[key] = max(most.get(key, (0, "")), (int(seeds), command))
    return [command for _, command in most.values()]


def _in_common(comparison: Comparison) -> list[str]:
    differing = {difference.what for difference in comparison.differences}
    names = ["data", "split", "metric", "direction", "epochs per trial"]
    if "data and split" in differing:
        differing |= {"data", "split"}
    return [name for name in names if name not in differing]


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:-1]) + (" and " if len(names) > 1 else "") + names[-1]
