import math
import random
from typing import Any

from hpo.insight.axes import axes_of
from hpo.insight.importance import importances

SPACE: dict[str, Any] = {
    "model": {
        "one_of": {
            "mlp": {"width": {"low": 8, "high": 64, "log": True}},
            "cnn": {"kernel": {"choices": [3, 5]}},
        }
    },
    "optimizer": {
        "name": "sgd",
        "lr": {"low": 1e-4, "high": 1.0, "log": True},
        "momentum": {"low": 0.0, "high": 0.99},
    },
}


def study(trial, n: int = 60, seed: int = 0):
    """Trials whose value is the lr's, and a little that of the family; nothing else matters."""
    chance = random.Random(seed)
    records = []
    for number in range(n):
        family = chance.choice(["mlp", "cnn"])
        lr = 10 ** chance.uniform(-4, 0)
        params = {
            "model": family,
            "optimizer.lr": lr,
            "optimizer.momentum": chance.uniform(0, 0.99),
        }
        if family == "mlp":
            params["model.mlp.width"] = chance.randint(8, 64)
        else:
            params["model.cnn.kernel"] = chance.choice([3, 5])
        value = 0.8 - 0.1 * (math.log10(lr) + 2) ** 2 + chance.gauss(0, 0.02)
        value += 0.1 if family == "cnn" else 0.0
        records.append(trial(number, value, params=params, family=family))
    return records


def found(trial, **kind: Any):
    records = study(trial, **kind)
    told = importances(records, axes_of(SPACE, records), {}, direction="maximize")
    return {one.name: one for one in told.found}, told


def test_what_matters_stands_out_and_what_does_not_is_grey(trial) -> None:
    one, told = found(trial)
    assert one["optimizer.lr"].stands_out
    assert one["model"].stands_out
    assert told.telling[0] == "optimizer.lr"
    assert not one["model.cnn.kernel"].stands_out
    assert told.sentence.startswith("What mattered: optimizer.lr (65%), model (10%); 3 others")


def test_a_parameter_of_a_branch_counts_in_it_alone(trial) -> None:
    one, _ = found(trial)
    assert one["model.mlp.width"].n + one["model.cnn.kernel"].n == 60
    share = one["model.mlp.width"].share
    assert share is not None
    assert share < 0.1  # that the branch is worse is the branch's doing


def test_an_interval_holds_the_share(trial) -> None:
    for one in found(trial)[0].values():
        assert one.share is not None
        assert one.low is not None
        assert one.high is not None
        assert 0 <= one.low <= one.share <= one.high <= 1


def test_the_same_records_say_the_same_again(trial) -> None:
    assert found(trial)[1] == found(trial)[1]


def test_few_trials_say_nothing(trial) -> None:
    one, told = found(trial, n=8)
    assert told.sentence.startswith("Too few trials")
    assert all(each.share is None and not each.stands_out for each in one.values())


def test_a_value_throughout_is_nothing_to_explain(trial) -> None:
    records = [trial(n, 0.5, params={"optimizer.lr": 0.1 / (n + 1)}) for n in range(20)]
    told = importances(records, axes_of(SPACE, records), {}, direction="maximize")
    assert told.telling == []
