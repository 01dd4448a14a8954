"""What several networks say together, by hand."""

import numpy as np
import pytest

from hpo.ship.combined import Combination, combine

A, B, C = (np.array([one]) for one in ([0.9, 0.1], [0.4, 0.6], [0.3, 0.7]))


def say(method: str, *parts: np.ndarray, kind: str = "binary", **more: object) -> list[float]:
    weights = more.pop("weights", [1 / len(parts)] * len(parts))
    combination = Combination(method=method, kind=kind, weights=weights, **more)  # type: ignore[arg-type]
    return combine(combination, parts).reshape(-1).tolist()


def test_a_mean_is_weighted() -> None:
    assert say("mean", A, B) == pytest.approx([0.65, 0.35])
    assert say("greedy", A, B, weights=[0.25, 0.75]) == pytest.approx([0.525, 0.475])
    assert say("weighted", A[0], B[0], kind="regression", weights=[0, 1]) == pytest.approx(B[0])


def test_a_vote_counts_and_where_votes_are_equal_the_mean_decides() -> None:
    mean = (A + B + C)[0] / 3
    assert mean[0] > mean[1]  # by its mean it would be the first class
    assert say("vote", A, B, C) == pytest.approx([(1 + mean[0] / 2) / 3.5, (2 + mean[1] / 2) / 3.5])
    tie = say("vote", A, B)
    assert tie[0] > tie[1]
    assert sum(tie) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("given", "taken"), [([0.9, 0.2, 0.1], False), ([0.6, 0.6, 0.0], True), ([0.9, 0.3], True)]
)
def test_labels_are_voted_for_each(given: list[float], taken: bool) -> None:
    assert (say("vote", *([[one]] for one in given), kind="multilabel")[0] > 0.5) is taken


def test_the_vote_of_numbers_is_their_median() -> None:
    parts = [np.array([one, 0.0]) for one in (1.0, 2.0, 90.0)]
    assert say("vote", *parts, kind="regression") == [2.0, 0.0]
    assert say("vote", *parts[:2], kind="regression") == [1.5, 0.0]


def test_a_stack_adds_logarithms_and_never_meets_the_one_of_nothing() -> None:
    raised = np.exp(2 * np.log(A[0]) - np.log(B[0]) + [0.5, 0.0])
    found = say("stack", A, B, weights=[2.0, -1.0], intercepts=[0.5, 0.0])
    assert found == pytest.approx(raised / raised.sum())
    sure = say("stack", [[0.0, 1.0]], [[1.0, 0.0]], weights=[1.0, 1.0], intercepts=[0.0, 0.0])
    assert sure == pytest.approx([0.5, 0.5])


def test_a_stack_of_labels_and_of_numbers() -> None:
    score = 1.5 * np.log(0.8 / 0.2) + 0.1
    found = say("stack", [[0.8]], kind="multilabel", weights=[1.5], intercepts=[0.1])
    assert found == pytest.approx([1 / (1 + np.exp(-score))])
    assert say("stack", [2.0], kind="regression", weights=[3.0], intercepts=[1.0]) == [7.0]
    several = say("stack", [[2.0, 3.0]], kind="regression", weights=[3.0], intercepts=[1.0, 0.0])
    assert several == [7.0, 9.0]


def test_as_many_outputs_as_weights_are_needed() -> None:
    with pytest.raises(ValueError, match="2 outputs for 1 weights: one of each network"):
        say("mean", A, B, weights=[1.0])
