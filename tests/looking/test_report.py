"""The report of a hundred trials, and the advice that follows: the numbers are the records'."""

import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hpo.cli import app
from hpo.layout import StudyFolder
from hpo.records import read_trials
from hpo.report import render
from hpo.spec import load_study
from tests.hpo.report.reading import Page


@pytest.fixture(scope="module")
def page(hundred: StudyFolder) -> Page:
    """The page, read without a script."""
    began = time.process_time()
    html = render(hundred)
    took = time.process_time() - began
    assert took < 6, f"{took:.1f} s; the machine may be slow, the report is not to be"
    assert len(html.encode()) < 6_000_000
    return Page(html)


def test_a_conditional_study_with_failures_has_a_sound_page(page: Page) -> None:
    assert page.wrong == []
    assert page.open == []
    assert len(page.ids) == len(set(page.ids))
    assert page.text.count("How computed") >= 10


def test_counts_and_families_are_those_of_the_records(hundred: StudyFolder, page: Page) -> None:
    records = read_trials(hundred)
    states = [record.state for record in records]
    said = ", ".join(f"{states.count(s)} {s}" for s in ("complete", "pruned", "failed"))
    assert said in page.text
    for row in page.table("families.csv"):
        values = [
            r.value
            for r in records
            if r.has_rank
            and r.value is not None
            and r.config["model"]["family"] == row["family"]
            and r.config["optimizer"]["name"] == row["optimizer"]
        ]
        assert int(row["complete"]) == len(values)
        if values:
            assert float(row["best"]) == max(values)
            assert float(row["median"]) == statistics.median(values)
    failed = {int(row["trial"]): row["reason"] for row in page.table("failures.csv")}
    assert failed == {r.number: r.reason for r in records if r.state == "failed"}


def test_every_parameter_is_weighed_and_has_its_panel(hundred: StudyFolder, page: Page) -> None:
    names = {one.name for one in load_study(hundred.study_file).space.parameters()}
    rows = {row["parameter"]: row for row in page.table("importance.csv")}
    assert set(rows) == names
    for row in rows.values():
        if row["share"]:
            assert float(row["low"]) <= float(row["share"]) <= float(row["high"])
            assert (row["stands_out"] == "true") == (float(row["share"]) > float(row["null"]))
    panels = [found for tag, found in page.tags if tag == "svg" and found.get("class") == "panel"]
    assert len(panels) == len(names)


def test_the_command_says_what_the_page_says(hundred: StudyFolder, tmp_path: Path) -> None:
    results, place = str(hundred.path.parent), tmp_path / "report.html"
    call = ["report", "hundred", "--results", results, "-o", str(place), "--json"]
    done = CliRunner().invoke(app, call)
    told = json.loads(done.stdout)["result"]
    assert told["path"] == str(place)
    page = Page(place.read_text(encoding="utf-8"))
    for sentence in told["studies"][0]["conclusion"]:
        assert sentence in page.text
    assert told["studies"][0]["best"]["value"] == max(
        r.value for r in read_trials(hundred) if r.has_rank and r.value is not None
    )


def test_the_advice_ends_in_a_study_that_begins_with_the_best(
    hundred: StudyFolder, tmp_path: Path
) -> None:
    results, place = str(hundred.path.parent), tmp_path / "next.yaml"
    call = ["advise", "hundred", "--results", results, "--write", str(place)]
    done = CliRunner().invoke(app, call)
    assert done.exit_code == 0
    assert "because" in done.stdout
    spec = load_study(place)
    assert spec.name == "hundred-2"
    assert spec.search.first
    assert "avoid what fails as nan" in done.stdout


def test_looking_needs_neither_torch_nor_optuna(hundred: StudyFolder, tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "from hpo.verbs.tell import advise, report\n"
        f"results = Path({str(hundred.path.parent)!r})\n"
        f"report(['hundred'], Path({str(tmp_path / 'a.html')!r}), results)\n"
        f"advise('hundred', Path({str(tmp_path / 'a.yaml')!r}), None, results)\n"
        "names = ('torch', 'pytorch_lightning', 'optuna', 'sklearn', 'pandas')\n"
        "print('loaded', [name for name in names if name in sys.modules])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "loaded []"
