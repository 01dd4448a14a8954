"""The model card: what a file predicts, from what, how well, and where its limits are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hpo.export.describing import Seen, columns_table, input_words, limit_words
from hpo.export.markdown import listed, plain, table
from hpo.export.scores import Worth
from hpo.export.snippets import snippet
from hpo.files import dump_yaml
from hpo.ship.manifest import Manifest, Scored
from hpo.words import describe_config, number, size_words
from lightning_modules.evaluation.findings import ClassScores

_CLASSES = 60
"""Classes whose scores the card lists."""


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What a card says beside the manifest."""

    file: Path
    sha256: str
    """Of the file."""
    size: int
    compared: str
    """What it was compared with, and how far apart they were, in words."""
    worth: Worth
    n_rows: Mapping[str, int]
    """Of each split."""
    seen: Sequence[Seen]


def card(manifest: Manifest, facts: Facts) -> str:
    """Return the card, Markdown."""
    sections = {
        "What it predicts": _predicts(manifest),
        "How well": _how_well(facts.worth),
        "What it was trained on": _data(manifest, facts),
        "What goes in, what comes out": input_words(manifest),
        "Limits": limit_words(manifest, facts.n_rows["training"]),
        "How to use it": _use(manifest, facts.file),
        "Where it comes from": _origin(manifest, facts),
        "Config" + (" of the first network" if len(manifest.members) > 1 else ""): "```yaml\n"
        + dump_yaml(manifest.config).rstrip()
        + "\n```",
    }
    head = [f"# {plain(manifest.name)}: model card", _head(manifest, facts)]
    return "\n\n".join([*head, *(f"## {name}\n\n{text}" for name, text in sections.items())]) + "\n"


def _head(manifest: Manifest, facts: Facts) -> str:
    form = "PyTorch program (.pt2)" if facts.file.suffix == ".pt2" else "ONNX"
    n_members = len(manifest.members)
    what = plain(describe_config(manifest.config))
    if n_members > 1:
        what = f"{n_members} networks as one"
    made = manifest.created_utc[:10]
    name = f"`{facts.file.name}`"
    return (
        f"{name}: {what}, {form}, {size_words(facts.size)}, made by hpo on {made}. It takes raw "
        "rows: the preparation is inside."
    )


def _predicts(manifest: Manifest) -> str:
    classes, names = manifest.classes or [], manifest.target_names or []
    output = manifest.outputs[0]
    if manifest.kind in ("binary", "multiclass"):
        what = f"Which of {len(classes)} classes a row is of: {listed(classes, 30)}."
        return f"{what} It gives a probability of each, in this order."
    if manifest.kind == "multilabel":
        what = f"Which of {len(names)} labels a row has, any number of them: {listed(names, 30)}."
        return f"{what} It gives a probability of each, in this order."
    if manifest.kind == "forecasting":
        return f"The next {output.shape[0] if output.shape else 1} steps of a series, in its units."
    if names:
        return f"{len(names)} numbers, in their own units: {listed(names, 30)}."
    target = manifest.data.get("target")
    column = f", the column {plain(target)}" if isinstance(target, str) else ""
    return f"A number in its own units{column}."


def _how_well(worth: Worth) -> str:
    """Return the metrics with their intervals, and what must be known of them."""
    both = [*worth.scores, *worth.others]
    parts = []
    if both:
        headings = ("metric", "split", "value", "95 % interval", "rows", "better is")
        parts.append(table(headings, [_score(one, bold=one in worth.scores) for one in both]))
    if any(one.ci95 is not None for one in both):
        parts.append(
            "The interval is that of other rows of the same kind; it says nothing of other data."
        )
    if not both:
        parts.append("Nothing is recorded: hpo evaluate measures the best config of a study.")
    for split, scores in worth.per_class.items():
        if scores:
            parts.append(f"Each class against the rest, on {split}:")
            parts.append(_per_class(scores))
    return "\n\n".join([*parts, *worth.remarks])


def _score(one: Scored, *, bold: bool) -> list[str]:
    mark = "**" if bold else ""
    ends = "–" if one.ci95 is None else f"{number(one.ci95[0])} to {number(one.ci95[1])}"
    better = "higher" if one.direction == "maximize" else "lower"
    value = f"{mark}{number(one.value)}{mark}"
    return [f"{mark}{plain(one.metric)}{mark}", one.split, value, ends, f"{one.n_rows:,}", better]


def _per_class(scores: Sequence[ClassScores]) -> str:
    rows = [
        [plain(one.name), f"{one.rows:,}", *map(number, (one.precision, one.recall, one.f1))]
        for one in scores[:_CLASSES]
    ]
    more = len(scores) - _CLASSES
    rest = f"\n\n… and {more} classes more." if more > 0 else ""
    return table(("class", "rows", "precision", "recall", "F1"), rows) + rest


def _data(manifest: Manifest, facts: Facts) -> str:
    counted = ", ".join(f"{n:,} for {split}" for split, n in facts.n_rows.items())
    source = plain(manifest.data.get("path") or manifest.data.get("source"))
    lines = [
        f"Data: {source} ({plain(manifest.data.get('source'))}); rows: {counted}. Every statistic "
        "of the preparation is of the training rows alone.",
        columns_table(manifest, facts.seen, n_train=facts.n_rows["training"]),
    ]
    return "\n\n".join(line for line in lines if line)


def _use(manifest: Manifest, file: Path) -> str:
    language = "```python\n" + snippet(manifest, file).rstrip() + "\n```"
    suite = f"```console\n$ hpo predict {file.name} rows.csv -o predicted.csv\n"
    if file.suffix != ".pt2":
        suite += f"$ hpo serve {file.name}\n"
    return (
        f"{language}\n\nWith hpo, which reads tables and files as training did and checks them:\n\n"
        f"{suite}```"
    )


def _origin(manifest: Manifest, facts: Facts) -> str:
    rows = [
        ["file", f"`{facts.file.name}`", f"`{facts.sha256}`"],
        ["config", "", f"`{manifest.config_sha256}`"],
        *(
            [name.removesuffix("_sha256"), "", f"`{digest}`"]
            for name, digest in manifest.hashes.items()
        ),
    ]
    for member in manifest.members:
        trial = "" if member.get("trial") is None else f"trial {member['trial']}"
        weight = f", weight {member['weight']:.4g}" if len(manifest.members) > 1 else ""
        rows.append(["checkpoint", f"{trial}{weight}", f"`{member['checkpoint_sha256']}`"])
    versions = ", ".join(f"{name} {version}" for name, version in manifest.versions.items())
    return (
        table(("what", "", "sha256"), rows)
        + f"\n\nBefore it was written it was {facts.compared}.\n\nMade with {versions}."
    )
