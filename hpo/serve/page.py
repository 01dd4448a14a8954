"""The page on which a person fills in a row and sees what the model says of it."""

import json
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from hpo.predict.onnx_file import inputs_of
from hpo.serve.describing import Field, fields_of, rows_of
from hpo.serve.model import Model
from hpo.serve.options import Limits
from hpo.serve.reading import IMAGES, files_of
from hpo.ship.manifest import Manifest, Scored
from hpo.words import arrow, number
from lightning_modules.data.image_preparation import ImagePreparation

_FEW = 4
"""Classes that are named at the top of the page."""
_DRAWN = 64
"""Pixels a side of an image that a person can draw."""
_SPLITS = {"test": "test rows", "validation": "validation rows", "out of fold": "rows, out of fold"}


def page_of(model: Model, limits: Limits) -> str:
    """Return the page of a model, as HTML."""
    manifest = model.manifest
    rows = rows_of(manifest)
    fields = fields_of(manifest)
    return (
        _environment()
        .get_template("page.html")
        .render(
            manifest=manifest,
            sha256=model.sha256,
            kind=rows["kind"],
            rows=rows,
            fields=fields,
            scores=[_score_words(score) for score in manifest.scores],
            predicted=_predicted(manifest),
            settings=_settings(manifest, rows, fields, limits),
            example=_example(rows, fields),
        )
    )


def _settings(manifest: Manifest, rows: dict[str, Any], fields: list[Field], limits: Limits) -> str:
    """Return what the page's script must know, as JSON that is no script."""
    found: dict[str, Any] = {"kind": rows["kind"], "columns": [field.name for field in fields]}
    if rows["kind"] == "image":
        channels, height, width = rows["shape"]
        found |= {
            "channels": channels,
            "height": height,
            "width": width,
            "white": white_of(manifest),
            "drawn": channels == 1 and max(height, width) <= _DRAWN,
            "files": list(IMAGES) if rows["files"] else [],
            "bytes": limits.body_bytes,
        }
    if rows["kind"] == "sequence":
        found["channels"] = rows["channels"]
    text = json.dumps(found, ensure_ascii=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def white_of(manifest: Manifest) -> float:
    """Return what a white pixel is to a model; black is 0.

    Of image files that is known; of arrays it is taken from the scale of the training images.
    """
    data = manifest.data
    if files_of(inputs_of(manifest).data) is not None or data.get("source") == "idx":
        return 255.0
    if data.get("source") == "digits":
        return 16.0
    preparation = manifest.fitted.preparation
    if not isinstance(preparation, ImagePreparation):
        return 255.0
    scale = data.get("prepare", {}).get("scale", "standard")
    spread = max(preparation.sd)
    return 1.0 if scale != "none" and max(preparation.mean) + spread <= 1.5 else 255.0


def _score_words(score: Scored) -> str:
    """Return a score in words, with its interval."""
    words = f"{score.metric} {arrow(score.direction)} {number(score.value)}"
    if score.ci95 is not None:
        words += f" ({number(score.ci95[0])} to {number(score.ci95[1])})"
    return f"{words} on {score.n_rows:,} {_SPLITS[score.split]}"


def _predicted(manifest: Manifest) -> str:
    """Return what is predicted, in words."""
    names, target = manifest.target_names or [], manifest.data.get("target")
    what = f"{target}: " if isinstance(target, str) else ""
    if manifest.classes is not None:
        classes = manifest.classes
        few = f"{', '.join(classes[:-1])} or {classes[-1]}" if 1 < len(classes) <= _FEW else ""
        return what + (few or f"one of {len(classes)} classes")
    if manifest.kind == "multilabel":
        return f"any of {len(names)} labels"
    if manifest.kind == "forecasting":
        return f"{what}the next {(manifest.outputs[0].shape or [1])[0]} steps of the series"
    return f"{len(names)} numbers" if len(names) > 1 else f"{what}a number"


def _example(rows: dict[str, Any], fields: list[Field]) -> str:
    """Return what curl sends to ask for one row, as a shell reads it."""
    if rows["kind"] == "image" and rows["files"]:
        return "-H 'content-type: image/png' --data-binary @image.png"
    if rows["kind"] in ("image", "sequence"):
        return "-H 'content-type: application/x-npy' --data-binary @rows.npy"
    if rows["kind"] == "series":
        return "-H 'content-type: text/csv' --data-binary @series.csv"
    row: Any = "a text"
    if rows["kind"] == "table":
        row = {field.name: field.example or field.typical for field in fields}
    text = json.dumps({"rows": [row]}, ensure_ascii=False).replace("'", "'\\''")
    return f"-H 'content-type: application/json' \\\n -d '{text}'"


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("hpo.serve"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["brief"] = brief
    return environment


def brief(value: float) -> str:
    """Return a number as people write it, with four digits that count.

    >>> brief(25_000.0), brief(0.123456), brief(1e9)
    ('25000', '0.1235', '1e+09')
    """
    return f"{value:.0f}" if 1000 <= abs(value) < 1e7 else f"{value:.4g}"
