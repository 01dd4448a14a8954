"""The table of docs/reliability.md: how it is filled, and that the plain stack still runs."""

from pathlib import Path

import pytest

from benchmarks.faults_baseline import ours, page
from benchmarks.faults_baseline.deaths import f2_search_killed
from benchmarks.faults_baseline.rows import FAULTS
from benchmarks.faults_baseline.stack import ROOT, Verdict

WELL = ours.Tested(name="test_f1_a", ended="passed")
SKIPPED = ours.Tested(name="test_f1_b", ended="skipped", why="needs root")
REPORT = """<testsuites><testsuite>
<testcase name="test_f3_f4_a"/>
<testcase name="test_f4_b[1]"><failure message="assert"/></testcase>
<testcase name="test_f5_c"><skipped type="pytest.xfail" message="Lightning ends it"/></testcase>
<testcase name="test_f6_d"><skipped type="pytest.skip" message="needs root"/></testcase>
</testsuite></testsuites>"""


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    file = tmp_path / "page.md"
    file.write_text(f"before\n{page.START}\n{page.END}\nafter\n")
    return file


def test_the_table_stands_between_its_markers_and_the_rest_stays(empty: Path) -> None:
    page.write(empty, FAULTS, {"F1": {"usual": "**broken**: a | b", "ours": "kept: 3 tests"}})
    text = empty.read_text()
    assert text.startswith(f"before\n{page.START}\n")
    assert text.endswith(f"\n{page.END}\nafter\n")
    assert "plain, as usually glued: 0 of 1 kept; " in text
    assert "; hpo: 1 of 1 kept. Measured with optuna " in text


def test_what_is_not_tried_anew_stays_as_it_was(empty: Path) -> None:
    page.write(empty, FAULTS, {"F1": {"usual": "kept: x", "tuned": "kept: y", "ours": "kept: z"}})
    page.write(empty, FAULTS, {"F1": {"ours": "**broken**: w"}, "F30": {"ours": "kept: v"}})
    read = page.read(empty)
    assert read["F1"] == {"usual": "kept: x", "tuned": "kept: y", "ours": "**broken**: w"}
    assert read["F30"] == {"usual": "–", "tuned": "–", "ours": "kept: v"}
    assert list(read) == [fault.name for fault in FAULTS]


def test_a_page_without_a_place_for_the_table_is_refused(tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text("nothing")
    with pytest.raises(ValueError, match=r"page.md: has no place for the table; put <!-- "):
        page.read(tmp_path / "page.md")


def test_a_sign_that_parts_columns_does_not_part_a_cell() -> None:
    assert page.cell(Verdict(kept=False, fact="a | b")) == "**broken**: a / b"


def test_the_published_page_has_every_row() -> None:
    assert list(page.read(ROOT / "docs" / "reliability.md")) == [fault.name for fault in FAULTS]


def test_a_report_of_pytest_is_read_with_its_reasons(tmp_path: Path) -> None:
    (tmp_path / "report.xml").write_text(REPORT)
    tests = ours.read_report(tmp_path / "report.xml")
    assert [test.ended for test in tests] == ["passed", "failed", "expected to fail", "skipped"]
    assert [test.why for test in tests[1:]] == [
        "test_f4_b[1] failed",
        "Lightning ends it",
        "needs root",
    ]
    names = {fault.name: fault for fault in FAULTS}
    assert [test.name for test in tests if ours.belongs(test.name, names["F4"])] == [
        "test_f3_f4_a",
        "test_f4_b[1]",
    ]


def test_a_row_is_kept_where_every_test_that_could_run_has_passed() -> None:
    late = ours.Tested(name="test_f1_c", ended="expected to fail", why="later")
    assert ours.verdict([WELL, SKIPPED]) == Verdict(kept=True, fact="1 test")
    assert ours.verdict([WELL, late]) == Verdict(kept=False, fact="1 of 2 tests; not: later")
    assert ours.verdict([SKIPPED]) == Verdict(kept=None, fact="needs root")
    assert ours.verdict([]) == Verdict(kept=None, fact="no test yet")


@pytest.mark.slow
def test_the_plain_stack_can_be_tried(tmp_path: Path) -> None:
    """It is started, killed, and started again."""
    fact = "1 trial RUNNING for ever, 9 trials instead of 6"
    assert f2_search_killed(tmp_path / "plain", False) == Verdict(kept=False, fact=fact)
