"""`hpo report` and `hpo advise`: what they print, and what they refuse."""

import json
from pathlib import Path


def test_the_command_prints_the_sentences_and_the_path(trial, write_study, cli) -> None:
    folder = write_study([trial(0, 0.5), trial(1, 0.8)])
    said = cli("report", "tiny", "--results", str(folder.path.parent))
    assert said.code == 0
    lines = said.out.splitlines()
    assert lines[0].startswith("Use trial 1, mlp")
    assert lines[-1] == str(folder.report)
    assert folder.report.read_text().startswith("<!doctype html>")
    assert "next: hpo advise tiny" in said.err


def test_several_studies_go_into_one_page_of_the_results(trial, write_study, cli) -> None:
    for name in ("a", "b"):
        results = write_study([trial(0, 0.5)], name).path.parent
    said = cli("report", "a", "b", "--results", str(results), "--json")
    told = json.loads(said.out)["result"]
    assert told["path"] == str(results / "report.html")
    assert [one["study"] for one in told["studies"]] == ["a", "b"]


def test_a_study_that_there_is_not_is_a_mistake_and_leaves_nothing(write_study, cli) -> None:
    results = write_study([]).path.parent
    said = cli("report", "tinny", "--results", str(results))
    assert said.code == 2
    assert "did you mean 'tiny'" in said.err
    assert not list(results.rglob("report.html"))


def test_a_place_that_there_is_not_is_a_mistake(trial, write_study, cli, tmp_path: Path) -> None:
    results = write_study([trial(0, 0.5)]).path.parent
    place = str(tmp_path / "no" / "report.html")
    said = cli("report", "tiny", "--results", str(results), "-o", place)
    assert said.code == 2
    assert "there is no folder" in said.err


def test_advice_that_there_is_none_says_so(trial, write_study, cli) -> None:
    results = str(write_study([trial(0, 0.5)]).path.parent)
    said = cli("advise", "tiny", "--results", results)
    assert said.code == 0
    assert said.out == "tiny: the records give no reason to change the search\n"
    told = json.loads(cli("advise", "tiny", "--results", results, "--json").out)["result"]
    assert told == {"study": "tiny", "advice": [], "written": None}


def test_advice_is_written_once(trial, write_study, cli, tmp_path: Path) -> None:
    results = str(write_study([trial(n, 0.5 + n / 100) for n in range(24)]).path.parent)
    place = str(tmp_path / "next.yaml")
    call = ("advise", "tiny", "--results", results, "--write", place)
    said = cli(*call)
    assert said.code == 0
    assert f"next: hpo check {place}" in said.err
    again = cli(*call)
    assert again.code == 2
    assert "exists already" in again.err
