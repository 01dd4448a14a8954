import math
import random
from typing import Any

import numpy as np

from hpo.insight.axes import axes_of
from hpo.insight.importance import importances
from hpo.insight.shadows import History, shadows

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


def test_shadows_follow_what_was_good_as_the_sampler_did() -> None:
    # The sampler goes back to where the good trials are, in its one real parameter; so does a
    # shadow, to wherever its own values of these trials happened to be.
    n = 40
    points = np.linspace(0, 1, n)[:, None]
    points[20:] = points[3]
    good = tuple(np.array([3] if t > 3 else [], dtype=np.int64) for t in range(n))
    bad = tuple(np.array([i for i in range(t) if i != 3], dtype=np.int64) for t in range(n))
    history = History(points=points, levels=(0,), learned=np.arange(n) >= 20, good=good, bad=bad)
    drawn = shadows(history, levels=0, n=50, rng=np.random.default_rng(0))
    assert drawn.min() >= 0
    assert drawn.max() <= 1
    near = np.abs(drawn[20:] - drawn[3]).mean()
    by_chance = np.abs(drawn[5:20] - drawn[3]).mean()
    assert near < 0.9 * by_chance


def test_shadows_of_options_are_options() -> None:
    history = History(
        points=np.zeros((5, 1)),
        levels=(3,),
        learned=np.array([False, False, True, True, True]),
        good=tuple(np.arange(min(t, 1), dtype=np.int64) for t in range(5)),
        bad=tuple(np.arange(1, max(t, 1), dtype=np.int64) for t in range(5)),
    )
    drawn = shadows(history, levels=3, n=20, rng=np.random.default_rng(0))
    assert set(np.unique(drawn)) <= {0.0, 1.0, 2.0}
