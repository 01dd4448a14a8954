"""Each form of a model: its graph, and what its manifest says of it."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hpo.compress.asking import NO_TRAINING, SPARSITY, Ask
from hpo.compress.families import units_of
from hpo.compress.files import Original, compressed_manifest, read_original
from hpo.compress.material import Material
from hpo.compress.measuring import Candidate
from hpo.compress.outcome import NAMES
from hpo.compress.pruning import EPOCHS, ROUNDS, prune
from hpo.compress.quantise import dynamic, half, static
from hpo.errors import UsageError
from hpo.export.export import Wanted, export
from hpo.export.source import Source
from hpo.ship.manifest import Manifest
from lightning_modules.build import open_data
from lightning_modules.config import RunConfig

NOTES = {
    "fp16": "Large weights are kept as float16; everything is computed as before.",
    "dynamic-int8": "Large weights are kept as int8; dense layers compute in int8, their inputs "
    "rounded to 256 steps between the least and the largest of each call: what a row is told "
    "depends a little on the other rows of its call.",
    "static-int8": "Large weights are kept as int8; dense and convolutional layers compute in "
    "int8, with ranges seen on training rows: rows far beyond those are cut to them.",
}


@dataclass(frozen=True, kw_only=True)
class Trained:
    """The networks that a file is made of, where they are at hand."""

    source: Source
    config: RunConfig
    """Of the first, its data found on this machine."""


@dataclass(frozen=True, kw_only=True)
class Maker:
    """Makes the forms of one model."""

    ask: Ask
    original: Original
    material: Material
    trained: Trained | None
    scratch: Path
    """A folder that goes again."""
    tell: Callable[[str], None]

    def make(self, method: str) -> Candidate:
        """Make one form.

        Raises:
            UsageError: if the model is none of which it can be made.
            StudyError: if its fine-tuning diverges.
        """
        name = NAMES[method]
        if method == "prune":
            return self._pruned(name)
        graph, manifest = self.original.graph(), self.original.manifest
        self.tell(f"making {name}…")
        if method == "fp16":
            made = half(graph)
        elif method == "dynamic":
            made = dynamic(graph)
        else:
            made = static(graph, self.material.calibration)
        known = compressed_manifest(manifest, name, NOTES[name])
        return Candidate(name=name, graph=made, manifest=known)

    def _pruned(self, name: str) -> Candidate:
        if self.trained is None:
            hint = "name the best_config.json or the run's folder that it was exported from"
            raise UsageError("--method prune", NO_TRAINING, hint)
        source, config = self.trained.source, self.trained.config
        if source.ensemble is not None:
            what = "an ensemble is several networks"
            hint = "--method dynamic and fp16 take it; prune one member by its run's folder"
            raise UsageError("--method prune", what, hint)
        state = source.first.module.state_dict()
        units_of(config, state)
        epochs = EPOCHS * (ROUNDS + 1)
        self.tell(f"pruning in {ROUNDS} rounds, with {epochs} epochs of fine-tuning…")
        done = prune(
            config,
            state,
            data=open_data(config),
            folder=self.scratch / name,
            sparsity=self.ask.sparsity or SPARSITY,
        )
        file, results = self.scratch / f"{name}.onnx", self.ask.results
        made = exported(str(done.folder), config, file, results=results)
        known = compressed_manifest(_renamed(made.manifest, self.original), name, done.words + ".")
        return Candidate(name=name, graph=made.graph(), manifest=known)


def exported(given: str, config: RunConfig, file: Path, *, results: Path) -> Original:
    """Return what `hpo export` writes of a model.

    Args:
        given: what it exports.
        config: of it, its data found on this machine.
        file: where it is put meanwhile.
        results: the folder of all studies.

    Raises:
        UsageError: if it cannot be exported.
        RefusedError: if its data are others, or the file differs from the checkpoint.
    """
    path = getattr(config.data, "path", None)
    place = None if path is None else f"data.path={json.dumps(str(Path(path).resolve()))}"
    wanted = Wanted(form="onnx", output=file, sets=[place] if place else [])
    export(given, wanted, results=results, say=lambda _: None)
    return read_original(file)


def _renamed(manifest: Manifest, original: Original) -> Manifest:
    """Return the manifest of a pruned network under the name of the model that it was."""
    first = original.manifest
    members = [{**first.members[0], **manifest.members[0], "trial": first.members[0].get("trial")}]
    data = first.data
    return manifest.model_copy(update={"name": first.name, "data": data, "members": members})
