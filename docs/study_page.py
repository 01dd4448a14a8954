"""docs/reference/study.md, written from the config models and their docstrings."""

from collections.abc import Mapping

from docs.fields import all_keys, meaning, own_keys, settings_words, summary, table
from hpo.search import PRUNERS, SAMPLERS, BudgetConfig, ConstraintsConfig, Limit, SearchConfig
from hpo.spec import COMPARED
from lightning_modules.config import EarlyStoppingConfig, ObjectiveConfig, TrainerConfig
from lightning_modules.data.augment_config import AugmentConfig, JitterConfig, RandAugmentConfig
from lightning_modules.data.config import SOURCES, PrepareConfig
from lightning_modules.families import FAMILIES
from lightning_modules.families.embedding import EMBEDDINGS
from lightning_modules.optim import AVERAGES, OPTIMIZERS, SCHEDULES
from lightning_modules.settings import Settings
from lightning_modules.task import CLASS_LOSSES, LABEL_LOSSES, METRICS, NUMBER_LOSSES, TASKS

HEAD = """# The study file, key by key

<!-- written by make docs -->

A study file is YAML 1.2, or JSON. It has these sections; `data` and `model` are needed, everything else
has a default:

| section | what it decides |
|---|---|
| `name` | the study's name and folder: 1 to 64 letters, digits, `.`, `_`, `-`; default: the file's name |
| [`task`](#task) | what is predicted, and by which loss |
| [`data`](#data) | which rows, how they are split and prepared |
| [`model`](#model) | which network |
| [`optimizer`](#optimizer), [`schedule`](#schedule) | how its weights are changed |
| [`trainer`](#trainer) | how long, in which batches, on what |
| [`objective`](#objective) | which metric decides |
| [`budget`](#budget), [`search`](#search), [`constraints`](#constraints) | when the study ends, how configs are proposed and stopped, what a network may cost |

`hpo schema` prints the same as a JSON Schema, with which an editor completes and checks the file.
`hpo check` says what is wrong with one. On the command line `--set PATH=VALUE` sets any key by its
dotted path.

## How a value is searched

A key of `task`, `data`, `model`, `optimizer`, `schedule` or `trainer` has a plain value, or one of these in
its place. `budget`, `search`, `constraints` and `objective` take plain values alone.

| written | what is tried |
|---|---|
| `{low: 1, high: 4}` | a number from 1 to 4, both included; whole if the key takes whole numbers |
| `{low: 1e-4, high: 1e-1, log: true}` | the same, evenly on a logarithmic scale |
| `{low: 16, high: 64, step: 16}` | 16, 32, 48 or 64 |
| `{choices: [relu, gelu]}` | one of these values |
| `{one_of: {adamw: {lr: …}, sgd: {lr: …}}}` | one of several kinds, each with its own settings |
| `{length: {low: 1, high: 3}, each: {low: 16, high: 256}}` | a list, and each of its entries |

All trials of a study have to be comparable, so these cannot be searched: """  # noqa: E501


def study_page() -> str:
    """Return the page: every key, grouped by section."""
    fixed = ", ".join(f"`{name}`" for name in COMPARED)
    parts = [f"{HEAD}{fixed}."]
    for title, lines in (
        ("task", _task()),
        ("data", _data()),
        ("model", _model()),
        ("optimizer", _optimizer()),
        ("schedule", _schedule()),
        ("trainer", _trainer()),
        ("objective", _objective()),
        ("budget", [summary(BudgetConfig), "", *_whole_table(BudgetConfig), "", *_WITHOUT_BUDGET]),
        ("search", _search()),
        ("constraints", _constraints()),
    ):
        parts += ["", f"## {title}", "", *lines]
    return "\n".join(parts) + "\n"


_WITHOUT_BUDGET = ["Without a section `budget` a study has 50 trials."]


def _task() -> list[str]:
    lines = ["`kind` says which of these it is."]
    for name, entry in TASKS.items():
        lines += [
            "",
            f"### {name}",
            "",
            f"{summary(entry.config)} Judged by `{entry.default_metric}`.",
        ]
        lines += ["", *_whole_table(entry.config)]
    kinds = {"binary, multiclass": CLASS_LOSSES, "multilabel": LABEL_LOSSES}
    kinds["regression, forecasting"] = NUMBER_LOSSES
    losses: dict[str, list[str]] = {}
    for kind, registry in kinds.items():
        for name in registry:
            losses.setdefault(name, []).append(kind)
    models = {**CLASS_LOSSES, **LABEL_LOSSES, **NUMBER_LOSSES}
    lines += ["", "### task.loss", "", "| `name` | of | settings | what |", "|---|---|---|---|"]
    lines += [
        f"| `{name}` | {', '.join(of)} | {settings_words(models[name].config)} "
        f"| {summary(models[name].config)} |"
        for name, of in losses.items()
    ]
    return lines


def _data() -> list[str]:
    configs: Mapping[str, type[Settings]] = {n: e.config for n, e in SOURCES.items() if e.loader}
    lines = ["`source` says where the rows come from.", "", "| `source` | what | its own keys |"]
    lines += ["|---|---|---|"]
    groups: dict[type[Settings], list[str]] = {}
    for name, config in configs.items():
        for base in _bases(config):
            groups.setdefault(base, []).append(name)
        own = ", ".join(f"`{key}`" for key in config.model_fields if key in _all_own(config))
        lines.append(f"| `{name}` | {summary(config)} | {own} |")
    for base, names in sorted(groups.items(), key=lambda one: -len(one[1])):
        rows = table(base, own_keys(base))
        if rows:
            title = "every source" if len(names) == len(configs) else ", ".join(names)
            said = [summary(base), ""] if len(names) > 1 else []
            lines += ["", f"### data: {title}", "", *said, *rows]
    for title, part in (("data.prepare", PrepareConfig), ("data.augment", AugmentConfig)):
        lines += ["", f"### {title}", "", summary(part), "", *_whole_table(part)]
    for name, nested in (("jitter", JitterConfig), ("randaugment", RandAugmentConfig)):
        lines += ["", f"`data.augment.{name}`: {summary(nested)}", "", *_whole_table(nested)]
    return lines


def _bases(config: type[Settings]) -> list[type[Settings]]:
    """Return the models that a source's config is made of, itself first."""
    return [base for base in config.__mro__ if issubclass(base, Settings) and base is not Settings]


def _all_own(config: type[Settings]) -> set[str]:
    """Return the keys that not every source has."""
    return {key for base in _bases(config)[:-1] for key in own_keys(base)}


def _model() -> list[str]:
    lines = ["`family` says which network it is.", "", "| `family` | takes |", "|---|---|"]
    takes = {"features": "tables", "image": "images", "sequence": "sequences", "text": "texts"}
    lines += [
        f"| [`{name}`](#{name}) | {', '.join(takes[one] for one in entry.takes)} |"
        for name, entry in FAMILIES.items()
        if not entry.whole
    ]
    for name, entry in FAMILIES.items():
        if not entry.whole:
            lines += ["", f"### {name}", "", summary(entry.config), "", *_whole_table(entry.config)]
    embeddings = {name: entry.config for name, entry in EMBEDDINGS.items()}
    return [*lines, "", "### model.embedding", "", *_kinds(embeddings)]


_OPTIMIZERS = """A module of your own brings its optimizer itself; then there is no such section.
`lr` is the learning rate, `weight_decay` what weights of two and more dimensions shrink by, the
betas and `momentum` how much of earlier gradients counts. Numbers in brackets are bounds.
[How a network is trained](../training.md) tells which to take."""


def _optimizer() -> list[str]:
    configs = {name: entry.config for name, entry in OPTIMIZERS.items()}
    extra = ", ".join(f"`{name}`" for name, entry in OPTIMIZERS.items() if entry.extra)
    meanings = _meanings(configs)
    return [
        _OPTIMIZERS,
        "",
        *_kinds(configs),
        "",
        *meanings,
        "",
        f"With the extra `optim`: {extra}.",
    ]


def _schedule() -> list[str]:
    configs = {name: entry.config for name, entry in SCHEDULES.items()}
    return ["What the learning rate does along the way.", "", *_kinds(configs)]


def _trainer() -> list[str]:
    averages = {name: entry.config for name, entry in AVERAGES.items()}
    return [
        summary(TrainerConfig),
        "",
        *_whole_table(TrainerConfig),
        "",
        "### trainer.averaging",
        "",
        *_kinds(averages),
        "",
        "### trainer.early_stopping",
        "",
        summary(EarlyStoppingConfig),
        "",
        *_whole_table(EarlyStoppingConfig),
    ]


def _objective() -> list[str]:
    lines = [
        summary(ObjectiveConfig),
        "",
        "| key | value | default |",
        "|---|---|---|",
        "| `metric` | a metric of the task, or what a module of your own logs | the task's |",
        "| `direction` | `maximize`, `minimize` | the metric's; for your own `maximize` |",
        "",
        "| metric | better is | of |",
        "|---|---|---|",
    ]
    for name, metric in METRICS.items():
        better = "higher" if metric.direction == "maximize" else "lower"
        lines.append(f"| `{name}` | {better} | {', '.join(metric.kinds)} |")
    return lines


def _search() -> list[str]:
    samplers = {name: entry.config for name, entry in SAMPLERS.items()}
    pruners = {name: entry.config for name, entry in PRUNERS.items()}
    lines = [summary(SearchConfig), "", *_whole_table(SearchConfig)]
    lines += ["", "### search.sampler", "", *_kinds(samplers), "", *_meanings(samplers)]
    lines += ["", "### search.pruner", "", *_kinds(pruners), "", *_meanings(pruners)]
    return lines


def _constraints() -> list[str]:
    lines = [summary(ConstraintsConfig), "", *_whole_table(ConstraintsConfig)]
    return [*lines, "", f"{summary(Limit)} It is written `{{max: 1e4}}`."]


def _kinds(configs: Mapping[str, type[Settings]]) -> list[str]:
    """Return one row for each of several kinds: its settings with their defaults."""
    rows = [
        f"| `{name}` | {summary(config)} | {settings_words(config) or '–'} |"
        for name, config in configs.items()
    ]
    return ["| `name` | what | settings: default (bounds) |", "|---|---|---|", *rows]


def _meanings(configs: Mapping[str, type[Settings]]) -> list[str]:
    """Return what is said of single settings of several kinds, each once."""
    found: dict[str, str] = {}
    for config in configs.values():
        for key in config.model_fields:
            said = meaning(config, key)
            if said:
                found.setdefault(f"- `{key}`: {said}", "")
    return list(found)


def _whole_table(config: type[Settings]) -> list[str]:
    """Return the table of all keys of a model, those of its bases too."""
    return table(config, all_keys(config)) or ["It has no settings."]
