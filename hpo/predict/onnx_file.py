"""The predictor of an ONNX file, preparation included: onnxruntime, and no torch."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from hpo.errors import UsageError
from hpo.extras import require
from hpo.predict.predictor import Answers, Floats, Inputs, Raw
from hpo.ship.feeds import feeds_of
from hpo.ship.manifest import MANIFEST, Manifest, read_manifest
from hpo.ship.seal import check_seal, read_model
from lightning_modules.data.config import SOURCES
from lightning_modules.registry import UnknownNameError
from lightning_modules.settings import Settings

NO_MODEL = "write it with hpo export"
_WEIGHTS_ELSEWHERE = "session.model_external_initializers_file_folder_path"
"""The option that says below which folder an ONNX file may take weights from other files."""
_ERRORS_ONLY = 3
"""The level of what onnxruntime says by itself on standard error."""


@dataclass(frozen=True, kw_only=True)
class OnnxPredictor:
    """A model file that was opened; calls from several threads at once are safe."""

    manifest: Manifest
    sha256: str
    """The file's seal."""
    session: Any
    """Of onnxruntime, which has no types."""

    @classmethod
    def open(cls, path: Path, *, threads: int | None = None) -> "OnnxPredictor":
        """Open a file.

        Args:
            path: an ``.onnx`` file that `hpo export` or `hpo compress` wrote.
            threads: how many one call computes with; by default as many as there are cores.

        Raises:
            UsageError: if there is no such file, it is damaged, or no model file of this schema.
            EnvironmentFault: if onnxruntime is missing.
        """
        return cls.from_bytes(read_model(path), str(path), threads=threads)

    @classmethod
    def from_bytes(
        cls, content: bytes, where: str = "model", *, threads: int | None = None
    ) -> "OnnxPredictor":
        """Open the bytes of a file; as `open`.

        Raises:
            UsageError: if they are damaged, or no model file of this schema.
            EnvironmentFault: if onnxruntime is missing.
        """
        seal = check_seal(content, where)
        session = session_of(content, where, threads=threads)
        known = session.get_modelmeta().custom_metadata_map
        if MANIFEST not in known:
            raise UsageError(where, "is an ONNX file without hpo's manifest", NO_MODEL)
        return cls(manifest=read_manifest(known[MANIFEST], where), sha256=seal, session=session)

    @property
    def inputs(self) -> Inputs:
        """How rows are read for it."""
        return inputs_of(self.manifest)

    @property
    def answers(self) -> Answers:
        """What it says of a row."""
        return answers_of(self.manifest)

    def outputs(self, raw: Raw) -> Floats:
        """Return what it says of rows; see `Predictor`.

        Raises:
            DataError: if the rows do not fit.
        """
        if not len(raw):
            return nothing(self.manifest)
        found: Floats = self.session.run(None, feeds_of(self.manifest, raw))[0]
        return found


def session_of(content: bytes, where: str, *, threads: int | None = None) -> Any:
    """Return a session of onnxruntime on the CPU.

    Args:
        content: of an ONNX file.
        where: begins the errors.
        threads: how many one call computes with; by default as many as there are cores.

    Raises:
        UsageError: if it is no ONNX file that onnxruntime can run.
        EnvironmentFault: if onnxruntime is missing.
    """
    require(where, ["onnxruntime"], extra="serve")
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.log_severity_level = _ERRORS_ONLY + 1
    options.inter_op_num_threads = 1
    options.add_session_config_entry(_WEIGHTS_ELSEWHERE, os.devnull)  # which is no folder: none
    if threads is not None:
        options.intra_op_num_threads = threads
    else:  # the next rows are read meanwhile: threads that wait must not keep the cores busy
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # noqa: BLE001  (onnxruntime raises a class of its own for each cause)
        first = str(error).splitlines()[0][:200]
        raise UsageError(where, f"onnxruntime cannot read it ({first})", NO_MODEL) from None


def inputs_of(manifest: Manifest) -> Inputs:
    """Return how new rows are read for a model file.

    Where the source of its data is of a plugin that is not there, rows are read by the columns
    that were fitted alone.
    """
    data: Settings = Settings()
    try:
        data = SOURCES[str(manifest.data.get("source"))].config.model_validate(manifest.data)
    except (UnknownNameError, ValidationError):
        pass
    return Inputs(data=data, fitted=manifest.fitted)


def answers_of(manifest: Manifest) -> Answers:
    """Return what a model file says of a row."""
    names = manifest.target_names
    return Answers(kind=manifest.kind, classes=manifest.classes, target_names=names)


def nothing(manifest: Manifest) -> Floats:
    """Return what is said of no rows."""
    shape: Sequence[int] = manifest.outputs[0].shape
    return np.empty((0, *shape), dtype=np.float32)
