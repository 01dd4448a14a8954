from collections import Counter

import numpy as np
import pytest
import torch
from torch import nn

from hpo.export.contents import pack
from hpo.export.onnx_form import onnx_model
from hpo.export.program import program_of
from hpo.export.recurrent import OneNode, as_single_nodes
from tests.contracts.exported import Case, first, raw_rows, run_of, source_of


@pytest.mark.parametrize(
    ("family", "settings", "node"),
    [
        ("rnn", {"activation": "tanh"}, "RNN"),
        ("rnn", {"activation": "relu"}, "RNN"),
        ("lstm", {}, "LSTM"),
        ("gru", {}, "GRU"),
    ],
)
def test_a_recurrence_is_one_node_whatever_its_steps_and_computes_the_same(
    family: str, settings: dict[str, str], node: str
) -> None:
    import onnxruntime

    model = {**settings, "n_layers": 1, "bidirectional": True}
    run = run_of(Case(family=family, rows="sequence", task="regression", model=model))
    packed = pack(source_of(run))
    with as_single_nodes(packed.module):
        program = program_of(packed.module, packed.specs, family=family)
        graph = onnx_model(program, ["sequences"], "predictions", family=family)
    assert Counter(one.op_type for one in graph.graph.node)[node] == 2  # there, and back
    raw = first(raw_rows("sequence"), 5, "sequence")
    session = onnxruntime.InferenceSession(graph.SerializeToString())
    found = session.run(None, {"sequences": np.asarray(raw)})[0]
    np.testing.assert_allclose(found, run.outputs(raw), rtol=1e-5, atol=1e-5)


def test_the_network_is_afterwards_what_it_was() -> None:
    run = run_of(Case(family="lstm", rows="sequence", task="binary"))
    before = [id(part) for part in run.module.modules()]

    def interrupted() -> None:
        with as_single_nodes(run.module):
            assert sum(isinstance(part, OneNode) for part in run.module.modules()) == 4
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        interrupted()
    assert [id(part) for part in run.module.modules()] == before


def test_the_stand_in_never_computes() -> None:
    part = OneNode(nn.GRU(2, 3, batch_first=True))
    with pytest.raises(NotImplementedError):
        part(torch.zeros(1, 4, 2))
