from hpo.insight.cost import cost, failures
from hpo.insight.matrix import matrix


def test_every_pair_has_its_best_its_median_and_its_number(trial) -> None:
    records = [
        trial(0, 0.5, family="mlp"),
        trial(1, 0.7, family="mlp"),
        trial(2, 0.9, family="cnn", optimizer="sgd"),
        trial(3, None, family="cnn", optimizer="sgd", reason="nan"),
        trial(4, 0.2, family="cnn", optimizer="sgd", state="pruned"),
    ]
    found = matrix(records, "maximize")
    mlp, cnn = found.cell("mlp", "adamw"), found.cell("cnn", "sgd")
    assert mlp is not None
    assert (mlp.best, mlp.median, mlp.n, mlp.tried) == (0.7, 0.6, 2, 2)
    assert cnn is not None
    assert (cnn.best, cnn.n, cnn.tried, cnn.is_thin) == (0.9, 1, 3, True)
    assert found.cell("mlp", "sgd") is None
    assert found.first is cnn
    assert "cnn with sgd" in found.sentence


def test_copies_of_a_trial_are_not_counted_again(trial) -> None:
    found = matrix([trial(0, 0.5), trial(1, 0.5, same_as=0)], "maximize")
    assert found.cells[0].tried == 1


def test_the_stairs_join_what_nothing_beats_at_that_cost(trial) -> None:
    sizes = {0: (100, 0.5), 1: (200, 0.4), 2: (300, 0.8), 3: (400, 0.8), 4: (50, 0.1)}
    records = [trial(n, v, run={"n_parameters": size}) for n, (size, v) in sizes.items()]
    found = cost(records, "maximize", "accuracy", {"n_parameters": 350}, best=records[2])
    size = next(one for one in found.stairs if one.cost == "n_parameters")
    assert [number for _, _, number in size.front] == [4, 0, 2]
    assert size.limit == 350


def test_the_smallest_within_noise_is_named(trial) -> None:
    sizes = {0: (1000, 0.9), 1: (100, 0.88), 2: (10, 0.2)}
    records = [trial(n, v, run={"n_parameters": size}) for n, (size, v) in sizes.items()]
    found = cost(records, "maximize", "accuracy", {}, best=records[0])
    assert found.cheaper is records[1]
    assert "trial 1 is 10.0× smaller" in found.sentence


def test_failures_are_counted_by_reason(trial) -> None:
    records = [trial(0), trial(1, None, reason="nan"), trial(2, None, reason="oom"),
               trial(3, None, reason="nan")]  # fmt: skip
    found = failures(records)
    assert found.by_reason == {"nan": (1, 3), "oom": (2,)}
    assert found.sentence == "3 of 4 trials failed: 2 nan, 1 oom."
