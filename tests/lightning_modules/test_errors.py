import pytest

from lightning_modules.errors import DataError, HpoError, PluginError, TrialFailed, UsageError


def test_an_error_says_where_what_and_what_instead() -> None:
    assert str(HpoError("a.yaml: lr", "is wrong", "do right")) == "a.yaml: lr: is wrong; do right"


def test_an_error_without_place_or_hint_says_what_only() -> None:
    assert str(HpoError("", "is wrong")) == "is wrong"


@pytest.mark.parametrize("error", [DataError, PluginError])
def test_data_and_plugins_are_the_users_mistakes(error: type[UsageError]) -> None:
    assert issubclass(error, UsageError)
    assert error("x", "y").exit_code == 2


def test_a_failed_trial_keeps_its_reason() -> None:
    failed = TrialFailed("oom", "too large", "smaller")
    assert (failed.reason, str(failed), failed.exit_code) == ("oom", "too large; smaller", 3)
