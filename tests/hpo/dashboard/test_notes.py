import pytest
from markdown_it import MarkdownIt

from hpo.dashboard.notes import END, attributes_of_note, code, note_of, with_written, without_ours
from hpo.dashboard.summaries import summarize

HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "[x](javascript:alert(1))",
    "a|b|c",
    "`x` <b>",
    "``` <i>",
    "$\\href{javascript:alert(1)}{x}$",
    "line\nnext | <u>",
    "",
    "`",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_any_text_is_shown_as_it_is_also_in_a_table(text: str) -> None:
    markdown = MarkdownIt("commonmark", {"html": True}).enable("table")
    page = f"| a | b |\n| --- | --- |\n| {code(text)} | end |"
    tokens = markdown.parse(page)
    cells = [token for token in tokens if token.type == "inline"][2:]
    assert len(cells) == 2
    assert [child.type for child in cells[0].children] == ["code_inline"]
    shown = cells[0].children[0].content
    assert shown.strip() == " ".join(text.split())


def test_the_note_begins_with_the_best_and_lists_the_best_ten(finished) -> None:
    summary = summarize(finished.folder)
    note = note_of(summary, 3)
    best = finished.outcome.best
    trial = best.study["trial"]
    first = note.splitlines()[0]
    link = f"[trial {trial}](/dashboard/studies/3/trials?numbers={trial})"
    assert first.startswith(f"**Best: {link}**")
    assert f"**{best.metric['value']:#.4g}**" in first
    assert f"[its config](/hpo/trial/tiny/{trial})" in first
    complete = [record for record in finished.records if record.has_rank]
    rows = [line for line in note.splitlines() if line.startswith("| ") and "[trial" in line]
    assert len(rows) == min(len(complete), 10)


def test_what_people_wrote_is_told_from_ours(finished) -> None:
    ours = note_of(summarize(finished.folder), 1)
    assert with_written(ours, "  ") == ours
    assert without_ours(with_written(ours, "mine" + END + "too")) == "mine" + END + "too"
    assert without_ours(ours) == ""
    assert without_ours(ours + "\nmine, with no line above") == "mine, with no line above"
    assert without_ours("mine alone") == "mine alone"
    assert without_ours("**bold** of mine") == "**bold** of mine"


def test_a_long_note_is_stored_in_pieces_that_databases_take() -> None:
    attributes = attributes_of_note("x" * 5000, 7)
    pieces = [value for key, value in attributes.items() if "note_str" in key]
    assert "".join(map(str, pieces)) == "x" * 5000
    assert max(len(str(piece)) for piece in pieces) <= 2045
    assert attributes["dashboard:note_ver"] == 7
