"""Weights take less room, preparation stays as it is, and nobody hears or finds the vendor."""

import logging
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from onnx import TensorProto, numpy_helper

from hpo.compress.quantise import dynamic, half, static
from hpo.errors import UsageError
from hpo.predict.onnx_file import session_of
from tests.hpo.compress.graphs import convolution, dense, gates

Floats = npt.NDArray[np.float64]


def rows(model: onnx.ModelProto, n_rows: int = 64, *, seed: int = 1) -> Floats:
    shape = [dim.dim_value for dim in model.graph.input[0].type.tensor_type.shape.dim[1:]]
    return np.random.default_rng(seed).normal(size=(n_rows, *shape))


def outputs(model: onnx.ModelProto, x: Floats) -> npt.NDArray[np.float32]:
    (found,) = session_of(model.SerializeToString(), "model").run(None, {"numbers": x})
    return np.asarray(found, dtype=np.float32)


def quantised(model: onnx.ModelProto) -> onnx.ModelProto:
    return static(model, [{"numbers": rows(model, seed=seed)} for seed in range(3)])


MAKERS = {"fp16": half, "dynamic": dynamic, "static": quantised}
MODELS = {"dense": dense, "convolution": convolution, "gates": gates}


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("method", MAKERS)
def test_a_form_is_smaller_and_says_nearly_the_same(method: str, name: str) -> None:
    model = MODELS[name]()
    if (method, name) == ("static", "gates"):
        return
    made = MAKERS[method](model)
    onnx.checker.check_model(made, full_check=True)
    assert (
        made.ByteSize() < {"fp16": 0.65, "dynamic": 0.6, "static": 0.6}[method] * model.ByteSize()
    )
    x = rows(model)
    off = np.abs(outputs(made, x) - outputs(model, x)).max()
    assert 0 < off < (1e-3 if method == "fp16" else 0.06)


@pytest.mark.parametrize("method", MAKERS)
def test_what_computes_in_float64_is_left_as_it_is(method: str) -> None:
    model = dense(n_in=40)
    made = MAKERS[method](model)
    old, new = (
        {one.name: numpy_helper.to_array(one) for one in each.graph.initializer}
        for each in (model, made)
    )
    assert new["projection"].dtype == np.float64
    assert np.array_equal(new["projection"], old["projection"])
    before = [node for node in made.graph.node if "projection" in node.input]
    assert [node.op_type for node in before] == ["MatMul"]
    assert before[0].input[0] == "numbers"


@pytest.mark.parametrize("method", MAKERS)
def test_inputs_and_outputs_keep_names_types_and_a_free_number_of_rows(method: str) -> None:
    model = convolution()
    made = MAKERS[method](model)
    assert list(made.graph.input) == list(model.graph.input)
    assert [one.name for one in made.graph.output] == ["probabilities"]
    assert made.graph.output[0].type.tensor_type.elem_type == TensorProto.FLOAT
    for n_rows in (1, 3):
        assert outputs(made, rows(model, n_rows)).shape == (n_rows, 3)


def test_small_weights_are_not_worth_it() -> None:
    tiny = dense(n_in=4, width=8)
    for method, make in MAKERS.items():
        with pytest.raises(UsageError, match=f"--method {method}"):
            make(tiny)


def test_static_says_that_it_knows_no_recurrence() -> None:
    with pytest.raises(UsageError, match="no dense or convolutional layer"):
        quantised(gates())


def test_a_weight_beyond_half_precision_stays_whole() -> None:
    model = dense()
    second = next(one for one in model.graph.initializer if one.name == "second")
    values = numpy_helper.to_array(second).copy()
    values[0, 0] = 1e6
    second.CopyFrom(numpy_helper.from_array(values, "second"))
    kept = {one.name: one.data_type for one in half(model).graph.initializer}
    assert kept["second"] == TensorProto.FLOAT
    assert kept["first_half"] == TensorProto.FLOAT16


def test_the_model_that_was_given_is_not_changed() -> None:
    model = dense()
    before = model.SerializeToString()
    for make in MAKERS.values():
        make(model)
    assert model.SerializeToString() == before


@pytest.mark.parametrize("make", MAKERS.values())
def test_the_vendor_says_nothing_and_leaves_nothing(
    make: Callable[[onnx.ModelProto], onnx.ModelProto],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    handlers = logging.root.handlers[:]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        make(convolution())
    assert capfd.readouterr() == ("", "")
    assert list(tmp_path.iterdir()) == []
    assert logging.root.handlers == handlers
    assert logging.root.manager.disable == logging.NOTSET
