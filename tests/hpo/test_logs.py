import logging
import warnings
from pathlib import Path

import pytest

from hpo.logs import LIBRARIES, log_to


@pytest.mark.parametrize("name", LIBRARIES)
def test_what_a_library_says_goes_to_the_file_only(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    with log_to(tmp_path / "log.txt"):
        logging.getLogger(name).warning("hello from %s", name)
    assert f"WARNING {name}: hello from {name}" in (tmp_path / "log.txt").read_text()
    assert capsys.readouterr() == ("", "")


def test_a_warning_goes_to_the_file(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        with log_to(tmp_path / "log.txt"):
            warnings.warn("take care", UserWarning, stacklevel=1)
    assert "UserWarning: take care" in (tmp_path / "log.txt").read_text()


def test_the_file_grows_from_call_to_call(tmp_path: Path) -> None:
    for text in ("one", "two"):
        with log_to(tmp_path / "log.txt"):
            logging.getLogger("optuna").warning(text)
    assert [line.split()[-1] for line in (tmp_path / "log.txt").read_text().splitlines()] == [
        "one",
        "two",
    ]


def test_without_a_file_nothing_is_kept(capsys: pytest.CaptureFixture[str]) -> None:
    with log_to(None):
        logging.getLogger("optuna").warning("lost")
    assert capsys.readouterr() == ("", "")


def test_the_loggers_of_before_are_put_back(tmp_path: Path) -> None:
    logger = logging.getLogger("optuna")
    before = (logger.handlers[:], logger.propagate, logger.level, warnings.showwarning)
    with pytest.raises(KeyError), log_to(tmp_path / "log.txt"):
        raise KeyError
    assert (logger.handlers, logger.propagate, logger.level, warnings.showwarning) == before
