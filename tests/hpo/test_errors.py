import pytest

from hpo.errors import (
    DataError,
    EnvironmentFault,
    HpoError,
    PluginError,
    Problem,
    RefusedError,
    SpecError,
    StudyError,
    TrialFailed,
    UsageError,
)


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (HpoError, 1),
        (UsageError, 2),
        (DataError, 2),
        (PluginError, 2),
        (StudyError, 3),
        (RefusedError, 4),
        (EnvironmentFault, 5),
    ],
)
def test_an_error_knows_its_exit_code_and_reads_where_what_hint(
    kind: type[HpoError], code: int
) -> None:
    error = kind("a.yaml:3: model.width", "0 is too small", "at least 1")
    assert error.exit_code == code
    assert isinstance(error, HpoError)
    assert str(error) == "a.yaml:3: model.width: 0 is too small; at least 1"


def test_a_failed_trial_carries_its_reason() -> None:
    error = TrialFailed("nan", "the loss is NaN", "lower the lr")
    assert (error.reason, error.exit_code) == ("nan", 3)
    assert str(error) == "the loss is NaN; lower the lr"


def test_an_error_without_hint_ends_after_what() -> None:
    assert str(UsageError("here", "is wrong")) == "here: is wrong"
    assert str(Problem("here", "is wrong")) == "here: is wrong"


def test_a_spec_error_has_one_line_for_each_problem() -> None:
    error = SpecError([Problem("a:1", "one", "1"), Problem("a:2", "two")])
    assert str(error) == "a:1: one; 1\na:2: two"
    assert error.exit_code == 2
    assert [problem.where for problem in error.problems] == ["a:1", "a:2"]


@pytest.mark.parametrize("kind", [SpecError, DataError, PluginError])
def test_every_mistake_of_the_user_is_a_usage_error(kind: type[HpoError]) -> None:
    assert issubclass(kind, UsageError)
