"""The OpenAPI description of a server, made of the columns of its model."""

from typing import Any

from hpo.serve.describing import Field, fields_of, passed_columns, rows_of
from hpo.serve.reading import takes_arrays
from hpo.ship.manifest import Manifest

Schema = dict[str, Any]
_REFUSALS = {
    "400": "No JSON or CSV, or a foreign Host header",
    "401": "The token is missing or wrong",
    "403": "Asked by a page of another site",
    "406": "No form of answer that the caller takes",
    "408": "The request did not arrive in time",
    "413": "Too large, or too many rows",
    "415": "A content type or encoding that is not known",
    "422": "Rows that do not fit the model",
    "503": "Too many wait already; try again in a second",
    "504": "The model had no time for it",
}
ERROR: Schema = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["where", "what", "hint"],
            "properties": {
                "where": {"type": "string", "examples": ["rows[3].age"]},
                "what": {"type": "string"},
                "hint": {"type": "string"},
            },
        }
    },
}


_SAID: Schema = {"application/json": {"schema": {"type": "object"}}}
STATES: Schema = {
    "/health": {
        "get": {
            "summary": "Is it alive?",
            "operationId": "health",
            "responses": {"200": {"description": "It is", "content": _SAID}},
        }
    },
    "/ready": {
        "get": {
            "summary": "Does it answer?",
            "operationId": "ready",
            "responses": {
                "200": {"description": "It does", "content": _SAID},
                "503": {"description": "It is beginning, or ending", "content": _SAID},
            },
        }
    },
}
"""What is asked with HEAD too, which FastAPI describes under one name, though names stand once."""


def predict_path(manifest: Manifest) -> Schema:
    """Return the description of ``/predict``."""
    error = {"application/json": {"schema": {"$ref": "#/components/schemas/Refusal"}}}
    refusals = {
        status: {"description": words, "content": error} for status, words in _REFUSALS.items()
    }
    table = {"schema": {"type": "string"}}
    answer = {"schema": {"$ref": "#/components/schemas/Answer"}}
    return {
        "post": {
            "summary": "Predict rows",
            "operationId": "predict",
            "requestBody": {"required": True, "content": _content(manifest)},
            "responses": {
                "200": {
                    "description": "A prediction for each row, in their order",
                    "content": {"application/json": answer, "text/csv": table},
                },
                **refusals,
            },
        }
    }


def schemas(manifest: Manifest) -> dict[str, Schema]:
    """Return the schemas that ``/predict`` speaks of."""
    rows: Schema = {"type": "array", "minItems": 1, "items": {"$ref": "#/components/schemas/Row"}}
    by_rows: Schema = {
        "type": "object",
        "required": ["rows"],
        "properties": {"rows": rows},
        "additionalProperties": False,
    }
    return {"Row": _row(manifest), "Rows": by_rows, "Answer": _answer(manifest), "Refusal": ERROR}


def _content(manifest: Manifest) -> Schema:
    kind = rows_of(manifest)["kind"]
    found: Schema = {"application/json": {"schema": {"$ref": "#/components/schemas/Rows"}}}
    if kind in ("table", "series", "text"):
        header = ",".join(field.name for field in fields_of(manifest)) or "text"
        found["text/csv"] = {"schema": {"type": "string", "description": f"header: {header}"}}
    if takes_arrays(manifest):
        bytes_: Schema = {"type": "string", "contentMediaType": "application/x-npy"}
        found["application/x-npy"] = {"schema": bytes_}
    if rows_of(manifest).get("files"):
        found["image/*"] = {"schema": {"type": "string", "contentMediaType": "image/png"}}
    return found


def _row(manifest: Manifest) -> Schema:
    rows = rows_of(manifest)
    if rows["kind"] == "text":
        return {"type": "string"}
    number: Schema = {"type": ["number", "null"]}
    if rows["kind"] == "image":
        schema: Schema = {"type": "number"}
        for size in reversed(rows["shape"]):
            schema = {"type": "array", "items": schema, "minItems": size, "maxItems": size}
        return schema
    if rows["kind"] == "sequence":
        channels = rows["channels"]
        step = {"type": "array", "items": number, "minItems": channels, "maxItems": channels}
        least = 1 if rows["any_length"] else rows["steps"]
        return {"type": "array", "items": step, "minItems": least}
    fields = fields_of(manifest)
    known = {field.name: _cell(field) for field in fields}
    extra: Schema = {name: {"description": "not used"} for name in passed_columns(manifest)}
    return {
        "type": "object",
        "required": [field.name for field in fields],
        "properties": {**known, **extra},
        "additionalProperties": False,
        "examples": [{field.name: _example(field) for field in fields}],
    }


def _cell(field: Field) -> Schema:
    if field.kind == "number":
        words = "null where it is missing"
        if field.low is not None:
            words = f"most between {field.low:g} and {field.high:g}; {words}"
        return {"type": ["number", "null"], "description": words}
    if field.kind == "date":
        words = f"such as {field.example}; null where it is missing"
        return {"type": ["string", "null"], "description": words, "examples": [field.example]}
    return {
        "type": ["string", "number", "boolean", "null"],
        "description": "others than the examples are taken as unknown; null where it is missing",
        "examples": list(field.categories),
    }


def _example(field: Field) -> object:
    return field.example if field.kind == "date" else field.typical


def _answer(manifest: Manifest) -> Schema:
    number: Schema = {"type": "number"}
    names = manifest.target_names
    likely: Schema | None = None
    if manifest.classes is not None:
        prediction: Schema = {"type": "string", "enum": manifest.classes}
        likely = _object(manifest.classes, number)
    elif names is not None:
        is_labels = manifest.kind == "multilabel"
        prediction = _object(names, {"enum": [0, 1]} if is_labels else number)
        likely = _object(names, number) if is_labels else None
    elif manifest.outputs[0].shape:
        size = manifest.outputs[0].shape[0]
        prediction = {"type": "array", "items": number, "minItems": size, "maxItems": size}
    else:
        prediction = number
    properties = {"prediction": prediction} | ({"probabilities": likely} if likely else {})
    one = {"type": "object", "required": list(properties), "properties": properties}
    return {
        "type": "object",
        "required": ["model", "predictions"],
        "properties": {
            "model": {"type": "string", "description": "sha256 of the model that answered"},
            "predictions": {"type": "array", "items": one},
        },
    }


def _object(names: list[str], values: Schema) -> Schema:
    return {"type": "object", "required": names, "properties": dict.fromkeys(names, values)}
