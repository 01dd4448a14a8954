"""Check a study before it runs: its space, some configs, one batch of every family."""

from collections.abc import Callable
from dataclasses import dataclass

from hpo.child import prepared_data
from hpo.grammar.nodes import Choices, OneOf, Range
from hpo.preflight import Tried, try_families
from hpo.space import Parameter
from hpo.spec import StudySpec
from hpo.words import describe_config, duration, plain_value
from hpo.workers import InProcess
from lightning_modules.build import build_module
from lightning_modules.config import RunConfig

BATCHES = 5


@dataclass(frozen=True, kw_only=True)
class Sampled:
    """A config of the space, and the size of its network."""

    config: RunConfig
    n_parameters: int


@dataclass(frozen=True, kw_only=True)
class Checked:
    """What was found."""

    spec: StudySpec
    samples: list[Sampled]
    tried: list[Tried]

    @property
    def longest_s(self) -> float | None:
        """Seconds of the study if nothing is pruned; None without a limit of trials."""
        trials = self.spec.budget.trials
        if trials is None:
            return None
        epochs = [one.epoch_s * one.config.most_epochs for one in self.tried]
        return trials * sum(epochs) / len(epochs)


def check_study(spec: StudySpec) -> Checked:
    """Try ``spec``: three configs by chance, and a few batches of every family's default.

    Raises:
        UsageError: if a family does not train on the data.
    """
    tried = try_families(spec, InProcess(), n_batches=BATCHES).tried
    samples = []
    for seed in range(3):
        config = spec.space.random(seed)
        module = build_module(config, prepared_data(config))
        size = sum(parameter.numel() for parameter in module.parameters())
        samples.append(Sampled(config=config, n_parameters=size))
    return Checked(spec=spec, samples=samples, tried=tried)


def report(checked: Checked, say: Callable[[str], None]) -> None:
    """Say what was found, in lines."""
    spec = checked.spec
    parameters = spec.space.parameters()
    say(f"study {spec.name}: {len(parameters)} dimensions")
    for parameter in parameters:
        say(f"  {parameter.name:<34} {domain(parameter)}")
    say("three configs by chance:")
    for one in checked.samples:
        say(f"  {describe_config(one.config.plain()):<34} {_size(spec, one.n_parameters)}")
    say("default configs, tried on a few batches:")
    for tried in checked.tried:
        cost = f"{tried.n_batches} batches, {duration(tried.epoch_s)} an epoch"
        name = tried.config.family
        say(f"  {name:<34} {_size(spec, tried.n_parameters)}, {cost}")
    for default in spec.space.defaults():
        for note in default.notes:
            say(f"note: {note}")
    for line in _repeats(checked.tried[0].config):
        say(f"note: {line}")
    if checked.longest_s is not None:
        say(
            f"at most about {duration(checked.longest_s)} for {spec.budget.trials} trials; "
            "pruning makes it shorter"
        )


def _repeats(config: RunConfig) -> list[str]:
    """Return what became of rows that repeat others."""
    data = prepared_data(config).prepared
    n = 0 if data is None else data.n_repeats
    if not n:
        return []
    rows = "1 row has" if n == 1 else f"{n:,} rows have"
    if getattr(config.data, "duplicates", "keep") == "drop":
        return [f"{rows} the features of an earlier one; those of equal target too are left out"]
    if getattr(config.data, "split", None) == "time":
        return [f"{rows} the features of an earlier one; data.duplicates: drop leaves out copies"]
    return [
        f"{rows} the features of an earlier one and its split; "
        "data.duplicates: drop leaves out copies"
    ]


def _size(spec: StudySpec, n_parameters: int) -> str:
    most = spec.limits.get("n_parameters")
    over = most is not None and n_parameters > most
    return f"{n_parameters:>12,} parameters" + (" (over constraints.n_parameters)" if over else "")


def domain(parameter: Parameter) -> str:
    """Return what a parameter can be, in words, with the branch it belongs to."""
    node = parameter.node
    if isinstance(node, Range):
        text = f"{plain_value(node.low)} … {plain_value(node.high)}"
        text += " log" if node.log else ""
        text += f" step {plain_value(node.step)}" if node.step is not None else ""
    elif isinstance(node, OneOf):
        text = " | ".join(node.branches)
    else:
        text = _choices(node)
    return text


def _choices(node: Choices) -> str:
    return " | ".join(plain_value(choice) for choice in node.choices)
