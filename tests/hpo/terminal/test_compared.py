from hpo.compare.settings import Setting
from hpo.compare.tables import Table, settings_table
from hpo.terminal.compared import table_lines


def test_columns_stand_below_each_other_numbers_to_the_right() -> None:
    table = Table(title="What?", headings=["study", "n"], rows=[["a", "1"], ["long", "100"]])
    assert table_lines(table) == ["What?", "  study    n", "  a        1", "  long   100"]


def test_settings_stand_to_the_left_and_long_ones_are_cut() -> None:
    found = [Setting(path="model.width", values={"a": "8", "b": "x" * 99})]
    title, headings, row = table_lines(settings_table("Differs", found, ["a", "b"]))
    assert (title, headings) == ("Differs", "               a  b")
    assert row == "  model.width  8  " + "x" * 39 + "…"


def test_nothing_moves_the_cursor() -> None:
    table = Table(title="What?", headings=["study"], rows=[["a\x1b[2Jb\r"]])
    assert table_lines(table)[-1] == "  a�[2Jb�"


def test_a_table_without_rows_is_its_title() -> None:
    assert table_lines(Table(title="Nothing", headings=["", "a"], rows=[])) == ["Nothing"]
