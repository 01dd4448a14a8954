"""Model files made by hand, without training and without torch: a service's tests need no more."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from hpo.predict.predictor import Answers
from hpo.ship.drift import quantities_of, statistics_of
from hpo.ship.manifest import MANIFEST, Manifest, Scored, TensorSpec, manifest_text
from hpo.ship.seal import UNSEALED, sealed
from lightning_modules.data.columns import CategoryColumn, DateColumn, NumericColumn
from lightning_modules.data.fitted import Fitted
from lightning_modules.data.image_preparation import ImagePreparation
from lightning_modules.data.sequences import Channel, SequencePreparation
from lightning_modules.data.table_preparation import TablePreparation
from lightning_modules.data.target import ClassTarget, LabelsTarget, NumberTarget
from lightning_modules.data.texts import TextPreparation

TOWNS = ["Bonn", "Kyiv", "São Paulo"]
_TYPES = {
    "float64": TensorProto.DOUBLE,
    "float32": TensorProto.FLOAT,
    "int64": TensorProto.INT64,
    "string": TensorProto.STRING,
}


def people(n_rows: int, seed: int = 0) -> pd.DataFrame:
    """Rows of the table: two numbers, and a town."""
    random = np.random.default_rng(seed)
    towns = np.array(TOWNS, dtype=object)[random.choice(3, n_rows, p=[0.6, 0.3, 0.1])]
    ages, incomes = random.normal(40, 12, n_rows), random.lognormal(10, 0.5, n_rows)
    return pd.DataFrame({"age": ages, "income": incomes, "town": towns})


def raw_of(kind: str) -> Any:
    """Return the rows that the statistics of a kind of model are of."""
    random = np.random.default_rng(0)
    if kind == "table":
        return people(4000)
    if kind == "images":
        return random.integers(0, 17, (400, 1, 8, 8)).astype(np.float32)
    if kind == "texts":
        return np.array(["the good", "bad, bad", "the other", "good"] * 100, dtype=object)
    if kind == "sequences":
        raw = np.empty(400, dtype=object)
        raw[:] = [random.normal(size=(1 + i % 5, 2)) for i in range(400)]
        return raw
    moments = pd.Series(pd.date_range("2020-01-01", periods=400, freq="D"))
    return pd.DataFrame({"seen": moments, "member": np.array(["True", "False"] * 200, object)})


def table(
    path: Path,
    *,
    weight: float = 1.0,
    slow: int = 0,
    towns: Sequence[str] = TOWNS,
    **changed: Any,
) -> Path:
    """Write a model of `people` in two classes; ``weight`` tells two of them apart."""
    raw = raw_of("table")
    columns = [
        NumericColumn(name="age", fill=40.0, center=40.0, scale=12.0),
        NumericColumn(name="income", fill=25_000.0, center=25_000.0, scale=13_000.0),
        CategoryColumn(name="town", fill=towns[0], categories=list(towns)),
    ]
    inputs = [
        TensorSpec(name="numbers", dtype="float64", shape=[2], columns=["age", "income"]),
        TensorSpec(name="texts", dtype="string", shape=[1], columns=["town"]),
    ]
    manifest = _manifest(
        TablePreparation(columns=columns),
        inputs,
        raw,
        data={"source": "csv", "path": "people.csv", "target": "buys", "ignore": ["id"]},
        vocabularies=[list(towns)],
        **changed,
    )
    nodes = [
        *_filled("numbers", "known"),
        helper.make_node("Sub", ["known", "center"], ["shifted"]),
        helper.make_node("Div", ["shifted", "scale"], ["scaled"]),
        helper.make_node("MatMul", ["scaled", "weights"], ["of_numbers"]),
        helper.make_node(
            "LabelEncoder",
            ["texts"],
            ["town"],
            domain="ai.onnx.ml",
            keys_strings=towns,
            values_floats=[0.5, -0.5, 1.0, *[2.0] * (len(towns) - 3)],
            default_float=0.0,
        ),
        helper.make_node("MatMul", ["town", "of_towns"], ["of_texts"]),
        helper.make_node("Add", ["of_numbers", "of_texts"], ["logits_0"]),
        *_slow(slow),
        helper.make_node("Softmax", [f"logits_{slow}"], ["probabilities"], axis=1),
    ]
    constants = {
        "center": np.array([40.0, 25_000.0], np.float32),
        "scale": np.array([12.0, 13_000.0], np.float32),
        "weights": np.array([[weight, -weight], [0.5, -0.5]], np.float32),
        "of_towns": np.array([[0.3, -0.3]], np.float32),
        "identity": np.eye(2, dtype=np.float32),
    }
    return _write(path, manifest, nodes, constants)


def numbers(path: Path, *, n_columns: int = 30, width: int = 64, n_classes: int = 2) -> Path:
    """Write a perceptron of one hidden layer on columns of numbers."""
    random = np.random.default_rng(0)
    raw = pd.DataFrame(random.normal(size=(1000, n_columns)))
    raw.columns = pd.Index([f"x{i}" for i in range(n_columns)])
    names = list(raw.columns)
    columns = [NumericColumn(name=name, fill=0.0, center=0.0, scale=1.0) for name in names]
    spec = TensorSpec(name="numbers", dtype="float64", shape=[n_columns], columns=names)
    classes = [str(i) for i in range(n_classes)]
    manifest = _manifest(
        TablePreparation(columns=columns), [spec], raw, data={"source": "digits"}, classes=classes
    )
    nodes = [
        *_filled("numbers", "known"),
        helper.make_node("MatMul", ["known", "first"], ["hidden"]),
        helper.make_node("Relu", ["hidden"], ["active"]),
        helper.make_node("MatMul", ["active", "second"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
    ]
    constants = {
        "first": random.normal(size=(n_columns, width)).astype(np.float32) / 8,
        "second": random.normal(size=(width, n_classes)).astype(np.float32) / 8,
    }
    return _write(path, manifest, nodes, constants)


def images(
    path: Path,
    *,
    shape: Sequence[int] = (1, 8, 8),
    n_filters: int = 4,
    data: Mapping[str, Any] | None = None,
) -> Path:
    """Write a small convolutional network of digits."""
    random = np.random.default_rng(0)
    channels, height, width = shape
    raw = random.integers(0, 17, (400, *shape)).astype(np.float32)
    preparation = ImagePreparation(mean=[5.0] * channels, sd=[6.0] * channels)
    spec = TensorSpec(name="images", dtype="float32", shape=list(shape))
    classes = [str(i) for i in range(10)]
    read = {"source": "digits"} if data is None else dict(data)
    manifest = _manifest(preparation, [spec], raw, data=read, classes=classes)
    nodes = [
        helper.make_node("Conv", ["images", "filters"], ["maps"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["maps"], ["active"]),
        helper.make_node("Flatten", ["active"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weights"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
    ]
    size = n_filters * height * width
    constants = {
        "filters": random.normal(size=(n_filters, channels, 3, 3)).astype(np.float32) / 20,
        "weights": random.normal(size=(size, 10)).astype(np.float32) / size,
    }
    return _write(path, manifest, nodes, constants)


def texts(path: Path) -> Path:
    """Write a model of texts with two labels."""
    preparation = TextPreparation(
        tokens="words", lowercase=True, length=6, vocabulary=["good", "bad", "the"]
    )
    raw = raw_of("texts")
    spec = TensorSpec(name="tokens", dtype="int64", shape=[6])
    manifest = _manifest(
        preparation,
        [spec],
        raw,
        data={"source": "csv", "path": "a.csv", "target": ["kind", "loud"], "text": "review"},
        kind="multilabel",
        classes=None,
        target_names=["kind", "loud"],
    )
    nodes = [
        helper.make_node("Cast", ["tokens"], ["numbers"], to=TensorProto.FLOAT),
        helper.make_node("MatMul", ["numbers", "weights"], ["logits"]),
        helper.make_node("Sigmoid", ["logits"], ["probabilities"]),
    ]
    weights = np.linspace(-1, 1, 12).reshape(6, 2).astype(np.float32)
    return _write(path, manifest, nodes, {"weights": weights})


def sequences(path: Path) -> Path:
    """Write a model of sequences of two channels and any length that predicts a number."""
    channel = Channel(fill=0.0, center=0.0, scale=1.0)
    preparation = SequencePreparation(
        channels=[channel, channel], length=5, difference=0, padded=True
    )
    raw = raw_of("sequences")
    specs = [
        TensorSpec(name="sequences", dtype="float64", shape=[5, 2]),
        TensorSpec(name="lengths", dtype="int64", shape=[]),
    ]
    manifest = _manifest(
        preparation,
        specs,
        raw,
        data={"source": "npz", "path": "s.npz"},
        kind="regression",
        classes=None,
    )
    nodes = [
        *_filled("sequences", "known"),
        helper.make_node("ReduceSum", ["known", "axes"], ["sums"], keepdims=0),
        helper.make_node("Cast", ["lengths"], ["steps"], to=TensorProto.FLOAT),
        helper.make_node("Div", ["sums", "steps"], ["predictions"]),
    ]
    return _write(path, manifest, nodes, {"axes": np.array([1, 2], np.int64)})


def dates(path: Path) -> Path:
    """Write a model of a date and a yes-or-no column that predicts a number."""
    part = NumericColumn(name="year", fill=2020.0, center=2020.0, scale=1.0)
    columns = [
        DateColumn(name="seen", order="dmy", parts=[part]),
        CategoryColumn(name="member", fill="True", categories=["False", "True"]),
    ]
    raw = raw_of("dates")
    specs = [
        TensorSpec(name="texts", dtype="string", shape=[1], columns=["member"]),
        TensorSpec(name="moments", dtype="float64", shape=[1], columns=["seen"]),
    ]
    manifest = _manifest(
        TablePreparation(columns=columns),
        specs,
        raw,
        data={"source": "csv", "path": "d.csv", "target": "price"},
        kind="regression",
        classes=None,
        vocabularies=[["False", "True"]],
    )
    nodes = [
        *_filled("moments", "known"),
        helper.make_node("Div", ["known", "day"], ["days"]),
        helper.make_node(
            "LabelEncoder",
            ["texts"],
            ["code"],
            domain="ai.onnx.ml",
            keys_strings=["False", "True"],
            values_floats=[0.0, 1.0],
            default_float=-1.0,
        ),
        helper.make_node("Add", ["days", "code"], ["sum"]),
        helper.make_node("ReduceSum", ["sum", "axes"], ["predictions"], keepdims=0),
    ]
    constants = {"day": np.array(86_400, np.float32), "axes": np.array([1], np.int64)}
    return _write(path, manifest, nodes, constants)


def _manifest(preparation: Any, inputs: list[TensorSpec], raw: Any, **changed: Any) -> Manifest:
    known: dict[str, Any] = {
        "name": "made-by-hand",
        "kind": "binary",
        "classes": ["no", "yes"],
        "target_names": None,
        "vocabularies": [],
        "scores": [
            Scored(
                metric="accuracy",
                direction="maximize",
                split="test",
                value=0.9,
                ci95=[0.88, 0.92],
                n_rows=800,
            )
        ],
        "config": {},
        "config_sha256": "0" * 64,
        "members": [],
        "versions": {"hpo": "0.1.0"},
        "created_utc": "2026-11-22T00:00:00Z",
        **changed,
    }
    names = known["classes"] or known["target_names"]
    is_number = known["kind"] == "regression"
    shape = [] if is_number else [len(names)]
    name = "predictions" if is_number else "probabilities"
    outputs = np.random.default_rng(1).random((len(raw), *shape)).astype(np.float32)
    answers = Answers(
        kind=known["kind"], classes=known["classes"], target_names=known["target_names"]
    )
    target: Any = NumberTarget(mean=0.0, sd=1.0)
    if known["kind"] == "multilabel":
        target = LabelsTarget(names=known["target_names"])
    elif known["classes"] is not None:
        target = ClassTarget(classes=known["classes"])
    fitted = Fitted(input_shape=inputs[0].shape, preparation=preparation, target=target)
    return Manifest(
        fitted=fitted,
        inputs=inputs,
        outputs=[TensorSpec(name=name, dtype="float32", shape=shape)],
        statistics=statistics_of(quantities_of(fitted, raw), outputs, answers),
        **known,
    )


def _filled(name: str, filled: str) -> list[NodeProto]:
    """Return nodes that turn float64 into float32, and missing values into 0."""
    return [
        helper.make_node("Cast", [name], [f"{name}_32"], to=TensorProto.FLOAT),
        helper.make_node("IsNaN", [f"{name}_32"], [f"{name}_missing"]),
        helper.make_node("Where", [f"{name}_missing", "zero", f"{name}_32"], [filled]),
    ]


def _slow(n_steps: int) -> list[NodeProto]:
    """Return nodes that change nothing, and take a while where there are many."""
    return [
        helper.make_node("MatMul", [f"logits_{i}", "identity"], [f"logits_{i + 1}"])
        for i in range(n_steps)
    ]


def _write(
    path: Path,
    manifest: Manifest,
    nodes: Sequence[NodeProto],
    constants: Mapping[str, np.ndarray[Any, Any]],
) -> Path:
    known = {"zero": np.array(0, np.float32), **constants}
    used = {name for node in nodes for name in node.input}
    graph = helper.make_graph(
        nodes,
        "model",
        [_value(spec) for spec in manifest.inputs],
        [_value(spec) for spec in manifest.outputs],
        [numpy_helper.from_array(v, k) for k, v in known.items() if k in used],
    )
    model: ModelProto = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", 20), helper.make_opsetid("ai.onnx.ml", 3)],
        ir_version=10,
    )
    for key, value in ((MANIFEST, manifest_text(manifest)), ("hpo.seal", UNSEALED)):
        model.metadata_props.add(key=key, value=value)
    content = sealed(model.SerializeToString())
    temporary = path.with_name(f".{path.name}.new")
    temporary.write_bytes(content)
    temporary.replace(path)
    return path


def _value(spec: TensorSpec) -> Any:
    return helper.make_tensor_value_info(spec.name, _TYPES[spec.dtype], ["rows", *spec.shape])
