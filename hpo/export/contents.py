"""What is put into a model file: the networks as one module, and the manifest that speaks of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from hpo.environment import version_of
from hpo.errors import UsageError
from hpo.export.source import Source
from hpo.export.specs import input_specs, output_spec, with_strings
from hpo.records import config_sha256, now_utc
from hpo.ship.manifest import Manifest, Scored, Statistics, TensorSpec
from lightning_modules.data.fitted import Fitted
from lightning_modules.data.forecasting import WindowPreparation
from lightning_modules.data.sequences import SequencePreparation
from lightning_modules.data.texts import TextPreparation
from lightning_modules.packaged.columns import RawColumns, raw_columns
from lightning_modules.packaged.combined import Combined
from lightning_modules.packaged.packaged import Packaged

WRITERS = ("hpo", "torch", "onnx", "onnxscript", "numpy")
"""Packages whose version decides what is in a file."""


@dataclass(frozen=True, kw_only=True)
class Packed:
    """One or several networks as one module, and its inputs."""

    module: nn.Module
    raw: RawColumns
    specs: Sequence[TensorSpec]
    """Text as codes."""
    output: TensorSpec
    family: str
    """Of the network, of several each one's."""
    size: int
    """Of the weights, in bytes."""


def pack(source: Source) -> Packed:
    """Return what is exported as one module.

    Raises:
        UsageError: if the members of an ensemble cut texts or sequences differently.
    """
    members = source.members
    _refuse_unlike(source)
    raw = raw_columns([one.fitted.preparation for one in members])
    parts = [Packaged(one.fitted, one.module, raw) for one in members]
    module: nn.Module = parts[0]
    if source.ensemble is not None:
        how = source.ensemble.combination
        module = Combined(
            parts, method=how.method, weights=how.weights, intercepts=how.intercepts
        ).eval()
    first = source.first
    tensors = [*module.parameters(), *module.buffers()]
    return Packed(
        module=module,
        raw=raw,
        specs=input_specs(first.fitted, raw),
        output=output_spec(str(first.config.kind), first.module.facts),
        family=" and ".join(dict.fromkeys(one.config.family for one in members)),
        size=sum(one.nbytes for one in tensors),
    )


def manifest_of(
    source: Source,
    packed: Packed,
    *,
    scores: Sequence[Scored],
    statistics: Statistics,
    form: str,
) -> Manifest:
    """Return the manifest of a file.

    Args:
        source: what is exported.
        packed: the same as a module.
        scores: what it came to.
        statistics: of the training rows.
        form: ``onnx`` or ``pt2``.
    """
    first, best = source.first, source.best
    facts, config = first.module.facts, first.config.portable()
    if best is not None:
        config = best.config
    inputs = list(packed.specs) if form == "pt2" else with_strings(packed.specs)
    return Manifest(
        schema="hpo.model/1",
        name=source.name,
        kind=str(first.config.kind),
        classes=facts.classes,
        target_names=facts.target_names,
        data=config["data"],
        fitted=first.fitted,
        vocabularies=[list(known) for known in packed.raw.vocabularies],
        inputs=inputs,
        outputs=[packed.output],
        scores=list(scores),
        statistics=statistics,
        config=config,
        config_sha256=config_sha256(config) if best is None else best.config_sha256,
        members=list(source.described),
        notes=[*_notes(first.fitted, inputs), *_notes_of_members(source), *_notes_of_form(form)],
        versions={name: found for name in WRITERS if (found := version_of(name))},
        created_utc=now_utc(),
    )


def _refuse_unlike(source: Source) -> None:
    """Refuse an ensemble whose members need other inputs than the first."""
    wanted = _cut(source.first.fitted)
    for described, one in zip(source.described[1:], source.members[1:], strict=True):
        if _cut(one.fitted) != wanted:
            what = f"trial {described['trial']} cuts rows otherwise than the first member: "
            what += "one file would need several inputs for the same row"
            hint = "leave it out, or use the ensemble as it is: hpo predict takes ensemble.json"
            raise UsageError(str(source.record), what, hint)


def _cut(fitted: Fitted) -> Any:
    """Return what decides the shape of the inputs of sequences, and the tokens of texts."""
    preparation = fitted.preparation
    if isinstance(preparation, SequencePreparation):
        return (preparation.length, preparation.difference, preparation.padded)
    return preparation if isinstance(preparation, TextPreparation) else None


def _notes(fitted: Fitted, inputs: Sequence[TensorSpec]) -> list[str]:
    """Return what must be known to use a file without hpo."""
    preparation, names = fitted.preparation, [one.name for one in inputs]
    notes = []
    if isinstance(preparation, SequencePreparation):
        n_steps = preparation.length + preparation.difference
        shorter = (
            "shorter ones are filled up with anything, and `lengths` says how many steps are real"
            if preparation.padded
            else "shorter ones cannot be predicted"
        )
        notes.append(f"Every sequence has exactly {n_steps} steps: longer ones are cut; {shorter}.")
    if isinstance(preparation, WindowPreparation):
        what = f"Every row has exactly {preparation.window} consecutive steps, the latest last"
        notes.append(f"{what}; the first column of `numbers` is the predicted one.")
    if isinstance(preparation, TextPreparation):
        notes.append(
            f"Every text is exactly {preparation.length} token numbers, 0 behind the end and 1 for "
            "unknown ones; hpo predict and hpo serve cut texts by the vocabulary in the manifest."
        )
    if "texts" in names:
        notes.append("Of `texts`, an empty one is missing.")
    if "codes" in names:
        what = "a text's place in `vocabularies` of the manifest, -1 where it is missing, -2 where"
        notes.append(f"`codes` are {what} it is unknown.")
    if "moments" in names:
        notes.append("`moments` are seconds since 1970, NaN where one is missing.")
    if "numbers" in names:
        notes.append("Of `numbers`, NaN is missing.")
    return notes


def _notes_of_members(source: Source) -> list[str]:
    if source.ensemble is None:
        return []
    n_members, method = len(source.members), source.ensemble.method
    return [f"{n_members} networks, each with its own preparation, answer as one: {method}."]


def _notes_of_form(form: str) -> list[str]:
    if form != "pt2":
        return []
    version = version_of("torch")
    return [f"PyTorch promises to open .pt2 files with the version that wrote them: {version}."]
