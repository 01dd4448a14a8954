"""The ``.pt2`` file of a packaged model: its program, its manifest, its seal."""

import copy
import io

import torch
from torch.export import ExportedProgram

from hpo.export.program import quiet
from hpo.ship.manifest import MANIFEST, Manifest, manifest_text
from hpo.ship.seal import UNSEALED, sealed

NOTE = (
    "PyTorch says of .pt2 files that a later version may not open them: this one was written by "
    "{version}, with which it opens"
)


def pt2_content(program: ExportedProgram, manifest: Manifest) -> bytes:
    """Return the bytes of the file; the seal is the comment of the archive that it is.

    It holds no example rows.
    """
    file = io.BytesIO()
    plain = copy.copy(program)
    plain.example_inputs = None
    with quiet():
        torch.export.save(plain, file, extra_files={MANIFEST: manifest_text(manifest)})
    content = file.getvalue()
    comment = UNSEALED.encode()
    return sealed(content[:-2] + len(comment).to_bytes(2, "little") + comment)
