"""Model files as compression reads and writes them: graph, manifest, seal."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hpo.compress.judging import Truth
from hpo.compress.outcome import Change
from hpo.errors import UsageError
from hpo.export.onnx_form import SEAL
from hpo.predict.onnx_file import OnnxPredictor
from hpo.records import now_utc
from hpo.ship.manifest import MANIFEST, Manifest, Scored, manifest_text
from hpo.ship.seal import UNSEALED, read_model, sealed

if TYPE_CHECKING:
    from onnx import ModelProto


@dataclass(frozen=True, kw_only=True)
class Original:
    """A model file that is to become smaller."""

    where: str
    """What the user called it."""
    content: bytes
    manifest: Manifest

    def graph(self) -> "ModelProto":
        """Return its graph."""
        import onnx

        return onnx.load_from_string(self.content)


def read_original(path: Path) -> Original:
    """Open a model file.

    Raises:
        UsageError: if there is no such file, it is damaged, no ONNX file of hpo's, or compressed
            already.
        EnvironmentFault: if onnxruntime is missing.
    """
    where = str(path)
    if path.suffix.lower() == ".pt2":
        what = "is a PyTorch program, and ONNX files are made smaller"
        raise UsageError(where, what, "write one of the same model with hpo export --format onnx")
    content = read_model(path)
    manifest = OnnxPredictor.from_bytes(content, where, threads=1).manifest
    if manifest.compressed is not None:
        what = f"is compressed already ({manifest.compressed})"
        raise UsageError(where, what, "name the file that it was made of, or best_config.json")
    return Original(where=where, content=content, manifest=manifest)


def compressed_manifest(manifest: Manifest, name: str, note: str) -> Manifest:
    """Return the manifest of a form, without scores yet.

    Args:
        manifest: of the original, or of what was exported after pruning.
        name: of the form.
        note: what must be known of it.
    """
    changes = {
        "compressed": name,
        "scores": [],
        "notes": [*manifest.notes, note],
        "created_utc": now_utc(),
    }
    return manifest.model_copy(update=changes)


def scored(manifest: Manifest, found: Change | None, truth: Truth, n_rows: int) -> Manifest:
    """Return the manifest with what the form itself came to on validation rows, if it did."""
    if found is None:
        return manifest
    score = Scored(
        metric=truth.metric,
        direction=truth.direction,
        split="validation",
        value=found.after,
        ci95=found.after_ci95,
        n_rows=n_rows,
    )
    return manifest.model_copy(update={"scores": [score]})


def content_of(graph: "ModelProto", manifest: Manifest) -> bytes:
    """Return the bytes of a model file: the graph with its manifest, sealed."""
    import onnx

    file = onnx.ModelProto()
    file.CopyFrom(graph)
    del file.metadata_props[:]
    file.producer_name, file.doc_string = "hpo", manifest.name
    file.ClearField("producer_version")
    for key, value in ((MANIFEST, manifest_text(manifest)), (SEAL, UNSEALED)):
        file.metadata_props.add(key=key, value=value)
    return sealed(file.SerializeToString(deterministic=True))
