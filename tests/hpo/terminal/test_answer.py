import io
import json
import sys
from pathlib import Path

import pytest

from hpo.errors import Problem, RefusedError, SpecError, UsageError
from hpo.terminal.answer import (
    answer,
    answer_error,
    answer_json,
    answer_table,
    error_console,
    marks,
    save_traceback,
    say,
    wants_screen,
)
from hpo.words import ASCII_MARKS, MARKS


class Screen(io.StringIO):
    """A stream that says it is a terminal."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


class Old(io.TextIOWrapper):
    """A stream that can show ASCII only."""

    def __init__(self) -> None:
        super().__init__(io.BytesIO(), encoding="ascii", newline="")

    def text(self) -> str:
        self.flush()
        return self.buffer.getvalue().decode("ascii")


def test_the_answer_goes_out_and_the_rest_to_error(capsys) -> None:
    answer("a path")
    say("a word")
    assert capsys.readouterr() == ("a path\n", "a word\n")


def test_an_answer_that_ends_its_line_gets_no_other(capsys) -> None:
    answer("a: 1\n")
    assert capsys.readouterr().out == "a: 1\n"


def test_lines_are_neither_wrapped_nor_coloured(capsys) -> None:
    say("[bold]" + "x" * 500)
    assert capsys.readouterr().err == "[bold]" + "x" * 500 + "\n"


@pytest.mark.parametrize("code", [0, 130])
def test_a_json_answer_says_whether_all_went_well(capsys, code: int) -> None:
    answer_json("run", {"path": "ü"}, exit_code=code)
    told = json.loads(capsys.readouterr().out)
    assert told["schema"] == "hpo.cli/1"
    assert (told["ok"], told["exit_code"]) == (code == 0, code)
    assert (told["command"], told["result"]) == ("run", {"path": "ü"})


def test_a_json_answer_is_strict() -> None:
    with pytest.raises(ValueError, match=r"not JSON compliant"):
        answer_json("best", float("nan"))


def test_an_error_is_one_line_on_error(capsys) -> None:
    answer_error(UsageError("a.yaml", "no such file", "check the path"), as_json=False)
    assert capsys.readouterr() == ("", "a.yaml: no such file; check the path\n")


def test_an_error_in_json_holds_code_place_and_hint(capsys) -> None:
    answer_error(RefusedError("tiny", "was made otherwise", "--name NEW"), as_json=True)
    told = json.loads(capsys.readouterr().out)
    assert (told["ok"], told["exit_code"]) == (False, 4)
    assert told["error"] == {
        "code": 4,
        "where": "tiny",
        "what": "was made otherwise",
        "hint": "--name NEW",
    }


def test_every_mistake_of_a_file_is_told(capsys) -> None:
    error = SpecError([Problem("a:1: x", "unknown key", "try y"), Problem("a:2: z", "is missing")])
    answer_error(error, as_json=False)
    assert capsys.readouterr().err == "a:1: x: unknown key; try y\na:2: z: is missing\n"
    answer_error(error, as_json=True)
    problems = json.loads(capsys.readouterr().out)["error"]["problems"]
    assert [problem["where"] for problem in problems] == ["a:1: x", "a:2: z"]


def test_a_piped_table_is_plain_text_with_whole_lines(capsys) -> None:
    answer_table(["a", "b"], [["1", "x" * 150], ["[red]2", "y"]])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines] == [["a", "b"], ["1", "x" * 150], ["[red]2", "y"]]
    assert not set("\r\x1b") & set("".join(lines))


def test_a_stream_of_ascii_gets_ascii(monkeypatch) -> None:
    out, err = Old(), Old()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    answer("accuracy ↑ 1×2 é")
    say("trial 0 ✓ → x")
    assert (out.text(), err.text()) == ("accuracy ^ 1x2 ?\n", "trial 0 + > x\n")
    assert marks() == ASCII_MARKS


def test_half_a_character_does_not_break_the_answer(monkeypatch) -> None:
    out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    monkeypatch.setattr(sys, "stdout", out)
    answer_error(UsageError("", "no study '\udcff'"), as_json=True)
    out.flush()
    assert json.loads(out.buffer.getvalue())["error"]["what"] == "no study '\udcff'"


def test_a_terminal_of_today_gets_signs(monkeypatch) -> None:
    monkeypatch.setattr(sys, "stderr", Screen())
    assert marks() == MARKS


@pytest.mark.parametrize(
    ("variables", "plain", "wanted"),
    [
        ({}, False, True),
        ({}, True, False),
        ({"TERM": "dumb"}, False, False),
        ({"CI": "1"}, False, False),
    ],
)
def test_a_terminal_is_redrawn_unless_somebody_forbids_it(
    monkeypatch, variables: dict[str, str], plain: bool, wanted: bool
) -> None:
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "stderr", Screen())
    assert wants_screen(plain=plain) is wanted


def test_a_pipe_is_not_redrawn(capsys) -> None:
    assert not wants_screen(plain=False)


def test_the_console_writes_to_error(capsys) -> None:
    error_console().print("x")
    assert capsys.readouterr() == ("", "x\n")


def test_a_traceback_of_ours_is_kept(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    place = save_traceback("Traceback é")
    assert place.parent == tmp_path
    assert place.read_text(encoding="utf-8") == "Traceback é"
