"""What goes into a model file and what comes out of it, by name, type and shape."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from hpo.ship.manifest import TensorSpec
from lightning_modules.data.facts import DataFacts
from lightning_modules.data.fitted import Fitted
from lightning_modules.data.forecasting import WindowPreparation
from lightning_modules.data.image_preparation import ImagePreparation
from lightning_modules.data.sequences import SequencePreparation
from lightning_modules.data.texts import TextPreparation
from lightning_modules.packaged.columns import RawColumns
from lightning_modules.task import NUMBERS

_TYPES: Mapping[str, torch.dtype] = {
    "float64": torch.float64,
    "float32": torch.float32,
    "int64": torch.int64,
}


def input_specs(fitted: Fitted, raw: RawColumns) -> list[TensorSpec]:
    """Return the inputs of a packaged model, text as codes.

    Args:
        fitted: with the model.
        raw: the columns of its inputs.
    """
    preparation = fitted.preparation
    if isinstance(preparation, ImagePreparation):
        return [TensorSpec(name="images", dtype="float32", shape=list(fitted.input_shape))]
    if isinstance(preparation, TextPreparation):
        return [TensorSpec(name="tokens", dtype="int64", shape=[preparation.length])]
    if isinstance(preparation, SequencePreparation):
        shape = [preparation.length + preparation.difference, len(preparation.channels)]
        steps = TensorSpec(name="sequences", dtype="float64", shape=shape)
        lengths = TensorSpec(name="lengths", dtype="int64", shape=[])
        return [steps, lengths] if preparation.padded else [steps]
    before = [preparation.window] if isinstance(preparation, WindowPreparation) else []
    found = []
    if raw.numbers:
        found.append(_columns("numbers", "float64", before, raw.numbers))
    if raw.texts:
        found.append(_columns("codes", "int64", before, raw.texts))
    if raw.moments:
        found.append(_columns("moments", "float64", before, raw.moments))
    return found


def with_strings(specs: Sequence[TensorSpec]) -> list[TensorSpec]:
    """Return inputs with text itself in the place of its codes, as an ONNX file takes it."""
    strings = {"name": "texts", "dtype": "string"}
    return [one.model_copy(update=strings) if one.name == "codes" else one for one in specs]


def output_spec(kind: str, facts: DataFacts) -> TensorSpec:
    """Return the one output of a model.

    Args:
        kind: of its task.
        facts: of its data.
    """
    if kind in NUMBERS:
        n_outputs, names = facts.n_outputs, facts.target_names
        if n_outputs == 1:
            return TensorSpec(name="predictions", dtype="float32", shape=[])
        steps = [f"step {i + 1}" for i in range(n_outputs)]
        columns = list(names or (steps if kind == "forecasting" else [])) or None
        return TensorSpec(name="predictions", dtype="float32", shape=[n_outputs], columns=columns)
    names = facts.classes or facts.target_names or []
    return TensorSpec(
        name="probabilities", dtype="float32", shape=[len(names)], columns=list(names)
    )


def blank(specs: Sequence[TensorSpec], n_rows: int) -> dict[str, Tensor]:
    """Return rows without content, for tracing: a file that holds its example holds no data."""
    return {one.name: torch.ones(n_rows, *one.shape, dtype=_TYPES[one.dtype]) for one in specs}


def _columns(name: str, dtype: str, before: Sequence[int], columns: Sequence[str]) -> TensorSpec:
    shape = [*before, len(columns)]
    plain = {"name": name, "dtype": dtype, "shape": shape, "columns": list(columns)}
    return TensorSpec.model_validate(plain)
