import csv
import io
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from hpo.layout import StudyFolder

GUIDE = Path(__file__).parents[3] / "docs" / "proof.md"


@pytest.fixture
def pair(copied):
    """A finished study and a copy of it in the same folder of results."""
    other = copied.path.with_name("other")
    shutil.copytree(copied.path, other)
    return copied, StudyFolder(other)


def rewrite(folder: StudyFolder, old: str, new: str) -> None:
    for file in folder.path.glob("trials/*/result.json"):
        file.write_text(file.read_text().replace(old, new))


def data_hash(folder: StudyFolder) -> str:
    found = json.loads((folder.trial(0) / "result.json").read_text())
    return str(found["run"]["data"]["sha256"])


def test_compare_answers_on_standard_output_and_ends_with_the_next_command(cli, pair) -> None:
    tiny, _ = pair
    said = cli("compare", "tiny", "other", "--results", tiny.path.parent)
    assert said.code == 0
    assert said.out.startswith("tiny and other may be compared: they have the same data, split")
    assert "tiny and other are copies of one study: their trials are the same" in said.out
    assert "tiny and other: the same values, nothing tells them apart" in said.out
    assert said.err == ""


def test_studies_of_other_data_are_refused_under_strict(cli, pair) -> None:
    tiny, other = pair
    rewrite(other, data_hash(other), "9" * 64)
    call = ["compare", "tiny", "other", "--results", tiny.path.parent]
    said = cli(*call)
    assert said.code == 0
    assert "tiny and other may not be compared in their values" in said.out
    said = cli(*call, "--strict")
    assert said.code == 4
    assert "the values are of other data: which study is better cannot be said" in said.out
    assert "Which is better?" not in said.out
    assert "--strict: not compared, since these differ: data" in said.err


def test_a_study_that_cannot_be_checked_does_not_pass_for_not_worse(cli, pair) -> None:
    tiny, other = pair
    rewrite(other, data_hash(other), "9" * 64)
    said = cli("compare", "tiny", "other", "--results", tiny.path.parent, "--fail-if-worse", "tiny")
    assert said.code == 4
    assert "--fail-if-worse tiny: tiny and other have not the same data" in said.err


def test_a_study_worse_than_another_fails_when_asked(cli, make_pair) -> None:
    results = make_pair([0.91, 0.92, 0.93], [0.81, 0.83, 0.82])
    call = ["compare", "a", "b", "--results", results]
    assert cli(*call, "--fail-if-worse", "a").code == 0
    said = cli(*call, "--fail-if-worse", "b")
    assert said.code == 4
    assert "--fail-if-worse b: a – b = +0.1000" in said.err
    said = cli(*call, "--fail-if-worse", "c")
    assert (said.code, said.out) == (2, "")
    assert "--fail-if-worse: 'c' is not compared; one of a, b" in said.err


def test_worse_that_cannot_be_told_yet_is_said(cli, make_study) -> None:
    make_study("b", (0.8, 0.95))
    results = make_study("a").path.parent
    said = cli("compare", "a", "b", "--results", results, "--fail-if-worse", "a")
    assert said.code == 0
    assert "warning: --fail-if-worse a: whether it is worse cannot be told yet" in said.err
    first, second = said.err.splitlines()[-2:]
    assert first == f"next: hpo evaluate {results / 'a'} --seeds 5"
    assert second == f"      hpo evaluate {results / 'b'} --seeds 5"


def test_json_holds_everything_and_the_exit_code(cli, make_pair) -> None:
    results = make_pair([0.91, 0.92, 0.93], [0.81, 0.83, 0.82])
    said = cli("compare", "a", "b", "--results", results, "--json", "--fail-if-worse", "b")
    found = json.loads(said.out)
    assert (said.code, found["exit_code"], found["ok"]) == (4, 4, False)
    (verdict,) = found["result"]["verdicts"]
    assert (verdict["better"], verdict["basis"]) == ("a", "paired seeds")
    assert verdict["ci95"][0] < verdict["difference"] < verdict["ci95"][1]


def test_csv_has_a_line_for_each_study(cli, make_pair) -> None:
    results = make_pair([0.91, 0.92, 0.93], [0.81, 0.83, 0.82])
    said = cli("compare", "b", "a", "--results", results, "--csv")
    first, second = csv.DictReader(io.StringIO(said.out))
    assert (first["study"], second["study"]) == ("a", "b")
    assert float(first["mean"]) == pytest.approx(0.92)
    assert (first["budget"], first["budget_of"]) == ("2.0", "trials")
    said = cli("compare", "b", "a", "--results", results, "--csv", "--json")
    assert said.code == 2


@pytest.mark.parametrize(
    ("names", "what"),
    [
        (["a"], "compare: needs two studies or more"),
        (["a", "a"], "compare: a is named twice"),
        (["a", "c"], "no study 'c' in"),
    ],
)
def test_mistakes_end_with_exit_code_2(cli, make_pair, names, what) -> None:
    said = cli("compare", *names, "--results", make_pair(None, None))
    assert (said.code, said.out) == (2, "")
    assert what in said.err


def test_environments_and_fronts_are_shown_when_asked(cli, make_pair) -> None:
    results = make_pair(None, None)
    said = cli("compare", "a", "b", "--results", results, "--env", "--pareto")
    assert "Equal environments" in said.out
    assert "What does accuracy cost in parameters?" in said.out
    assert "What does accuracy cost in ms per row?" in said.out


def test_comparing_loads_neither_torch_nor_optuna(make_pair) -> None:
    results = make_pair([0.91, 0.92, 0.93], [0.81, 0.83, 0.82])
    program = (
        "import sys; from hpo.cli import main\n"
        f"sys.argv = ['hpo', 'compare', 'a', 'b', '--results', {str(results)!r}]\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'pytorch_lightning', 'optuna', 'pandas', 'plotly', 'jinja2'}\n"
        "sys.exit(','.join(heavy & set(sys.modules)) or 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "a is better" in done.stdout


def test_every_option_that_the_guide_names_exists(cli) -> None:
    guide = GUIDE.read_text(encoding="utf-8").partition("`hpo compare`\n")[2].partition("\n## ")[0]
    named = set(re.findall(r"--[a-z][a-z-]+", guide))
    known = {
        option
        for verb in ("compare", "evaluate", "run")
        for option in re.findall(r"--[a-z][a-z-]+", cli(verb, "--help").out)
    }
    assert {"--strict", "--at", "--fail-if-worse"} <= named <= known
