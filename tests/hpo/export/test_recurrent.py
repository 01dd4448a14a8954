from collections import Counter

import pytest
import torch
from torch import nn

from hpo.export.onnx_form import onnx_model
from hpo.export.program import program_of
from hpo.export.recurrent import recurrences
from hpo.ship.manifest import TensorSpec

SPECS = [TensorSpec(name="x", dtype="float32", shape=[20, 3])]


class _Net(nn.Module):
    def __init__(self, **settings: object) -> None:
        super().__init__()
        self.rnn = nn.RNN(3, 4, batch_first=True, **settings)  # type: ignore[arg-type]

    def forward(self, raw: dict[str, torch.Tensor]) -> torch.Tensor:
        return self.rnn(raw["x"])[0][:, -1]


@pytest.mark.parametrize("kind", ["tanh", "relu"])
def test_a_recurrence_is_one_node_and_computes_the_same(kind: str) -> None:
    net = _Net(nonlinearity=kind).eval()
    program = program_of(net, SPECS, family="rnn")
    model = onnx_model(program, ["x"], "y", family="rnn")
    assert Counter(node.op_type for node in model.graph.node)["RNN"] == 1
    assert len(model.graph.node) < 20  # and not several for each of 20 steps
    x = torch.randn(5, 20, 3)
    import onnxruntime

    session = onnxruntime.InferenceSession(model.SerializeToString())
    found = torch.from_numpy(session.run(None, {"x": x.numpy()})[0])
    torch.testing.assert_close(found, net({"x": x}), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("settings", [{"num_layers": 2}, {"bidirectional": True}, {"bias": False}])
def test_other_recurrences_are_left_to_the_exporter(settings: dict[str, object]) -> None:
    program = program_of(_Net(**settings).eval(), SPECS, family="rnn")
    assert recurrences(program) == {}


def test_networks_without_recurrences_need_nothing() -> None:
    class Plain(nn.Module):
        def forward(self, raw: dict[str, torch.Tensor]) -> torch.Tensor:
            return raw["x"].sum((1, 2))

    assert recurrences(program_of(Plain(), SPECS, family="mlp")) == {}
