"""How a model file is used without hpo: programs for its card, which work as they stand."""

import json
from collections.abc import Sequence
from pathlib import Path

from hpo.ship.manifest import Manifest, TensorSpec
from lightning_modules.data.columns import CategoryColumn, NumericColumn
from lightning_modules.packaged.columns import table_of

_SHOWN = 8
"""Columns whose values are written out."""
_NUMPY = {"float64": "np.float64", "float32": "np.float32", "int64": "np.int64"}


def snippet(manifest: Manifest, file: Path) -> str:
    """Return a program that predicts one row with what the file's format needs, and prints it.

    The row is of what stands in for missing values: no row of the data.
    """
    return _of_pt2(manifest, file.name) if file.suffix == ".pt2" else _of_onnx(manifest, file.name)


def _of_onnx(manifest: Manifest, name: str) -> str:
    output = manifest.outputs[0].name
    lines = ["import numpy as np", "import onnxruntime", ""]
    lines += [f'model = onnxruntime.InferenceSession("{name}")', "row = {"]
    lines += [f"    {_entry(manifest, one)}" for one in manifest.inputs]
    lines += ["}", f'{output} = model.run(["{output}"], row)[0]', *_shown(manifest, output)]
    return "\n".join(lines)


def _of_pt2(manifest: Manifest, name: str) -> str:
    output = manifest.outputs[0].name
    lines = ["import numpy as np", "import torch", ""]
    lines += [f'model = torch.export.load("{name}").module()', "row = {"]
    lines += [f"    {_entry(manifest, one)}" for one in manifest.inputs]
    lines += ["}", "row = {name: torch.from_numpy(values) for name, values in row.items()}"]
    return "\n".join([*lines, f"{output} = model(row)", *_shown(manifest, output)])


def _shown(manifest: Manifest, output: str) -> list[str]:
    if manifest.classes is None:
        return [f"print({output}[0].tolist())"]
    names = f"classes = {_listed(manifest.classes)}"
    if len(manifest.classes) > 50:
        return [f"print({output}[0].tolist())"]
    return [names, f"print(classes[int({output}[0].argmax())], {output}[0].tolist())"]


def _entry(manifest: Manifest, spec: TensorSpec) -> str:
    """Return an input of one row, with its columns beside it."""
    values = _values(manifest, spec)
    shape = "(1, " + ", ".join(map(str, spec.shape)) + ")" if spec.shape else "(1,)"
    if values is None and spec.dtype == "string":
        made = f'np.full({shape}, "", dtype=object)'
    elif values is None:
        filled = {"numbers": "np.nan", "moments": "np.nan", "lengths": "1", "codes": "-1"}
        made = f"np.full({shape}, {filled.get(spec.name, '0')}, dtype={_NUMPY[spec.dtype]})"
    else:
        kind = "object" if spec.dtype == "string" else _NUMPY[spec.dtype]
        made = f"np.array([{_listed(values)}], dtype={kind})"
    names = spec.columns or []
    few = len(spec.shape) == 1 and 0 < len(names) <= _SHOWN
    remark = f"  # {', '.join(_plain(name) for name in names)}" if few else ""
    return f'"{spec.name}": {made},{remark}'


def _values(manifest: Manifest, spec: TensorSpec) -> Sequence[float | str] | None:
    """Return what stands in for missing values of a few columns; None of others, or of many."""
    table, names = table_of(manifest.fitted.preparation), spec.columns or []
    if table is None or len(spec.shape) != 1 or len(names) > _SHOWN:
        return None
    by_name = {column.name: column for column in table.columns}
    found: list[float | str] = []
    for name in names:
        column = by_name[name]
        if isinstance(column, NumericColumn):
            found.append(float(f"{column.fill:.6g}"))
        elif isinstance(column, CategoryColumn) and spec.dtype == "string":
            found.append(column.fill)
        else:
            return None
    return found


def _listed(values: Sequence[float | str]) -> str:
    return json.dumps(list(values), ensure_ascii=False)


def _plain(name: str) -> str:
    """Return a column's name on one line."""
    return " ".join(name.split()) or repr(name)
