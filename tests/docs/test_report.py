"""What docs/report.md shows and promises is there."""

import re
from pathlib import Path

from hpo.advise import counsel
from hpo.files import parse_document
from hpo.insight import audit, importance, matrix
from hpo.spec import check_document

GUIDE = Path(__file__).parents[2].joinpath("docs", "report.md").read_text(encoding="utf-8")
STUDY = """name: example
task: {kind: multiclass}
data: {source: iris}
model: {family: mlp, n_layers: {low: 1, high: 3}}
optimizer: {name: adamw, lr: {low: 1e-4, high: 1e-1, log: true}}
"""


def test_the_example_of_first_trials_is_a_study() -> None:
    (block,) = re.findall(r"^```yaml\n(.*?)^```", GUIDE, re.M | re.S)
    spec = check_document(parse_document(STUDY + block, "example.yaml"))
    assert spec.search.first == [
        {"optimizer.lr": 0.01, "model.n_layers": 2},
        {"optimizer.lr": 0.03},
    ]


def test_the_numbers_are_those_of_the_code() -> None:
    assert f"{importance.SHADOWS} made-up parameters" in GUIDE
    assert importance.CAUGHT == 0.01
    assert audit.TOP == 0.1
    assert f"hatched below {matrix.FEW} complete trials" in GUIDE
    assert f"at the least {counsel.EAGER:.0%}".replace("%", " %") in GUIDE
    assert f"{counsel.MANY_FAILURES:.0%}".replace("%", " %") in GUIDE
    assert f"in {counsel.ENOUGH} trials or more" in GUIDE
