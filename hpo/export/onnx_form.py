"""The ONNX file of a packaged model: its graph, the codes of its text, its manifest and seal."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch.export import ExportedProgram

from hpo.errors import UsageError
from hpo.export.program import quiet, reason_of
from hpo.export.recurrent import TRANSLATIONS
from hpo.extras import ONNX_PACKAGES, require
from hpo.ship.manifest import MANIFEST, Manifest, manifest_text
from hpo.ship.seal import UNSEALED, sealed
from lightning_modules.packaged.columns import MISSING, UNKNOWN

if TYPE_CHECKING:  # of an extra
    from onnx import ModelProto, NodeProto

OPSET, ML_OPSET = 20, 3
SEAL = "hpo.seal"
ROWS = "rows"
"""The name of the first axis, of any size."""
LARGEST_BYTES = 2_000_000_000
"""What one ONNX file can hold."""


def require_onnx() -> None:
    """Check that what writes and runs ONNX files is there, before anything is computed.

    Raises:
        EnvironmentFault: if not, with the command that installs it.
    """
    require("--format onnx", ONNX_PACKAGES, extra="export")


def refuse_onnx(vocabularies: Sequence[Sequence[str]], columns: Sequence[str], size: int) -> None:
    """Check that ONNX can hold a model.

    Args:
        vocabularies: of its columns of text.
        columns: their names.
        size: of its weights, in bytes.

    Raises:
        UsageError: if an empty text is a category, which stands for a missing one there, or the
            weights are too many.
    """
    hint = "--format pt2 has room for it"
    for name, known in zip(columns, vocabularies, strict=True):
        if "" in known:
            what = f"column {name!r} has empty text as a category; in an ONNX file it is missing"
            raise UsageError("--format onnx", what, hint)
    if size > LARGEST_BYTES:
        what = f"{size:,} bytes of weights are more than one ONNX file holds"
        raise UsageError("--format onnx", what, hint)


def onnx_model(
    program: ExportedProgram, inputs: Sequence[str], output: str, *, family: str
) -> "ModelProto":
    """Return the graph of a program, without text and manifest.

    Args:
        program: from `hpo.export.program.program_of`.
        inputs: their names, in the order of the program's.
        output: its name.
        family: of the network, for the error.

    Raises:
        UsageError: if the network has an operation that ONNX has not, with the reason.
    """
    try:
        with quiet():
            made: Any = torch.onnx.export(
                program,
                input_names=list(inputs),
                output_names=[output],
                opset_version=OPSET,
                custom_translation_table=TRANSLATIONS,
                dynamo=True,
                verbose=False,
            )
            model: ModelProto = made.model_proto
    except Exception as error:  # noqa: BLE001  (the exporter raises a class of its own per stage)
        what = f"ONNX cannot say what the network computes: {reason_of(error)}"
        raise UsageError(f"model.family {family}", what, "try --format pt2") from None
    _plain(model)
    return model


def onnx_content(model: "ModelProto", manifest: Manifest) -> bytes:
    """Return the bytes of the file: text in the place of its codes, the manifest, the seal."""
    import onnx

    file = onnx.ModelProto()
    file.CopyFrom(model)
    _take_text(file, manifest)
    file.producer_name, file.doc_string = "hpo", manifest.name
    for key, value in ((MANIFEST, manifest_text(manifest)), (SEAL, UNSEALED)):
        file.metadata_props.add(key=key, value=value)
    return sealed(file.SerializeToString(deterministic=True))


def _plain(model: "ModelProto") -> None:
    """Leave out what the exporter notes of the program: names of files, shapes in between."""
    del model.metadata_props[:]
    del model.graph.value_info[:]
    del model.graph.metadata_props[:]
    model.graph.name = "model"
    for node in model.graph.node:
        del node.metadata_props[:]
        node.ClearField("doc_string")
    for tensor in model.graph.initializer:
        del tensor.metadata_props[:]
    for value in (*model.graph.input, *model.graph.output):
        del value.metadata_props[:]
        value.type.tensor_type.shape.dim[0].dim_param = ROWS


def _take_text(model: "ModelProto", manifest: Manifest) -> None:
    """Put text, and nodes that look up its codes, in the place of the input ``codes``."""
    from onnx import TensorProto, helper

    texts = next((one for one in manifest.inputs if one.dtype == "string"), None)
    if texts is None:
        return
    for value in model.graph.input:
        if value.name == "codes":
            shape: list[str | int | None] = [ROWS, *texts.shape]
            new = helper.make_tensor_value_info(texts.name, TensorProto.STRING, shape)
            value.CopyFrom(new)
    nodes = _lookups(texts.name, manifest.vocabularies)
    before = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend([*nodes, *before])
    model.opset_import.append(helper.make_opsetid("ai.onnx.ml", ML_OPSET))


def _lookups(name: str, vocabularies: Sequence[Sequence[str]]) -> "list[NodeProto]":
    """Return nodes from text ``(..., columns)`` to ``codes`` of the same shape."""
    from onnx import helper

    single = len(vocabularies) == 1
    parts = [f"{name}.{i}" for i in range(len(vocabularies))]
    codes = [f"codes.{i}" for i in range(len(vocabularies))]
    nodes = [
        helper.make_node(
            "LabelEncoder",
            [name if single else part],
            ["codes" if single else code],
            domain="ai.onnx.ml",
            keys_strings=["", *known],
            values_int64s=[MISSING, *range(len(known))],
            default_int64=UNKNOWN,
        )
        for part, code, known in zip(parts, codes, vocabularies, strict=True)
    ]
    if single:
        return nodes
    split = helper.make_node("Split", [name], parts, axis=-1, num_outputs=len(parts))
    return [split, *nodes, helper.make_node("Concat", codes, ["codes"], axis=-1)]
