"""The predictor of a ``.pt2`` file, preparation included: torch, and no code of the network."""

import io
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from hpo.errors import UsageError
from hpo.predict.onnx_file import NO_MODEL, answers_of, inputs_of, nothing
from hpo.predict.predictor import Answers, Floats, Inputs, Raw
from hpo.predict.pt2_safety import checked_pt2
from hpo.ship.feeds import feeds_of
from hpo.ship.manifest import MANIFEST, Manifest, read_manifest
from hpo.ship.seal import check_seal, read_model
from lightning_modules.train import steady_threads

THREADS = 1
"""As many as training has by default."""


@dataclass(frozen=True, kw_only=True)
class Pt2Predictor:
    """A model file that was opened."""

    manifest: Manifest
    sha256: str
    """The file's seal."""
    program: nn.Module
    threads: int

    @classmethod
    def open(cls, path: Path, *, threads: int = THREADS) -> "Pt2Predictor":
        """Open a file.

        Args:
            path: a ``.pt2`` file that `hpo export` wrote.
            threads: how many one call computes with.

        Raises:
            UsageError: if there is no such file, it is damaged, no model file of this schema, holds
                code, or this version of torch cannot open it.
        """
        return cls.from_bytes(read_model(path), str(path), threads=threads)

    @classmethod
    def from_bytes(
        cls, content: bytes, where: str = "model", *, threads: int = THREADS
    ) -> "Pt2Predictor":
        """Open the bytes of a file; as `open`.

        Raises:
            UsageError: as `open`.
        """
        seal = check_seal(content, where)
        program, extra = _loaded(checked_pt2(content, where), where)
        if MANIFEST not in extra:
            raise UsageError(where, "is a .pt2 file without hpo's manifest", NO_MODEL)
        manifest = read_manifest(extra[MANIFEST], where)
        return cls(manifest=manifest, sha256=seal, program=program, threads=threads)

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
        feeds = feeds_of(self.manifest, raw)
        given: Mapping[str, Tensor] = {
            name: torch.from_numpy(np.require(values, requirements="W"))  # torch warns otherwise
            for name, values in feeds.items()
        }
        with steady_threads(self.threads), torch.inference_mode():
            found: Tensor = self.program(given)
        return np.asarray(found.numpy(), dtype=np.float32)


def _loaded(archive: io.BytesIO, where: str) -> tuple[nn.Module, dict[str, Any]]:
    """Return the program in an archive that was checked, and the texts beside it."""
    extra: dict[str, Any] = {MANIFEST: ""}
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        program = torch.export.load(archive, extra_files=extra).module()
    except Exception as error:  # noqa: BLE001  (torch raises whatever the file leads to)
        first = (str(error) or type(error).__name__).splitlines()[0][:200]
        what = f"torch {torch.__version__} cannot open it ({first})"
        hint = "open it with the torch that wrote it, or export the model again"
        raise UsageError(where, what, hint) from None
    finally:
        logging.disable(before)
    return program, extra
